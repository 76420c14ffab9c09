#include "user/liblinux/ready.h"

#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/libkpio/node.h"
#include "user/liblinux/socket.h"

#define READ_SIDE  (KPIO_SIGNAL_DATA | KPIO_SIGNAL_PEER_GONE)
#define WRITE_SIDE (KPIO_SIGNAL_WRITABLE | KPIO_SIGNAL_PEER_GONE)

static enum lx_ready_type type_of(const struct lx_fd *fd) {
    switch (fd->kind) {
    case LX_KIND_PIPE:
        if (fd->second > 0) return LX_READY_SOCKET;  // a FIFO, both ends of it
        return fd->flags & LX_FD_WRITE ? LX_READY_WRITER : LX_READY_READER;
    case LX_KIND_SOCKET:
        if (fd->device & LX_SOCKET_LISTENS) return LX_READY_LISTENER;
        return fd->second > 0 ? LX_READY_SOCKET : LX_READY_UNCONNECTED;
    case LX_KIND_COUNTER: return LX_READY_COUNTER;
    case LX_KIND_TIMER: return LX_READY_TIMER;
    case LX_KIND_EPOLL: return LX_READY_PORT;
    case LX_KIND_SIGNAL: return LX_READY_SIGNAL;
    case LX_KIND_PROCESS: return LX_READY_PROCESS;
    case LX_KIND_NODE: return LX_READY_NODE;
    case LX_KIND_FUSE: return LX_READY_FUSE;
    default: return LX_READY_ALWAYS;
    }
}

static int64_t ask(kpio_handle file, uint32_t events) {
    int64_t found = kpio_file_poll(file, events & KPIO_POLL_ALL);
    return found == -EINTR ? 0 : found;  // POLL_AGAIN stays
}

uint32_t lx_ready_ask(kpio_handle file, uint32_t events) {
    int64_t found = ask(file, events);
    if (found == -EOPNOTSUPP) return events & (LX_POLL_IN | LX_POLL_OUT);
    return found < 0 ? LX_POLLERR : (uint32_t)found & (events | LX_POLL_ALWAYS);
}

// Only the kernel knows which files have a driver that tells.
static void items_of_file(const struct lx_fd *fd, uint32_t events, struct lx_ready *r) {
    int64_t found = fd->kind == LX_KIND_FILE ? ask(fd->handle, events) : -EOPNOTSUPP;
    r->handle[0] = KPIO_HANDLE_NONE;
    if (found == -EOPNOTSUPP) return;
    r->type = LX_READY_ASKED;
    r->handle[0] = fd->handle;
    r->signals[0] = (events & KPIO_POLL_ALL) | LX_POLL_ALWAYS | KPIO_SIGNAL_POLL_AGAIN;
    r->now = found < 0 ? LX_POLLERR : (uint32_t)found & (events | LX_POLL_ALWAYS);
}

static void items_of_socket(const struct lx_fd *fd, bool in, bool out, uint32_t events, struct lx_ready *r) {
    r->handle[1] = fd->second;
    r->signals[0] = in ? READ_SIDE : KPIO_SIGNAL_PEER_GONE;
    if (events & LX_POLLRDHUP) r->signals[0] |= KPIO_SIGNAL_PEER_GONE;
    r->signals[1] = out ? WRITE_SIDE : 0;
}

void lx_ready_items(const struct lx_fd *fd, uint32_t events, struct lx_ready *r) {
    bool in = events & LX_POLL_IN, out = events & LX_POLL_OUT;
    *r = (struct lx_ready){.type = type_of(fd), .handle = {fd->handle}};
    switch (r->type) {
    case LX_READY_READER: r->signals[0] = in ? READ_SIDE : KPIO_SIGNAL_PEER_GONE; break;
    case LX_READY_WRITER: r->signals[0] = out ? WRITE_SIDE : KPIO_SIGNAL_PEER_GONE; break;
    case LX_READY_SOCKET: items_of_socket(fd, in, out, events, r); break;
    case LX_READY_LISTENER:
    case LX_READY_PORT: r->signals[0] = in ? KPIO_SIGNAL_READABLE : 0; break;
    case LX_READY_COUNTER: r->signals[0] = (in ? KPIO_SIGNAL_READABLE : 0) | (out ? KPIO_SIGNAL_WRITABLE : 0); break;
    case LX_READY_TIMER: r->signals[0] = in ? KPIO_SIGNAL_FIRED : 0; break;
    case LX_READY_SIGNAL: r->signals[0] = in ? 1 : 0; break;
    case LX_READY_PROCESS: r->signals[0] = in ? KPIO_SIGNAL_TERMINATED : 0; break;
    case LX_READY_NODE: r->signals[0] = (in ? NODE_READABLE : 0u) | (out ? NODE_WRITABLE : 0u) | NODE_HANGUP; break;
    case LX_READY_FUSE:
        r->signals[0] = (in ? KPIO_SIGNAL_READABLE : 0u) | (out ? KPIO_SIGNAL_WRITABLE : 0u) | KPIO_SIGNAL_PEER_GONE;
        break;
    default: items_of_file(fd, events, r);
    }
}

