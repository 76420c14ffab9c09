// What programs ask of a file whose driver tells more than its data: poll, select and epoll, ioctl, copy_file_range.
#include "tests/linux/lt.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "tests/linux/fuse.h"

#define SET_EVENTS _IOW('E', 1, uint32_t)  // what POLL answers from now on
#define TELL       _IO('E', 2)             // NOTIFY_POLL
#define POLLS      _IO('E', 3)             // how often POLL was asked
#define TURN       _IOWR('E', 4, uint64_t)
#define COPIED     _IO('E', 5)             // bytes

// ---- the driver ---------------------------------------------------------------------------------------------------------------

static uint64_t poll_number;
static uint32_t events, polls, copied;

static int tell(int fd) {
    const struct {
        struct fuse_out_header header;
        struct fuse_notify_poll_wakeup_out out;
    } notice = {{sizeof notice, FUSE_NOTIFY_POLL, 0}, {poll_number}};
    return write(fd, &notice, sizeof notice) == sizeof notice ? 0 : -errno;
}

static int answer_poll(int fd) {
    const struct fuse_poll_in *in = body();
    const struct fuse_poll_out out = {.revents = events};
    if (in->flags & FUSE_POLL_SCHEDULE_NOTIFY) poll_number = in->kh;
    polls++;
    return answer(fd, 0, &out, sizeof out);
}

static int answer_ioctl(int fd) {
    const struct fuse_ioctl_in *in = body();
    const uint8_t *data = (const uint8_t *)(in + 1);
    struct {
        struct fuse_ioctl_out out;
        uint8_t data[8];
    } reply = {.out.result = 0};
    switch (in->cmd) {
    case SET_EVENTS: memcpy(&events, data, sizeof events); break;
    case TELL: reply.out.result = tell(fd); break;
    case POLLS: reply.out.result = (int32_t)polls; break;
    case COPIED: reply.out.result = (int32_t)copied; break;
    case TURN:
        for (unsigned i = 0; i < 8; i++) reply.data[i] = data[7 - i];
        return answer(fd, 0, &reply, sizeof reply);
    default: return answer(fd, -ENOTTY, NULL, 0);
    }
    return answer(fd, 0, &reply.out, sizeof reply.out);
}

static int answer_copy(int fd) {
    const struct fuse_copy_file_range_in *in = body();
    const struct fuse_write_out out = {.size = (uint32_t)in->len};
    copied += (uint32_t)in->len;
    return answer(fd, 0, &out, sizeof out);
}

static int more(int fd) {
    switch (asked.header.opcode) {
    case FUSE_POLL: return answer_poll(fd);
    case FUSE_IOCTL: return answer_ioctl(fd);
    case FUSE_COPY_FILE_RANGE: return answer_copy(fd);
    default: return answer(fd, -ENOSYS, NULL, 0);
    }
}

// ---- its users ------------------------------------------------------------------------------------------------------------------

static pid_t driver;

static int begin(void) {
    ready_for_fuse();
    serve_more = more;
    driver = start();
    return (int)LT_OK(open("m/f", O_RDWR));
}

static void end(int file) {
    LT_OK(close(file));
    LT_OK(umount2("m", MNT_DETACH));
    LT_EQUAL(ended(driver), 0);
}

static void set(int file, uint32_t now) { LT_OK(ioctl(file, SET_EVENTS, &now)); }

static int poll_now(int file, short wanted, int timeout) {
    struct pollfd p = {.fd = file, .events = wanted};
    const int found = (int)LT_OK(poll(&p, 1, timeout));
    LT_EQUAL(found, p.revents != 0);
    return p.revents;
}

LT_TEST(an_ioctl_goes_to_the_driver) {
    const int file = begin();
    char bytes[9] = "12345678";
    LT_EQUAL(ioctl(file, TURN, bytes), 0);
    LT_TEXT(bytes, "87654321");
    LT_ERRNO(ioctl(file, TURN, LT_BAD_ADDRESS), EFAULT);
    LT_ERRNO(ioctl(file, _IO('E', 99)), ENOTTY);
    LT_EQUAL(isatty(file), 0);
    LT_EQUAL(errno, ENOTTY);
    int left = -1;
    LT_OK(ioctl(file, FIONREAD, &left));
    LT_EQUAL(left, sizeof TEXT_OF_FILE - 1);
    end(file);
}

LT_TEST(poll_and_select_ask_the_driver) {
    const int file = begin();
    LT_EQUAL(poll_now(file, POLLIN | POLLOUT, 0), 0);
    set(file, POLLIN | POLLPRI);
    LT_EQUAL(poll_now(file, POLLIN | POLLOUT, -1), POLLIN);
    LT_EQUAL(poll_now(file, POLLOUT, 0), 0);
    LT_EQUAL(poll_now(file, POLLPRI, -1), POLLPRI);
    set(file, POLLOUT);
    fd_set in, out;
    FD_ZERO(&in);
    FD_SET(file, &in);
    out = in;
    LT_EQUAL(select(file + 1, &in, &out, NULL, NULL), 1);
    LT_CHECK(!FD_ISSET(file, &in) && FD_ISSET(file, &out));
    set(file, POLLHUP | POLLERR);
    LT_EQUAL(poll_now(file, POLLIN, -1), POLLHUP | POLLERR);
    end(file);
}

