// A folder whose driver begins anew, so that another mount takes the old one's place (tests/system/test_folders.py):
//   exchange FOLDER     asks until that has happened; what is said then of a file that was open, and of the same file by its name
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT "what it was"

static const char *path_of(const char *folder, const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int save(const char *path) {
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    return fd >= 0 && write(fd, TEXT, sizeof TEXT - 1) == sizeof TEXT - 1 && fsync(fd) == 0 ? fd : -1;
}

// 0: one that is not there was asked for.
static int ask(const char *folder, unsigned number) {
    char name[32];
    snprintf(name, sizeof name, "none%u", number);
    return access(path_of(folder, name), F_OK) == 0 ? EEXIST : errno == ENOENT ? 0 : errno;
}

int main(int argc, char **argv) {
    char text[32] = "";
    int held = argc == 2 ? save(path_of(argv[1], "held")) : -1, error = 0, again;
    if (held < 0) return perror("held"), 1;
    for (unsigned number = 0; error == 0; number++) error = ask(argv[1], number);
    printf("lost: %s\n", error == ENOTCONN ? "ENOTCONN" : strerror(error));
    while ((again = open(path_of(argv[1], "held"), O_RDONLY)) < 0 && (errno == ENOTCONN || errno == ENOENT)) usleep(1000);
    if (again < 0 || read(again, text, sizeof text - 1) < 0) return perror("again"), 1;
    printf("again: %s\n", text);
    error = ftruncate(held, 3) == 0 ? 0 : errno;
    printf("held: %s\n", error == ENOTCONN ? "ENOTCONN" : strerror(error));
    return save(path_of(argv[1], "after")) >= 0 ? 0 : 1;
}
