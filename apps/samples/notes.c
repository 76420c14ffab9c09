// An app that keeps something: notes, a file each, in a directory that it may write.
//
//     ./kpio app build apps/samples/notes.c
//     ./kpio run notes.wasm --dir my-notes::/notes -- add "call the plumber"
//     ./kpio run notes.wasm --dir my-notes::/notes -- list
//
// The directory is called /notes for it, wherever it lies. A note gets a name that nobody else chose, from random bytes; it is written
// under a name that list() ignores, made durable, and then renamed: a note is there, whole, or it is not, also when the power goes.
// Clocks and randomness need no right. Without --dir it says that there is no /notes: that is an error as any other, not a trap.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FOLDER "/notes"

static int failed(const char *what) {
    fprintf(stderr, "notes: %s: %s\n", what, strerror(errno));
    return 1;
}

static int write_whole(const char *path, const char *text) {
    const size_t bytes = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) return failed(path);
    int status = 0;
    if (write(fd, text, bytes) != (ssize_t)bytes || write(fd, "\n", 1) != 1 || fsync(fd) != 0) status = failed(path);
    close(fd);
    return status;
}

static int add(const char *text) {
    char part[64], path[64];
    unsigned char chance[4];
    if (getentropy(chance, sizeof chance) != 0) return failed("random bytes");
    const unsigned number = (unsigned)chance[0] << 24 | (unsigned)chance[1] << 16 | (unsigned)chance[2] << 8 | chance[3];
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return failed("the time");
    snprintf(part, sizeof part, FOLDER "/.new-%08x", number);
    snprintf(path, sizeof path, FOLDER "/%010lld.%09ld-%08x", (long long)now.tv_sec, now.tv_nsec, number);
    int status = write_whole(part, text);
    if (status == 0 && rename(part, path) != 0) status = failed(path);
    if (status != 0) unlink(part);
    return status;
}

static int show(const char *name) {
    char path[300], line[256];
    snprintf(path, sizeof path, FOLDER "/%s", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) return failed(path);
    while (fgets(line, sizeof line, file) != NULL) fputs(line, stdout);
    fclose(file);
    return 0;
}

static int no_dot(const struct dirent *entry) { return entry->d_name[0] != '.'; }

// Names begin with the time: by name is by age.
static int list(void) {
    struct dirent **entries;
    int status = 0, found = scandir(FOLDER, &entries, no_dot, alphasort);
    if (found < 0) return failed(FOLDER);
    for (int i = 0; i < found; i++) {
        status |= show(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return status;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "add") == 0) return add(argv[2]);
    if (argc == 2 && strcmp(argv[1], "list") == 0) return list();
    fprintf(stderr, "usage: %s add TEXT | list\n", argv[0]);
    return 2;
}