// Who waits is told, and not by what it does not wait for.
LT_TEST(who_waits_is_told) {
    const int file = begin();
    const pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        struct pollfd p = {.fd = file, .events = POLLIN};
        _exit(poll(&p, 1, -1) == 1 && p.revents == POLLIN ? 0 : 1);
    }
    while (ioctl(file, POLLS) == 0) usleep(1000);
    set(file, POLLOUT);
    LT_OK(ioctl(file, TELL));
    while (ioctl(file, POLLS) < 2) usleep(1000);
    LT_EQUAL(waitpid(child, NULL, WNOHANG), 0);
    set(file, POLLIN);
    LT_OK(ioctl(file, TELL));
    LT_EQUAL(ended(child), 0);
    end(file);
}

static int epoll_of(int file, uint32_t wanted) {
    const int set = (int)LT_OK(epoll_create1(0));
    LT_OK(epoll_ctl(set, EPOLL_CTL_ADD, file, &(struct epoll_event){.events = wanted, .data.u32 = 5}));
    return set;
}

static uint32_t wait_once(int set, int timeout) {
    struct epoll_event event = {.events = 0};
    const int found = (int)LT_OK(epoll_wait(set, &event, 1, timeout));
    if (found == 1) LT_EQUAL(event.data.u32, 5);
    return found == 1 ? event.events : 0;
}

LT_TEST(epoll_by_level) {
    const int file = begin(), poll_set = epoll_of(file, EPOLLIN);
    LT_EQUAL(wait_once(poll_set, 0), 0);
    set(file, POLLIN | POLLOUT);
    LT_OK(ioctl(file, TELL));
    LT_EQUAL(wait_once(poll_set, -1), EPOLLIN);
    LT_EQUAL(wait_once(poll_set, -1), EPOLLIN);
    set(file, POLLOUT);
    LT_EQUAL(wait_once(poll_set, 0), 0);
    LT_OK(epoll_ctl(poll_set, EPOLL_CTL_MOD, file, &(struct epoll_event){.events = EPOLLOUT, .data.u32 = 5}));
    LT_EQUAL(wait_once(poll_set, -1), EPOLLOUT);
    LT_OK(epoll_ctl(poll_set, EPOLL_CTL_DEL, file, NULL));
    LT_EQUAL(wait_once(poll_set, 0), 0);
    LT_OK(close(poll_set));
    end(file);
}

LT_TEST(epoll_by_edge_and_once) {
    const int file = begin();
    set(file, POLLIN);
    int poll_set = epoll_of(file, EPOLLIN | EPOLLET);
    LT_EQUAL(wait_once(poll_set, -1), EPOLLIN);
    LT_EQUAL(wait_once(poll_set, 0), 0);
    LT_OK(ioctl(file, TELL));
    LT_EQUAL(wait_once(poll_set, -1), EPOLLIN);
    LT_EQUAL(wait_once(poll_set, 0), 0);
    LT_OK(close(poll_set));
    set(file, 0);
    poll_set = epoll_of(file, EPOLLIN | EPOLLONESHOT);
    set(file, POLLOUT);
    LT_OK(ioctl(file, TELL));
    LT_EQUAL(wait_once(poll_set, 0), 0);  // not by what was not asked for
    set(file, POLLIN);
    LT_OK(ioctl(file, TELL));
    LT_EQUAL(wait_once(poll_set, -1), EPOLLIN);
    LT_OK(ioctl(file, TELL));
    LT_EQUAL(wait_once(poll_set, 0), 0);
    LT_OK(close(poll_set));
    end(file);
}

LT_TEST(who_polls_learns_of_the_drivers_end) {
    const int file = begin();
    const pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        struct pollfd p = {.fd = file, .events = POLLIN};
        _exit(poll(&p, 1, -1) == 1 && p.revents == POLLERR ? 0 : 1);
    }
    while (ioctl(file, POLLS) == 0) usleep(1000);
    LT_OK(kill(driver, SIGKILL));
    LT_EQUAL(ended(driver), SIGKILL);
    LT_EQUAL(ended(child), 0);
    LT_EQUAL(poll_now(file, POLLIN, -1), POLLERR);
    (void)close(file);  // Linux: ENOTCONN
    LT_OK(umount2("m", MNT_DETACH));
}

// A driver without the operation is one whose files are always ready.
LT_TEST(a_driver_that_tells_nothing) {
    ready_for_fuse();
    serve_more = NULL;
    driver = start();
    const int file = (int)LT_OK(open("m/f", O_RDONLY));
    LT_EQUAL(poll_now(file, POLLIN | POLLOUT, -1), POLLIN | POLLOUT);
    LT_ERRNO(ioctl(file, POLLS), is_kpio() ? ENOTTY : errno);  // Linux: ENOSYS before 6.0
    end(file);
}

LT_TEST(copies_are_the_drivers) {
    const int file = begin(), other = (int)LT_OK(open("m/f", O_RDWR));
    loff_t from = 0, to = 10;
    LT_EQUAL(copy_file_range(file, &from, other, &to, 4, 0), 4);
    LT_EQUAL(from, 4);
    LT_EQUAL(to, 14);
    LT_EQUAL(ioctl(file, COPIED), 4);
    LT_OK(close(other));
    end(file);
}
