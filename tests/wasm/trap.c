// Programs that end badly, each in its way.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int zero;

__attribute__((noinline)) static int divide(int by) { return 1234 / by; }
__attribute__((noinline)) static int descend(int n) {
    return n < 0 ? 0 : descend(n + 1) + zero;
}
__attribute__((noinline)) static int look(const int *at) { return *at; }

static int grow(void) {
    void *volatile got;
    size_t bytes = 0;
    while ((got = malloc(1 << 20)) != NULL) bytes += 1 << 20;
    printf("%s\n", bytes >= 4 << 20 && bytes < 64 << 20 ? "stopped at the limit" : "no limit");
    return 0;
}

// Opens one file again and again.
static int open_many(void) {
    int count = 0;
    while (count < 1000 && open("/data/many", O_RDWR | O_CREAT, 0644) >= 0) count++;
    printf("%s\n", count >= 10 && count < 40 ? "stopped at the limit" : "no limit");
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "divide") == 0) return divide(zero);
    if (strcmp(what, "descend") == 0) return descend(zero);
    if (strcmp(what, "bounds") == 0) return look((const int *)(uintptr_t)(0xfffffff0u + (unsigned)zero));
    if (strcmp(what, "call") == 0) return ((int (*)(void))(uintptr_t)(12345 + zero))();
    if (strcmp(what, "abort") == 0) abort();
    if (strcmp(what, "loop") == 0) for (;;) zero++;
    if (strcmp(what, "sleep") == 0) sleep(1000);
    if (strcmp(what, "grow") == 0) return grow();
    if (strcmp(what, "open") == 0) return open_many();
    return 99;
}
