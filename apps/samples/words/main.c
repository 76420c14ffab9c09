// An app of several files that reads directories and files: it counts lines, words and bytes of what lies below a directory.
//
//     ./kpio app build apps/samples/words          every .c file of a folder makes one app, called as the folder
//     ./kpio run words.wasm --dir .::/text::ro -- /text
//
// `--dir HOST::GUEST::ro` is the only way to files: it shows the app the folder HOST of this machine, under the name GUEST, to be read.
// What is not below such a directory is not there for it: "/etc/passwd" is no path that leads anywhere, and neither `..` nor a
// symbolic link leads out of what was shown. Installed on KPIO the same is said in a manifest, and granted (docs/appd.md):
//
//     directory = /text read
//
// Nothing here is KPIO's own: opendir() and open() are wasi-libc's, which asks WASI for them.
#include "apps/samples/words/words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 32  // directories in one another: what follows calls itself

static int failed(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return 1;
}

static int count_file(const char *path, struct words *all) {
    char text[65536];
    struct words w = {0};
    ssize_t n;
    int fd = open(path, O_RDONLY);
    if (fd < 0) return failed(path);
    while ((n = read(fd, text, sizeof text)) > 0) words_add(&w, text, (size_t)n);
    close(fd);
    if (n < 0) return failed(path);
    printf("%8lu %8lu %8lu %s\n", w.lines, w.words, w.bytes, path);
    all->lines += w.lines;
    all->words += w.words;
    all->bytes += w.bytes;
    return 0;
}

static int count(const char *path, struct words *all, int depth);

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int count_directory(const char *path, struct words *all, int depth) {
    struct dirent **entries;
    int status = 0, found = scandir(path, &entries, NULL, by_name);
    if (found < 0) return failed(path);
    for (int i = 0; i < found; i++) {
        char *below = NULL;
        bool itself = strcmp(entries[i]->d_name, ".") == 0 || strcmp(entries[i]->d_name, "..") == 0;
        if (!itself && asprintf(&below, "%s/%s", path, entries[i]->d_name) < 0) abort();
        if (!itself) status |= count(below, all, depth + 1);
        free(below);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int count(const char *path, struct words *all, int depth) {
    struct stat about;
    if (depth > DEPTH_MAX) errno = ELOOP;
    if (depth > DEPTH_MAX || lstat(path, &about) != 0) return failed(path);
    if (S_ISDIR(about.st_mode)) return count_directory(path, all, depth);
    return S_ISREG(about.st_mode) ? count_file(path, all) : 0;
}

int main(int argc, char **argv) {
    struct words all = {0};
    int status = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: %s PATH ...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) status |= count(argv[i], &all, 0);
    printf("%8lu %8lu %8lu all\n", all.lines, all.words, all.bytes);
    return status;
}
