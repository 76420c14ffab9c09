// Writes, reads, renames and removes in a folder, and compares (tests/system/test_folders.py):
//   load FOLDER ROUNDS          so many rounds; says how many went wrong
//   load FOLDER 0 ELSEWHERE     until the folder is lost: what was said then, what is said after that, and that ELSEWHERE goes on
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BYTES 20000

static char held[BYTES], read_back[BYTES];

static const char *name_of(int error) {
    switch (error) {
    case ENOTCONN: return "ENOTCONN";
    case EIO: return "EIO";
    case ETIMEDOUT: return "ETIMEDOUT";
    case 0: return "other content";
    default: return strerror(error);
    }
}

// A change of names whose answer was lost with the driver fails with ENOTCONN, and may have been done or not: who wants to know looks.
// What is open, read and written never fails.
static int patient;

static int lost_once(int result) { return patient && result < 0 && errno == ENOTCONN; }

static int make(const char *path) {
    int fd;
    do fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0644);
    while (lost_once(fd));
    return fd;
}

static int move(const char *from, const char *to) {
    for (;;) {
        int result = rename(from, to);
        if (!lost_once(result)) return result;
        if (access(from, F_OK) < 0) return access(to, F_OK);
    }
}

static int removed(const char *path) {
    for (int again = 0;; again = 1) {
        int result = unlink(path);
        if (result < 0 && errno == ENOENT && again) return 0;
        if (!lost_once(result)) return result;
    }
}

// 0 or -1.
static int round_of(int number, int kept, const char *folder) {
    char path[256], other[256];
    snprintf(path, sizeof path, "%s/file%d", folder, number % 7);
    snprintf(other, sizeof other, "%s/other%d", folder, number % 7);
    memset(held, 'a' + number % 26, sizeof held);
    int fd = make(path);
    if (fd < 0) return -1;
    errno = 0;
    int good = write(fd, held, BYTES) == BYTES && fsync(fd) == 0 && pread(fd, read_back, BYTES, 0) == BYTES;
    if (good && memcmp(held, read_back, BYTES) != 0) good = errno = 0;
    int error = errno;
    close(fd);
    if (good && kept >= 0) {
        good = pwrite(kept, held, 512, (number % 8) * 512) == 512 && pread(kept, read_back, 512, (number % 8) * 512) == 512;
        error = errno;
        if (good && memcmp(held, read_back, 512) != 0) good = error = 0;
    }
    if (good) {
        good = move(path, other) == 0 && removed(other) == 0;
        error = errno;
    }
    errno = error;
    return good ? 0 : -1;
}

static int rounds(const char *folder, int count) {
    char path[256];
    int errors = 0;
    snprintf(path, sizeof path, "%s/kept", folder);
    patient = 1;
    int kept = make(path);
    for (int i = 0; i < count; i++) {
        if (round_of(i, kept, folder) == 0) continue;
        fprintf(stderr, "round %d: %s\n", i, name_of(errno));
        errors++;
    }
    printf("%d rounds, %d errors\n", count, errors);
    return kept < 0 || errors != 0;
}

static int until_lost(const char *folder, const char *elsewhere) {
    int i = 0;
    for (; round_of(i, -1, folder) == 0; i++)
        if (i % 20 == 0) printf("%d rounds\n", i), fflush(stdout);
    printf("lost: %s\n", name_of(errno));
    fflush(stdout);
    struct stat s;
    struct timespec begun, ended;
    // The first to be told may be told of its own time-out; from when the driver has given up on, nobody waits.
    for (int tries = 0; tries < 100; tries++) {
        clock_gettime(CLOCK_MONOTONIC, &begun);
        int error = stat(folder, &s) == 0 ? 0 : errno;
        clock_gettime(CLOCK_MONOTONIC, &ended);
        if (error == ENOTCONN && ended.tv_sec - begun.tv_sec < 2) {
            printf("then: ENOTCONN at once\n");
            break;
        }
        usleep(100000);
    }
    printf("elsewhere: ");
    return rounds(elsewhere, 50);
}

int main(int argc, char **argv) {
    if (argc == 4) return until_lost(argv[1], argv[3]);
    return argc == 3 ? rounds(argv[1], atoi(argv[2])) : 2;
}