static uint32_t of_socket(uint32_t first, uint32_t second) {
    uint32_t events = 0;
    if (first & READ_SIDE) events |= LX_POLL_IN;
    if (first & KPIO_SIGNAL_PEER_GONE) events |= LX_POLLRDHUP;
    if (second & WRITE_SIDE) events |= LX_POLL_OUT | LX_POLLWRBAND;
    if (first & second & KPIO_SIGNAL_PEER_GONE) events |= LX_POLLHUP;
    return events;
}

uint32_t lx_ready_events(enum lx_ready_type type, uint32_t first, uint32_t second) {
    uint32_t events = 0;
    if ((first | second) & KPIO_SIGNAL_REVOKED) return LX_POLLNVAL;
    switch (type) {
    case LX_READY_ALWAYS: return LX_POLL_IN | LX_POLL_OUT;
    case LX_READY_UNCONNECTED: return LX_POLL_OUT | LX_POLLHUP;
    case LX_READY_SOCKET: return of_socket(first, second);
    case LX_READY_READER:
        if (first & KPIO_SIGNAL_DATA) events |= LX_POLL_IN;
        return first & KPIO_SIGNAL_PEER_GONE ? events | LX_POLLHUP : events;
    case LX_READY_WRITER:
        if (first & KPIO_SIGNAL_WRITABLE) events |= LX_POLL_OUT;
        return first & KPIO_SIGNAL_PEER_GONE ? events | LX_POLLERR : events;
    case LX_READY_COUNTER:
        return (first & KPIO_SIGNAL_READABLE ? LX_POLLIN : 0u) | (first & KPIO_SIGNAL_WRITABLE ? LX_POLLOUT : 0u);
    case LX_READY_TIMER:
    case LX_READY_SIGNAL: return first != 0 ? LX_POLLIN : 0;
    case LX_READY_NODE:
        return (first & NODE_READABLE ? LX_POLL_IN : 0u) | (first & NODE_WRITABLE ? LX_POLL_OUT : 0u) |
               (first & NODE_HANGUP ? LX_POLLHUP : 0u);
    case LX_READY_FUSE:
        if (first & KPIO_SIGNAL_PEER_GONE) return LX_POLLERR;
        return (first & KPIO_SIGNAL_READABLE ? LX_POLL_IN : 0u) | LX_POLL_OUT;
    case LX_READY_ASKED: return first & (KPIO_POLL_ALL | KPIO_SIGNAL_POLL_AGAIN);
    case LX_READY_LISTENER:
    case LX_READY_PORT:
    case LX_READY_PROCESS: return first != 0 ? LX_POLL_IN : 0;
    }
    return 0;
}

uint32_t lx_ready_now(const struct lx_fd *fd) {
    struct lx_ready r;
    struct kpio_wait_item items[2];
    lx_ready_items(fd, LX_POLL_IN | LX_POLL_OUT, &r);
    uint64_t count = 0;
    for (unsigned i = 0; i < 2; i++)
        if (r.handle[i] > 0) items[count++] = (struct kpio_wait_item){.handle = r.handle[i], .signals = r.signals[i]};
    if (count > 0 && kpio_handle_wait_many(items, count, 0) < 0) return 0;
    return lx_ready_events(r.type, count > 0 ? items[0].asserted : 0, count > 1 ? items[1].asserted : 0);
}
