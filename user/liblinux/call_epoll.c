// epoll: a kernel port, which has all there is to know, so that duplicates and forks share it. A descriptor is one binding that
// looks afresh, a socket two. In the key of a binding:
//
//     bits 0..19 the number │ 20 second half of a socket │ 21..24 enum lx_ready_type │ 32..63 the events, as the program gave them
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/ready.h"
#include "user/liblinux/time.h"
#include "user/liblinux/wait.h"

struct epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)
#define PRIVATE_BITS   (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)

#define WITH_EXCLUSIVE (LX_POLLIN | LX_POLLOUT | LX_POLL_ALWAYS | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

#define NUMBER_MASK 0xfffffu
#define SECOND      (1u << 20)
#define TYPE_SHIFT  21u
static uint64_t key_of(uint64_t number, enum lx_ready_type type, uint32_t half, uint32_t events) {
    return number | (uint64_t)type << TYPE_SHIFT | (half != 0 ? SECOND : 0) | (uint64_t)events << 32;
}

// ---- the set -------------------------------------------------------------------------------------------------------------

const struct lx_fd_ops lx_epoll_ops = {.read = lx_no_transfer, .write = lx_no_transfer, .stat = lx_anonymous_stat};

static int64_t create(struct lx_thread *t, uint32_t flags) {
    if (flags & ~LX_O_CLOEXEC) return -EINVAL;
    int64_t handle = kpio_port_create();
    if (handle < 0) return handle;
    const struct lx_fd fd = {.kind = LX_KIND_EPOLL,
                             .flags = LX_FD_READ | LX_FD_WRITE | (flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0),
                             .handle = (kpio_handle)handle};
    return lx_fd_install(lx_process(t), &fd, 0);
}

LX_CALL(epoll_create) { return (int32_t)a0 <= 0 ? -EINVAL : create(t, 0); }
LX_CALL(epoll_create1) { return create(t, (uint32_t)a0); }

// The events that decide what is waited for. An edge is needed where a level could stay for nothing that was asked for.
static uint32_t mode_of(const struct lx_ready *r, uint32_t events) {
    if (events & EPOLLONESHOT) return KPIO_WATCH_ONCE;
    bool halves = r->type == LX_READY_SOCKET && !(events & (LX_POLL_IN | LX_POLL_OUT | LX_POLLRDHUP));
    return events & EPOLLET || halves ? KPIO_WATCH_EDGE : KPIO_WATCH_LEVEL;
}

static int64_t watch(const struct lx_fd *port, uint64_t number, const struct lx_ready *r, const struct epoll_event *event,
                     uint32_t change) {
    const uint32_t mode = mode_of(r, event->events) | change;
    for (uint32_t half = 0; half < 2; half++) {
        if (r->handle[half] <= 0) continue;
        int64_t error = kpio_port_watch(port->handle, r->handle[half], r->signals[half],
                                        key_of(number, r->type, half, event->events), mode, event->data);
        if (error == 0) continue;
        if (half == 1 && change == 0) (void)kpio_port_unbind(port->handle, r->handle[0], key_of(number, r->type, 0, 0));
        return error == -ENFILE ? -ENOMEM : error;
    }
    return 0;
}

static int64_t forget(const struct lx_fd *port, uint64_t number, const struct lx_ready *r) {
    int64_t result = kpio_port_unbind(port->handle, r->handle[0], key_of(number, r->type, 0, 0));
    if (result == 0 && r->handle[1] > 0)
        (void)kpio_port_unbind(port->handle, r->handle[1], key_of(number, r->type, 1, 0));
    return result;
}

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL, EPOLL_CTL_MOD };
static bool may_be_exclusive(uint32_t how, const struct lx_fd *fd, uint32_t events) {
    return how != EPOLL_CTL_MOD && fd->kind != LX_KIND_EPOLL && (how != EPOLL_CTL_ADD || !(events & ~WITH_EXCLUSIVE));
}

