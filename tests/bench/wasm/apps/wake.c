// How late a program wakes that sleeps a millisecond and then works a little, again and again: instructions beyond it, the median and
// the most. argv[1] is the name to report. The first sleep is not counted: in it the engine makes its timer, which is work.
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/wasm/apps/measure.h"

enum { ROUNDS = 100, SLEEP_US = 1000, WORK = 25000 };

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t sleep_late(void) {
    uint64_t before = measure_now();
    usleep(SLEEP_US);
    return measure_now() - before - SLEEP_US * 1000;
}

int main(int argc, char **argv) {
    static uint64_t late[ROUNDS];
    char name[64];
    (void)sleep_late();
    for (int i = 0; i < ROUNDS; i++) {
        for (volatile int n = 0; n < WORK; n++) continue;
        late[i] = sleep_late();
    }
    qsort(late, ROUNDS, sizeof late[0], by_value);
    measure_report(argc > 1 ? argv[1] : "wake", late[ROUNDS / 2], 1);
    snprintf(name, sizeof name, "%s_most", argc > 1 ? argv[1] : "wake");
    measure_report(name, late[ROUNDS - 1], 1);
    return 0;
}
