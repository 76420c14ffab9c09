// mount, umount and /dev/fuse, with a driver that speaks the protocol by itself. Where the host does not let a test mount, on KPIO only.
// also: dynamic
#define LT_BEGIN begin
static void begin(int argc, char **argv);
#include "tests/linux/lt.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "abi/fuse.h"

#define CLONE_CHANNEL _IOR(229, 0, uint32_t)
#define MESSAGE (1 << 17)
#define FILE_NODE 2
#define TEXT_OF_FILE "what the driver says"

static char self[PATH_MAX], here[PATH_MAX];

static void begin(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "say") == 0) _exit(atoi(argv[2]));
    LT_OK(readlink("/proc/self/exe", self, sizeof self - 1));
}

static int is_kpio(void) {
    struct utsname name;
    LT_OK(uname(&name));
    return strstr(name.version, "KPIO") != NULL;
}

// A name space of our own, where that is needed and may be had; an empty folder "m" to mount on.
static void ready(void) {
    static int apart;
    if (!is_kpio() && !apart) {
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) LT_SKIP("this host lets nobody mount");
        apart = 1;
    }
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
    default: return answer(fd, -ENOSYS, NULL, 0);
    }
}

static void serve(int fd) {
    while (serve_one(fd) == 0) {
    }
    _exit(errno == ENODEV ? 0 : errno);
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

static void read_file(const char *path) {
    char text[64];
    int fd = (int)LT_OK(open(path, O_RDONLY));
    ssize_t bytes = read(fd, text, sizeof text);
    LT_EQUAL(bytes, sizeof TEXT_OF_FILE - 1);
    LT_EQUAL(memcmp(text, TEXT_OF_FILE, (size_t)bytes), 0);
    LT_OK(close(fd));
}

// The line of a file of /proc that has this in it; "" there is none.
static const char *line_with(const char *path, const char *what) {
    static char line[PATH_MAX + 400];
    FILE *file = fopen(path, "r");
    LT_CHECK(file != NULL);
    int found = 0;
    while (!found && fgets(line, sizeof line, file) != NULL) found = strstr(line, what) != NULL;
    fclose(file);
    return found ? line : "";
}

// ---- the device ---------------------------------------------------------------------------------------------------------------

LT_TEST(the_device) {
    struct stat s;
    char path[64], link[64];
    ready_for_fuse();
    LT_OK(stat("/dev/fuse", &s));
    LT_CHECK(S_ISCHR(s.st_mode) && major(s.st_rdev) == 10 && minor(s.st_rdev) == 229);
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR | O_NONBLOCK));
    LT_OK(fstat(fd, &s));
    LT_CHECK(S_ISCHR(s.st_mode) && major(s.st_rdev) == 10 && minor(s.st_rdev) == 229);
    LT_CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t bytes = LT_OK(readlink(path, link, sizeof link - 1));
    link[bytes] = 0;
    LT_TEXT(link, "/dev/fuse");
    LT_CHECK(strstr(line_with("/proc/filesystems", "fuse"), "fuse") != NULL);
}

LT_TEST(what_mount_refuses) {
    ready_for_fuse();
    lt_make("file", "x");
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR)), other = (int)LT_OK(open("file", O_RDWR));
    LT_ERRNO(mount_fd(fd, "nowhere", "fuse", 0), ENOENT);
    LT_ERRNO(mount_fd(fd, "m", "nosuchtype", 0), ENODEV);
    LT_ERRNO(mount_fd(other, "m", "fuse", 0), EINVAL);
    LT_ERRNO(mount_fd(99, "m", "fuse", 0), EINVAL);
    LT_ERRNO(mount("x", "m", "fuse", 0, "rootmode=40000,user_id=0,group_id=0"), EINVAL);
    LT_ERRNO(mount("x", "m", "fuse", 0, "fd=3,user_id=0,group_id=0"), EINVAL);
    LT_ERRNO(mount("x", "m", "fuse", 0, NULL), EINVAL);
    LT_ERRNO(mount("x", "m", NULL, 0, NULL), EINVAL);
    LT_ERRNO(mount("x", LT_BAD_ADDRESS, "fuse", 0, NULL), EFAULT);
    LT_ERRNO(umount("m"), EINVAL);
    LT_ERRNO(umount("nowhere"), ENOENT);
    LT_ERRNO(umount2("m", 64), EINVAL);
    LT_OK(mount_fd(fd, "m", "fuse", 0));  // none of these used it up
    LT_CHECK(mount_fd(fd, "m", "fuse", 0) == -1);
    LT_OK(umount2("m", MNT_DETACH));
}

