// A driver of FUSE that speaks the protocol by itself, and a folder "m" to mount it on: for programs of tests/linux, after lt.h.
#pragma once
#include <limits.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "abi/fuse.h"
#include "tests/linux/host.h"
#include "tests/linux/lt.h"

#define MESSAGE (1 << 17)
#define FILE_NODE 2
#define TEXT_OF_FILE "what the driver says"

static char here[PATH_MAX];          // where the case runs

// An empty folder "m" to mount on.
static void ready(void) {
    mount_apart();
    LT_CHECK(getcwd(here, sizeof here) != NULL);
    LT_OK(mkdir("m", 0755));
    if (mount("none", "m", "tmpfs", 0, NULL) != 0) LT_SKIP("mounting: %s", strerror(errno));
    LT_OK(umount("m"));
}

static void ready_for_fuse(void) {
    ready();
    int fd = open("/dev/fuse", O_RDWR);
    if (fd < 0) LT_SKIP("/dev/fuse: %s", strerror(errno));
    close(fd);
}

// ---- a driver -----------------------------------------------------------------------------------------------------------------

static union {
    struct fuse_in_header header;
    char bytes[MESSAGE];
} asked;

static void *body(void) { return asked.bytes + sizeof asked.header; }

static int answer(int fd, int error, const void *data, size_t bytes) {
    struct fuse_out_header h = {.len = (uint32_t)(sizeof h + bytes), .error = error, .unique = asked.header.unique};
    struct iovec parts[] = {{&h, sizeof h}, {(void *)data, bytes}};
    return writev(fd, parts, 2) == (ssize_t)h.len || errno == ENOENT ? 0 : -1;  // ENOENT: who waited has gone
}

static struct fuse_attr attr_of(uint64_t node) {
    return (struct fuse_attr){.ino = node, .nlink = 1, .size = node == FUSE_ROOT ? 0 : sizeof TEXT_OF_FILE - 1,
                              .mode = node == FUSE_ROOT ? 0040755 : 0100644, .blksize = 4096};
}

static int answer_init(int fd) {
    const struct fuse_init_in *in = body();
    const struct fuse_init_out out = {.major = 7, .minor = in->minor < 31 ? in->minor : 31, .max_readahead = in->max_readahead,
                                      .max_write = 65536, .flags = in->flags & FUSE_PARALLEL_DIROPS};  // else one look-up waits for another
    return answer(fd, 0, &out, sizeof out);
}

// "f" is there; "hang" is never answered; "up" asks the mount itself.
static int answer_lookup(int fd) {
    const char *name = body();
    struct fuse_entry_out e = {.nodeid = FILE_NODE, .attr = attr_of(FILE_NODE)};
    if (strcmp(name, "hang") == 0) return 0;
    if (strcmp(name, "up") == 0) return answer(fd, stat("m/f", &(struct stat){0}) == 0 ? -EEXIST : -errno, NULL, 0);
    return strcmp(name, "f") == 0 ? answer(fd, 0, &e, sizeof e) : answer(fd, -ENOENT, NULL, 0);
}

static int answer_read(int fd) {
    const struct fuse_read_in *in = body();
    const size_t all = sizeof TEXT_OF_FILE - 1, at = in->offset < all ? (size_t)in->offset : all;
    return answer(fd, 0, TEXT_OF_FILE + at, all - at < in->size ? all - at : in->size);
}

static int (*serve_more)(int fd);  // the operations that serve_one has not; NULL: ENOSYS

// One message: -1, there will be no more.
static int serve_one(int fd) {
    const struct fuse_open_out opened = {.fh = 7};
    const struct fuse_statfs_out statistics = {.bsize = 512, .frsize = 512, .blocks = 1234, .namelen = 100};
    struct fuse_attr_out attr = {.attr = attr_of(asked.header.nodeid)};
    ssize_t bytes = read(fd, &asked, sizeof asked);
    if (bytes < 0) return -1;
    if (bytes < (ssize_t)sizeof asked.header || (uint32_t)bytes != asked.header.len) _exit(9);
    asked.bytes[bytes] = 0;
    switch (asked.header.opcode) {
    case FUSE_INIT: return answer_init(fd);
    case FUSE_LOOKUP: return answer_lookup(fd);
    case FUSE_GETATTR: attr.attr = attr_of(asked.header.nodeid); return answer(fd, 0, &attr, sizeof attr);
    case FUSE_OPEN:
    case FUSE_OPENDIR: return answer(fd, 0, &opened, sizeof opened);
    case FUSE_READ: return answer_read(fd);
    case FUSE_READDIR: return answer(fd, 0, NULL, 0);
    case FUSE_STATFS: return answer(fd, 0, &statistics, sizeof statistics);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FLUSH: return answer(fd, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return 0;
    default: return serve_more != NULL ? serve_more(fd) : answer(fd, -ENOSYS, NULL, 0);
    }
}

// The end of the connection: ENODEV, or ECONNABORTED where it came while a request was being handed over, which no umount waits for.
static void serve(int fd) {
    while (serve_one(fd) == 0) {
    }
    _exit(errno == ENODEV || errno == ECONNABORTED ? 0 : errno);
}

static int mount_fd(int fd, const char *where, const char *type, unsigned long flags) {
    char options[200];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", fd, (int)getuid(), (int)getgid());
    return mount("the source", where, type, flags, options);
}

// Mounted on "m", served by a child, which alone has the channel.
static pid_t start(void) {
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR | O_CLOEXEC));
    LT_OK(mount_fd(fd, "m", "fuse.test", 0));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) serve(fd);
    LT_OK(close(fd));
    return child;
}

static int ended(pid_t child) {
    int status;
    LT_EQUAL(waitpid(child, &status, 0), child);
    return status;
}