// ABI epoll_ctl: a descriptor that is closed leaves, though duplicates of it stay open; EPOLLEXCLUSIVE wakes as without it
LX_CALL(epoll_ctl) {
    struct lx_fd port, fd;
    struct epoll_event event = {};
    struct lx_ready r;
    const uint64_t number = (uint32_t)a2;
    int64_t error = (uint32_t)a1 != EPOLL_CTL_DEL ? lx_copy_in(&event, a3, sizeof event) : 0;
    if (error == 0) error = lx_fd_get(lx_process(t), a0, &port);
    if (error == 0) error = lx_fd_get(lx_process(t), number, &fd);
    if (error < 0) return error;
    lx_ready_items(&fd, event.events, &r);
    if (r.type == LX_READY_ALWAYS) return -EPERM;
    if (port.kind != LX_KIND_EPOLL || (uint32_t)a0 == (uint32_t)number) return -EINVAL;
    if (event.events & EPOLLEXCLUSIVE && !may_be_exclusive((uint32_t)a1, &fd, event.events)) return -EINVAL;
    if (r.handle[0] <= 0) return -EPERM;
    switch ((uint32_t)a1) {
    case EPOLL_CTL_ADD: return watch(&port, number, &r, &event, 0);
    case EPOLL_CTL_MOD: return watch(&port, number, &r, &event, KPIO_WATCH_CHANGE);
    case EPOLL_CTL_DEL: return forget(&port, number, &r);
    default: return -EINVAL;
    }
}

// ---- waiting -------------------------------------------------------------------------------------------------------------

// The driver of a file says what it is about. If nothing that was wanted, what is told once is told again.
static uint32_t ask(struct lx_thread *t, const struct lx_fd *port, const struct kpio_port_packet *packet, uint32_t wanted) {
    struct lx_fd fd;
    struct lx_ready r;
    if (lx_fd_get(lx_process(t), packet->key & NUMBER_MASK, &fd) != 0) return 0;
    lx_ready_items(&fd, wanted, &r);
    if (r.type != LX_READY_ASKED) return wanted & (LX_POLL_IN | LX_POLL_OUT);
    if (r.now == 0 && packet->key >> 32 & EPOLLONESHOT)
        (void)kpio_port_watch(port->handle, fd.handle, r.signals[0], packet->key, KPIO_WATCH_ONCE | KPIO_WATCH_CHANGE, packet->value);
    return r.now;
}

// What a packet means, of the events that were asked for.
static uint32_t events_of(struct lx_thread *t, const struct lx_fd *port, const struct kpio_port_packet *packet) {
    const uint32_t wanted = (uint32_t)(packet->key >> 32) & ~PRIVATE_BITS;
    const enum lx_ready_type type = (enum lx_ready_type)((uint32_t)packet->key >> TYPE_SHIFT & 15);
    bool second = packet->key & SECOND;
    uint32_t events = lx_ready_events(type, second ? 0 : packet->signals, second ? packet->signals : 0);
    struct lx_fd fd;
    // An edge tells all that the socket is ready for. Of a level: has the other half gone too?
    const uint32_t other = packet->key >> 32 & EPOLLET ? UINT32_MAX : packet->signals & KPIO_SIGNAL_PEER_GONE ? LX_POLLHUP : 0;
    if (type == LX_READY_SOCKET && other != 0 && lx_fd_get(lx_process(t), packet->key & NUMBER_MASK, &fd) == 0)
        events |= lx_ready_now(&fd) & other;
    if (type == LX_READY_ASKED) return ask(t, port, packet, wanted);
    // What another epoll had may be over.
    if (type == LX_READY_PORT && lx_fd_get(lx_process(t), packet->key & NUMBER_MASK, &fd) == 0 && kpio_port_settle(fd.handle) == 0)
        return 0;
    return events & (wanted | LX_POLL_ALWAYS);
}

