// Takes what it can get, in the way that argv[1] names, until it is stopped.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile unsigned count;
static char *volatile taken;

__attribute__((noinline)) static unsigned descend(unsigned n) { return n == 0 ? 0 : descend(n + 1) + count; }

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "loop";
    char byte;
    for (;;) {
        count++;
        if (strcmp(what, "grow") == 0 && malloc(1 << 16) != NULL) continue;
        if (strcmp(what, "open") == 0 && open("/tmp/greedy", O_RDWR | O_CREAT, 0644) >= 0) continue;
        if (strcmp(what, "talk") == 0 && (write(1, "", 1) != 1 || read(0, &byte, 1) != 1)) return 1;
        if (strcmp(what, "fill") == 0) {
            taken = malloc(1 << 20);
            if (taken == NULL) abort();
            memset(taken, 1, 1 << 20);
        }
        if (strcmp(what, "recurse") == 0) (void)descend(1);
    }
}
