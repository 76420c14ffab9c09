// mount, umount and /dev/fuse, with a driver that speaks the protocol by itself. Where the host does not let a test mount, on KPIO only.
// also: dynamic
#define LT_BEGIN begin
static void begin(int argc, char **argv);
#include "tests/linux/lt.h"

#include <dirent.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "tests/linux/fuse.h"

#define CLONE_CHANNEL _IOR(229, 0, uint32_t)

static char self[PATH_MAX];

static void begin(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "say") == 0) _exit(atoi(argv[2]));
    LT_OK(readlink("/proc/self/exe", self, sizeof self - 1));
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

// As libfuse does where its pipes are large enough: a request goes into one, an answer out of one.
LT_TEST(messages_through_pipes) {
    int in[2], out[2];
    ready_for_fuse();
    int fd = (int)LT_OK(open("/dev/fuse", O_RDWR));
    LT_OK(mount_fd(fd, "m", "fuse", 0));
    LT_OK(pipe(in));
    LT_OK(pipe(out));
    LT_CHECK(fcntl(in[1], F_SETPIPE_SZ, 2 * MESSAGE) >= 2 * MESSAGE);
    LT_ERRNO(splice(fd, NULL, in[1], NULL, 100, 0), EINVAL);  // too little room for any
    const ssize_t bytes = LT_OK(splice(fd, NULL, in[1], NULL, MESSAGE, 0));
    LT_EQUAL(read(in[0], &asked, sizeof asked), bytes);
    LT_CHECK(asked.header.opcode == FUSE_INIT && asked.header.len == bytes);
    const struct fuse_init_in *init = body();
    const struct {
        struct fuse_out_header header;
        struct fuse_init_out out;
    } reply = {{sizeof reply, 0, asked.header.unique}, {.major = 7, .minor = init->minor < 31 ? init->minor : 31, .max_write = 65536}};
    LT_EQUAL(write(out[1], &reply, sizeof reply), sizeof reply);
    LT_EQUAL(splice(out[0], NULL, fd, NULL, sizeof reply, 0), sizeof reply);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(access("m/nothing", F_OK) == -1 && errno == ENOENT ? 0 : 1);
    do LT_EQUAL(serve_one(fd), 0);
    while (asked.header.opcode != FUSE_LOOKUP);
    LT_EQUAL(ended(child), 0);
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
