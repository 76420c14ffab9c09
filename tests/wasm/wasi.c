// What WASI gives a program: arguments, environment, standard streams, files below what it was shown, clocks, random bytes, its end.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int check(int ok, const char *what) {
    if (!ok) printf("failed: %s: %s\n", what, strerror(errno));
    return ok;
}
#define MUST(x) do { if (!check((x), #x)) return 1; } while (0)

static int arguments(int argc, char **argv) {
    for (int i = 1; i < argc; i++) printf("[%s]", argv[i]);
    printf("%s\n", getenv("COLOUR") != NULL ? getenv("COLOUR") : "none");
    return 0;
}

static int echo(void) {
    char line[256];
    int lines = 0;
    while (fgets(line, sizeof line, stdin) != NULL) lines += fputs(line, stdout) >= 0;
    fprintf(stderr, "%d lines\n", lines);
    return 0;
}

static int files(void) {
    char text[16] = "";
    struct stat status;
    int fd = open("/data/a", O_CREAT | O_RDWR | O_EXCL, 0644);
    MUST(fd >= 0);
    MUST(write(fd, "hello world", 11) == 11);
    MUST(lseek(fd, 6, SEEK_SET) == 6);
    MUST(read(fd, text, sizeof text) == 5 && memcmp(text, "world", 5) == 0);
    MUST(pread(fd, text, 5, 0) == 5 && memcmp(text, "hello", 5) == 0);
    MUST(fstat(fd, &status) == 0 && status.st_size == 11);
    MUST(ftruncate(fd, 3) == 0 && fstat(fd, &status) == 0 && status.st_size == 3);
    MUST(close(fd) == 0);
    MUST(open("/data/a", O_CREAT | O_EXCL | O_WRONLY, 0644) < 0 && errno == EEXIST);
    MUST(mkdir("/data/d", 0755) == 0 && rename("/data/a", "/data/d/b") == 0);
    MUST(symlink("d/b", "/data/l") == 0 && readlink("/data/l", text, sizeof text) == 3);
    MUST(open("/data/../etc/passwd", O_RDONLY) < 0);
    MUST(open("/etc/passwd", O_RDONLY) < 0);
    MUST(symlink("../../etc/passwd", "/data/out") == 0 && open("/data/out", O_RDONLY) < 0);
    DIR *dir = opendir("/data/d");
    int found = 0;
    MUST(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) found += strcmp(entry->d_name, "b") == 0;
    MUST(closedir(dir) == 0 && found == 1);
    MUST(unlink("/data/d/b") == 0 && rmdir("/data/d") == 0 && unlink("/data/l") == 0 && unlink("/data/out") == 0);
    puts("files work");
    return 0;
}

static int clocks(void) {
    struct timespec a, b, pause = {.tv_nsec = 20000000};
    MUST(clock_gettime(CLOCK_REALTIME, &a) == 0 && a.tv_sec > 1700000000);
    MUST(clock_gettime(CLOCK_MONOTONIC, &a) == 0);
    MUST(nanosleep(&pause, NULL) == 0);
    MUST(clock_gettime(CLOCK_MONOTONIC, &b) == 0);
    MUST((b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec >= 20000000);
    puts("clocks work");
    return 0;
}

static int random_bytes(void) {
    unsigned char a[32], b[32];
    MUST(getentropy(a, sizeof a) == 0 && getentropy(b, sizeof b) == 0);
    MUST(memcmp(a, b, sizeof a) != 0);
    puts("random works");
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return 0;
    if (strcmp(argv[1], "arguments") == 0) return arguments(argc - 1, argv + 1);
    if (strcmp(argv[1], "echo") == 0) return echo();
    if (strcmp(argv[1], "files") == 0) return files();
    if (strcmp(argv[1], "clocks") == 0) return clocks();
    if (strcmp(argv[1], "random") == 0) return random_bytes();
    if (strcmp(argv[1], "exit") == 0 && argc == 3) exit(atoi(argv[2]));
    return 99;
}