LT_TEST(a_driver_serves_its_mount) {
    struct stat s;
    struct statfs f;
    ready_for_fuse();
    pid_t driver = start();
    read_file("m/f");
    LT_OK(stat("m/f", &s));
    LT_EQUAL(s.st_size, sizeof TEXT_OF_FILE - 1);
    LT_ERRNO(stat("m/nothing", &s), ENOENT);
    LT_OK(statfs("m", &f));
    LT_CHECK(f.f_blocks == 1234 && f.f_type == 0x65735546);
    LT_OK(umount("m"));
    LT_EQUAL(ended(driver), 0);
    LT_ERRNO(stat("m/f", &s), ENOENT);
}

LT_TEST(the_list_of_mounts) {
    char point[PATH_MAX + 20], words[PATH_MAX + 100];
    ready_for_fuse();
    pid_t driver = start();
    snprintf(point, sizeof point, " %s/m ", here);
    snprintf(words, sizeof words, "the\\040source%sfuse.test rw", point);
    LT_CHECK(strncmp(line_with("/proc/mounts", point), words, strlen(words)) == 0);
    snprintf(words, sizeof words, " - fuse.test the\\040source rw");
    LT_CHECK(strstr(line_with("/proc/self/mountinfo", point), words) != NULL);
    LT_OK(umount("m"));
    LT_EQUAL(ended(driver), 0);
    LT_TEXT(line_with("/proc/mounts", point), "");
}

// The other processes see it, and it stays when who mounted it ends.
LT_TEST(a_mount_is_everybodys) {
    ready_for_fuse();
    int made[2];
    LT_OK(pipe(made));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {  // as a driver that becomes a daemon
        int fd = open("/dev/fuse", O_RDWR);
        if (fd < 0 || mount_fd(fd, "m", "fuse", 0) != 0) _exit(1);
        pid_t daemon = fork();
        if (daemon == 0) {
            close(made[1]);
            serve(fd);
        }
        _exit(daemon < 0 ? 2 : 0);
    }
    LT_OK(close(made[1]));
    char byte;
    LT_EQUAL(read(made[0], &byte, 1), 0);
    LT_EQUAL(ended(child), 0);
    read_file("m/f");
    child = (pid_t)LT_OK(fork());
    if (child == 0) {
        read_file("m/f");
        _exit(0);
    }
    LT_EQUAL(ended(child), 0);
    LT_OK(umount("m"));
}

LT_TEST(read_only) {
    ready_for_fuse();
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR | O_CLOEXEC));
    LT_OK(mount_fd(fd, "m", "fuse", MS_RDONLY));
    pid_t driver = (pid_t)LT_OK(fork());
    if (driver == 0) serve(fd);
    LT_OK(close(fd));
    LT_ERRNO(open("m/f", O_RDWR), EROFS);
    LT_ERRNO(mkdir("m/d", 0755), EROFS);
    read_file("m/f");
    LT_OK(umount("m"));
    LT_EQUAL(ended(driver), 0);
}

// ---- the end --------------------------------------------------------------------------------------------------------------------

