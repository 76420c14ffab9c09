// A WebAssembly program in folders of the host: copies a file below ".", finds /data to be read only, and no way out.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MUST(x) \
    do { \
        if (!(x)) return printf("line %d: %s: %s\n", __LINE__, #x, strerror(errno)), 1; \
    } while (0)

int main(int argc, char **argv) {
    char text[64];
    MUST(argc == 3);
    int in = open(argv[1], O_RDONLY), out = open(argv[2], O_CREAT | O_EXCL | O_WRONLY, 0644);
    MUST(in >= 0 && out >= 0);
    ssize_t n = read(in, text, sizeof text);
    MUST(n > 0 && write(out, text, (size_t)n) == n);
    MUST(close(out) == 0);
    MUST(open("out", O_RDONLY) < 0 && open("../secret", O_RDONLY) < 0);
    int fixed = open("/data/fixed", O_RDONLY);
    MUST(fixed >= 0 && read(fixed, text, sizeof text) == 5 && memcmp(text, "fixed", 5) == 0);
    MUST(open("/data/fixed", O_WRONLY) < 0 && open("/data/new", O_CREAT | O_WRONLY, 0644) < 0);
    puts("copied");
    return 5;
}