// A socket's other half is not told any more either.
static void disarm(struct lx_thread *t, const struct lx_fd *port, const struct kpio_port_packet *packet) {
    struct lx_fd fd;
    if (!((uint32_t)(packet->key >> 32) & EPOLLONESHOT) || ((uint32_t)packet->key >> TYPE_SHIFT & 15) != LX_READY_SOCKET) return;
    if (lx_fd_get(lx_process(t), packet->key & NUMBER_MASK, &fd) != 0) return;
    const kpio_handle other = packet->key & SECOND ? fd.handle : fd.second;
    if (other > 0)
        (void)kpio_port_watch(port->handle, other, 0, packet->key ^ SECOND, KPIO_WATCH_ONCE | KPIO_WATCH_CHANGE, packet->value);
}

// Makes the program's events of the packets, halves of one socket together: how many.
static uint32_t gather(struct lx_thread *t, const struct lx_fd *port, const struct kpio_port_packet *packets, uint64_t count,
                       struct epoll_event *out) {
    uint32_t found = 0;
    uint64_t numbers[KPIO_PORT_BATCH_MAX];
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t events = events_of(t, port, &packets[i]);
        const uint64_t number = packets[i].key & ~(uint64_t)SECOND;
        uint32_t at = found;
        if (events == 0) continue;
        if (((uint32_t)packets[i].key >> TYPE_SHIFT & 15) == LX_READY_SOCKET) {
            for (at = 0; at < found && numbers[at] != number;) at++;
            disarm(t, port, &packets[i]);
        }
        if (at == found) out[found++] = (struct epoll_event){.data = packets[i].value};
        out[at].events |= events;
        numbers[at] = number;
    }
    return found;
}

static int64_t wait(struct lx_thread *t, uint64_t number, uint64_t at, uint64_t count, uint64_t deadline) {
    struct kpio_port_packet packets[KPIO_PORT_BATCH_MAX];
    struct epoll_event events[KPIO_PORT_BATCH_MAX];
    struct lx_fd port;
    if ((int32_t)count <= 0 || (uint32_t)count > INT32_MAX / sizeof events[0]) return -EINVAL;
    int64_t result = lx_fd_get(lx_process(t), number, &port);
    if (result < 0) return result;
    if (port.kind != LX_KIND_EPOLL) return -EINVAL;
    uint32_t found;
    do {
        result = lx_block(t, SYS_port_wait, (uint64_t)port.handle, (uint64_t)packets, MIN(count, (uint64_t)KPIO_PORT_BATCH_MAX),
                          deadline, 0, 0);
        // What is ready comes before a signal.
        if (result == -EINTR && kpio_port_wait(port.handle, packets, 1, 0) == 1) result = 1;
        if (result == -ETIMEDOUT) return 0;
        if (result < 0) return result == -ECANCELED ? -EBADF : result;
        found = gather(t, &port, packets, (uint64_t)result, events);
    } while (found == 0);
    result = lx_copy_out(at, events, found * sizeof events[0]);
    return result < 0 ? result : found;
}

static uint64_t deadline_ms(uint64_t timeout) {
    const int32_t ms = (int32_t)timeout;
    return ms < 0 ? KPIO_TIME_NEVER : ms == 0 ? 0 : lx_now() + (uint64_t)ms * 1000000;
}

LX_CALL(epoll_wait) { return wait(t, a0, a1, (uint32_t)a2, deadline_ms(a3)); }

LX_CALL(epoll_pwait) {
    int64_t error = lx_wait_mask_begin(t, a4, a5);
    return error < 0 ? error : lx_wait_mask_end(t, wait(t, a0, a1, (uint32_t)a2, deadline_ms(a3)));
}

LX_CALL(epoll_pwait2) {
    uint64_t deadline = KPIO_TIME_NEVER, ns;
    if (a3 != 0) {
        int64_t error = lx_timespec_in(a3, &ns);
        if (error < 0) return error;
        deadline = ns == 0 ? 0 : lx_now() + ns;
    }
    int64_t error = lx_wait_mask_begin(t, a4, a5);
    return error < 0 ? error : lx_wait_mask_end(t, wait(t, a0, a1, (uint32_t)a2, deadline));
}
