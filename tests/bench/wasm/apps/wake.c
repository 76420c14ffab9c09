// How late a program wakes that sleeps a millisecond, again and again: instructions beyond it, the median and the most. argv[1] is the
// name to report.
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/wasm/apps/measure.h"

enum { ROUNDS = 100, SLEEP_US = 1000 };

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static uint64_t late[ROUNDS];
    char name[64];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = measure_now();
        usleep(SLEEP_US);
        late[i] = measure_now() - before - SLEEP_US * 1000;
    }
    qsort(late, ROUNDS, sizeof late[0], by_value);
    measure_report(argc > 1 ? argv[1] : "wake", late[ROUNDS / 2], 1);
    snprintf(name, sizeof name, "%s_most", argc > 1 ? argv[1] : "wake");
    measure_report(name, late[ROUNDS - 1], 1);
    return 0;
}