LT_TEST(a_driver_that_dies) {
    struct stat s;
    ready_for_fuse();
    pid_t driver = start();
    int open_file = (int)LT_OK(open("m/f", O_RDONLY));
    LT_OK(kill(driver, SIGKILL));
    LT_EQUAL(ended(driver), SIGKILL);
    LT_ERRNO(stat("m/f", &s), ENOTCONN);
    LT_ERRNO(open("m/f", O_RDONLY), ENOTCONN);
    (void)close(open_file);  // Linux: ENOTCONN
    LT_OK(umount("m"));
    LT_ERRNO(stat("m/f", &s), ENOENT);
    driver = start();
    read_file("m/f");
    LT_OK(umount("m"));
    LT_EQUAL(ended(driver), 0);
}

LT_TEST(who_waits_for_a_driver_that_dies) {
    ready_for_fuse();
    pid_t driver = start();
    pid_t waiter = (pid_t)LT_OK(fork());
    if (waiter == 0) {
        int result = stat("m/hang", &(struct stat){0});
        _exit(result == -1 && (errno == ENOTCONN || errno == ECONNABORTED) ? 0 : 1);
    }
    read_file("m/f");
    LT_OK(kill(driver, SIGKILL));
    LT_EQUAL(ended(driver), SIGKILL);
    LT_EQUAL(ended(waiter), 0);
    LT_OK(umount("m"));
}

LT_TEST(what_is_in_use_stays) {
    ready_for_fuse();
    pid_t driver = start();
    int fd = (int)LT_OK(open("m/f", O_RDONLY));
    LT_ERRNO(umount("m"), EBUSY);
    LT_OK(umount2("m", MNT_DETACH));
    LT_ERRNO(open("m/f", O_RDONLY), ENOENT);
    char byte;
    LT_EQUAL(pread(fd, &byte, 1, 3), 1);
    LT_EQUAL(byte, TEXT_OF_FILE[3]);
    LT_OK(close(fd));
    LT_EQUAL(ended(driver), 0);
}

LT_TEST(by_force) {
    ready_for_fuse();
    pid_t driver = start();
    pid_t waiter = (pid_t)LT_OK(fork());
    if (waiter == 0) {
        int result = stat("m/hang", &(struct stat){0});
        _exit(result == -1 && (errno == ENOTCONN || errno == ECONNABORTED || errno == ENOENT) ? 0 : 1);  // ENOENT: it came too late
    }
    read_file("m/f");
    (void)umount2("m", MNT_FORCE);  // or EBUSY, while the waiter is still on its way
    LT_EQUAL(ended(waiter), 0);
    if (umount("m") != 0) LT_EQUAL(errno, EINVAL);
    LT_EQUAL(ended(driver), 0);
}

LT_TEST(a_mount_in_a_mount_goes_with_it) {
    ready();
    LT_OK(mount("none", "m", "tmpfs", 0, NULL));
    LT_OK(mkdir("m/in", 0755));
    LT_OK(mount("none", "m/in", "tmpfs", 0, NULL));
    LT_OK(mkdir("m/in/there", 0755));
    LT_ERRNO(umount("m"), EBUSY);
    LT_OK(umount2("m", MNT_DETACH));
    LT_ERRNO(access("m/in", F_OK), ENOENT);
    LT_TEXT(line_with("/proc/mounts", "/m/in "), "");
}

// ---- descriptors ------------------------------------------------------------------------------------------------------------------

LT_TEST(waiting_for_requests) {
    ready_for_fuse();
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR | O_NONBLOCK));
    LT_OK(mount_fd(fd, "m", "fuse", 0));
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    LT_EQUAL(poll(&p, 1, -1), 1);
    LT_EQUAL(p.revents, POLLIN | POLLOUT);
    LT_EQUAL(serve_one(fd), 0);
    LT_EQUAL(asked.header.opcode, FUSE_INIT);
    LT_ERRNO(read(fd, &asked, sizeof asked), EAGAIN);
    p.revents = 0;
    LT_EQUAL(poll(&p, 1, 0), 1);
    LT_EQUAL(p.revents, POLLOUT);
    int epoll = (int)LT_OK(epoll_create1(0));
    LT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.u32 = 5}));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(stat("m/nothing", &(struct stat){0}) == -1 && errno == ENOENT ? 0 : 1);
    struct epoll_event event;
    LT_EQUAL(epoll_wait(epoll, &event, 1, -1), 1);
    LT_CHECK(event.events == EPOLLIN && event.data.u32 == 5);
    while (waitpid(child, NULL, WNOHANG) == 0) {
        if (epoll_wait(epoll, &event, 1, 20) == 1) LT_EQUAL(serve_one(fd), 0);
    }
    LT_OK(umount2("m", MNT_DETACH));
    p = (struct pollfd){.fd = fd};
    LT_EQUAL(poll(&p, 1, -1), 1);
    LT_EQUAL(p.revents, POLLERR);
    LT_ERRNO(read(fd, &asked, sizeof asked), ENODEV);
}

