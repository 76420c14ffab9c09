// Standard streams as a user's shell connects them: what comes in goes out, output without end, a wait without end, input that is not
// read.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int put(const char *bytes, size_t size) {
    for (ssize_t n; size > 0; bytes += n, size -= (size_t)n)
        if ((n = write(1, bytes, size)) <= 0) return 1;
    return 0;
}

static int copy(void) {
    static char bytes[3000];
    ssize_t got;
    while ((got = read(0, bytes, sizeof bytes)) > 0)
        if (put(bytes, (size_t)got) != 0) return 1;
    return got < 0;
}

static int both(void) {
    for (int n = 0; n < 3000; n++) {
        printf("out%d\n", n), fflush(stdout);
        fprintf(stderr, "error%d\n", n);
    }
    return 0;
}

static int first(void) {
    char line[5];
    return read(0, line, sizeof line) == sizeof line && put(line, sizeof line) == 0 ? 7 : 1;
}

int main(int argc, char **argv) {
    if (argc > 2) return printf("%d words, the last is %s\n", argc, argv[argc - 1]) < 0;
    if (argc != 2) return 99;
    if (strcmp(argv[1], "copy") == 0) return copy();
    if (strcmp(argv[1], "both") == 0) return both();
    if (strcmp(argv[1], "first") == 0) return first();
    if (strcmp(argv[1], "none") == 0) return 7;
    if (strcmp(argv[1], "fill") == 0)
        while (put("fill\n", 5) == 0) continue;
    if (strcmp(argv[1], "wait") == 0 && put("wait\n", 5) == 0)
        for (;;) sleep(1000);
    return 98;
}
