// What a program sees of a folder of the host (tests/system/test_folders.py):  visit FOLDER  |  visit ro FILE
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUST(x) \
    do { \
        if (!(x)) { \
            printf("line %d: %s: %s\n", __LINE__, #x, strerror(errno)); \
            exit(1); \
        } \
    } while (0)

static void load(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY);
    MUST(fd >= 0);
    ssize_t n = read(fd, text, size - 1);
    MUST(n >= 0);
    text[n] = 0;
    close(fd);
}

static int read_only(const char *file) {
    char text[64], here[256];
    MUST(getcwd(here, sizeof here) != NULL);
    load(file, text, sizeof text);
    printf("%s: %s", here, text);
    MUST(open(file, O_WRONLY) < 0 && errno == EROFS);
    MUST(open("new", O_CREAT | O_WRONLY, 0644) < 0 && errno == EROFS);
    MUST(unlink(file) < 0 && errno == EROFS);
    MUST(mkdir("d", 0755) < 0 && errno == EROFS);
    return 0;
}

static void write_and_read(void) {
    char text[256];
    struct stat s;
    load("from_host", text, sizeof text);
    MUST(strcmp(text, "written by the host\n") == 0);
    int fd = open("from_guest", O_CREAT | O_EXCL | O_RDWR, 0640);
    MUST(fd >= 0 && fchmod(fd, 0640) == 0);
    for (int i = 0; i < 1000; i++) MUST(write(fd, "written by the guest\n", 21) == 21);
    MUST(fsync(fd) == 0 && fstat(fd, &s) == 0 && s.st_size == 21000);
    MUST(pread(fd, text, 21, 999 * 21) == 21 && memcmp(text, "written by the guest\n", 21) == 0);
    close(fd);
    MUST(link("from_guest", "hard") == 0 && stat("hard", &s) == 0 && s.st_nlink == 2);
}

static void change_names(void) {
    struct stat s;
    MUST(rename("to_rename", "renamed") == 0 && stat("to_rename", &s) < 0 && errno == ENOENT);
    MUST(unlink("to_unlink") == 0 && mkdir("sub/made", 0755) == 0);
    MUST(rmdir("sub") < 0 && errno == ENOTEMPTY);
    MUST(symlink("../elsewhere", "link") == 0);
    MUST(close(open("also \xfe\xff", O_CREAT | O_WRONLY, 0644)) == 0);
    MUST(stat("not \xff UTF-8", &s) == 0 && s.st_size == 14);
    MUST(stat("fifo", &s) == 0 && S_ISFIFO(s.st_mode));
}

// A link is followed in the guest: it leads to what the guest has there, and to nothing of the host's.
static void links_lead_nowhere(void) {
    char text[64];
    MUST(readlink("out", text, sizeof text) == 13 && memcmp(text, "/etc/hostname", 13) == 0);
    MUST(open("out", O_RDONLY) < 0 && errno == ENOENT);
    MUST(open("up", O_RDONLY) < 0 && errno == ENOENT);
    MUST(open("../secret", O_RDONLY) < 0 && errno == ENOENT);
}

static void list(void) {
    static const char *const names[] = {"from_host", "from_guest", "hard", "renamed", "sub", "link", "also \xfe\xff", "not \xff UTF-8",
                                        "fifo", "out", "up"};
    unsigned found = 0, count = 0;
    DIR *dir = opendir(".");
    MUST(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat s;
        MUST(lstat(e->d_name, &s) == 0);
        if (strcmp(e->d_name, "..") != 0) MUST(s.st_ino == e->d_ino);
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++) found += strcmp(e->d_name, names[i]) == 0;
        count++;
    }
    closedir(dir);
    MUST(found == sizeof names / sizeof *names && count == found + 2);
}

int main(int argc, char **argv) {
    if (argc == 3) return read_only(argv[2]);
    MUST(argc == 2 && chdir(argv[1]) == 0);
    write_and_read();
    change_names();
    links_lead_nowhere();
    list();
    puts("all is well");
    return 3;
}