// What one thread of a driver reads, another may answer, through whatever descriptor.
LT_TEST(duplicates_and_clones) {
    ready_for_fuse();
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR)), clone = (int)LT_OK(open("/dev/fuse", O_RDWR | O_CLOEXEC)), copy = (int)LT_OK(dup(fd));
    uint32_t number = (uint32_t)fd;
    LT_OK(mount_fd(fd, "m", "fuse", 0));
    LT_EQUAL(serve_one(fd), 0);
    LT_OK(ioctl(clone, CLONE_CHANNEL, &number));
    LT_EQUAL(fcntl(clone, F_GETFD), FD_CLOEXEC);
    number = 99;
    LT_CHECK(ioctl(copy, CLONE_CHANNEL, &number) == -1);
    const int through[] = {clone, copy, fd};
    for (unsigned i = 0; i < 3; i++) {
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) _exit(access("m/nothing", F_OK) == -1 && errno == ENOENT ? 0 : 1);
        do LT_EQUAL(serve_one(through[i]), 0);
        while (asked.header.opcode != FUSE_LOOKUP);
        LT_EQUAL(ended(child), 0);
    }
    LT_OK(umount2("m", MNT_DETACH));
}

LT_TEST(messages_in_many_pieces) {
    ready_for_fuse();
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR));
    LT_OK(mount_fd(fd, "m", "fuse", 0));
    static char room[MESSAGE];
    struct iovec parts[64] = {{&asked.header, sizeof asked.header}, {room, sizeof room}};
    LT_ERRNO(readv(fd, parts, 1), EINVAL);  // too little room for any
    LT_CHECK(readv(fd, parts, 2) > (ssize_t)sizeof asked.header);
    LT_EQUAL(asked.header.opcode, FUSE_INIT);
    const struct fuse_init_in *in = (const struct fuse_init_in *)room;
    LT_EQUAL(in->major, 7);
    struct {
        struct fuse_out_header header;
        struct fuse_init_out out;
    } reply = {{sizeof reply, 0, asked.header.unique}, {.major = 7, .minor = in->minor < 31 ? in->minor : 31, .max_write = 65536}};
    unsigned count = 0;
    for (unsigned at = 0; at < sizeof reply; at += 3, count++)
        parts[count] = (struct iovec){(char *)&reply + at, sizeof reply - at < 3 ? sizeof reply - at : 3};
    LT_EQUAL(writev(fd, parts, (int)count), sizeof reply);
    LT_ERRNO(writev(fd, parts, (int)count), ENOENT);  // nobody waits for it any more
    LT_ERRNO(write(fd, &reply, 8), EINVAL);
    struct iovec bad = {LT_BAD_ADDRESS, sizeof reply};
    LT_ERRNO(writev(fd, &bad, 1), EFAULT);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(access("m/f", F_OK) == 0 ? 0 : 1);
    do LT_EQUAL(serve_one(fd), 0);
    while (asked.header.opcode != FUSE_LOOKUP);
    while (waitpid(child, NULL, WNOHANG) == 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 20) == 1) LT_EQUAL(serve_one(fd), 0);
    }
    LT_OK(umount2("m", MNT_DETACH));
}

// As a program that mounts for another does: the channel goes over a socket.
LT_TEST(a_channel_over_a_socket) {
    int pair[2], fd = -1;
    char byte = 0, space[CMSG_SPACE(sizeof fd)];
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ready_for_fuse();
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        fd = open("/dev/fuse", O_RDWR);
        if (fd < 0 || mount_fd(fd, "m", "fuse", 0) != 0) _exit(1);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
        _exit(sendmsg(pair[1], &m, 0) == 1 ? 0 : 2);
    }
    LT_EQUAL(recvmsg(pair[0], &m, 0), 1);
    LT_CHECK(CMSG_FIRSTHDR(&m) != NULL);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    LT_EQUAL(ended(child), 0);
    pid_t driver = (pid_t)LT_OK(fork());
    if (driver == 0) serve(fd);
    LT_OK(close(fd));
    read_file("m/f");
    LT_OK(umount("m"));
    LT_EQUAL(ended(driver), 0);
}

// ---- other mounts ------------------------------------------------------------------------------------------------------------------

LT_TEST(memory_and_folders) {
    char text[8] = "";
    ready();
    LT_OK(mkdir("n", 0755));
    LT_OK(mount("none", "m", "tmpfs", 0, NULL));
    lt_make("m/x", "in it");
    LT_OK(mount("m", "n", NULL, MS_BIND, NULL));
    int fd = (int)LT_OK(open("n/x", O_RDONLY));
    LT_EQUAL(read(fd, text, sizeof text), 5);
    LT_OK(close(fd));
    lt_make("n/y", "y");
    LT_OK(access("m/y", F_OK));
    LT_OK(umount("n"));
    LT_ERRNO(access("n/x", F_OK), ENOENT);
    LT_OK(umount("m"));
    LT_ERRNO(access("m/x", F_OK), ENOENT);
}

// A mount may give less than the root does: programs are found from the root all the same.
LT_TEST(programs_run_from_within_a_mount) {
    ready_for_fuse();
    pid_t driver = start();
    LT_OK(chdir("m"));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        execl(self, self, "say", "37", NULL);
        _exit(errno);
    }
    LT_EQUAL(ended(child), 37 << 8);
    LT_OK(chdir(here));
    child = (pid_t)LT_OK(fork());
    if (child == 0) {
        execl(self, self, "say", "38", NULL);
        _exit(errno);
    }
    LT_EQUAL(ended(child), 38 << 8);
    LT_OK(umount("m"));
    LT_EQUAL(ended(driver), 0);
}

// ---- on KPIO only --------------------------------------------------------------------------------------------------------------------

LT_TEST(a_driver_that_uses_its_own_mount) {
    if (!is_kpio()) LT_SKIP("it would wait for itself");
    ready_for_fuse();
    pid_t driver = start();
    LT_ERRNO(stat("m/up", &(struct stat){0}), EDEADLK);
    read_file("m/f");
    LT_OK(umount("m"));
    LT_EQUAL(ended(driver), 0);
}

LT_TEST(what_goes_through_a_mount) {
    char point[PATH_MAX + 20], kind[40], source[40], state[20];
    unsigned long driver = 0, waiting = 9, answering = 9, requests = 0;
    if (!is_kpio()) LT_SKIP("a file of KPIO's own");
    ready_for_fuse();
    pid_t child = start();
    read_file("m/f");
    snprintf(point, sizeof point, "%s/m ", here);
    const char *line = line_with("/proc/kpio/mounts", point);
    LT_EQUAL(sscanf(line, "%*s %39s %39s %19s %lu %lu %lu %lu", kind, source, state, &driver, &waiting, &answering, &requests), 7);
    LT_TEXT(kind, "fuse.test");
    LT_TEXT(source, "the\\040source");
    LT_TEXT(state, "ready");
    LT_EQUAL(driver, child);
    LT_CHECK(requests >= 3);
    LT_OK(umount("m"));
    LT_EQUAL(ended(child), 0);
}
