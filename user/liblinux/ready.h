// Readiness: which signals of kernel objects tell that a descriptor may be read or written, and what they mean as poll's events.
#pragma once
#include "user/liblinux/fd.h"

enum {
    LX_POLLIN = 1, LX_POLLPRI = 2, LX_POLLOUT = 4, LX_POLLERR = 8, LX_POLLHUP = 0x10, LX_POLLNVAL = 0x20, LX_POLLRDNORM = 0x40,
    LX_POLLRDBAND = 0x80, LX_POLLWRNORM = 0x100, LX_POLLWRBAND = 0x200, LX_POLLRDHUP = 0x2000,
};
#define LX_POLL_IN     (LX_POLLIN | LX_POLLRDNORM)
#define LX_POLL_OUT    (LX_POLLOUT | LX_POLLWRNORM)
#define LX_POLL_ALWAYS (LX_POLLERR | LX_POLLHUP)  // told whether asked for or not

enum lx_ready_type {
    LX_READY_ALWAYS,  // for both
    LX_READY_READER, LX_READY_WRITER, LX_READY_SOCKET, LX_READY_LISTENER, LX_READY_UNCONNECTED, LX_READY_COUNTER, LX_READY_TIMER,
    LX_READY_PORT, LX_READY_SIGNAL, LX_READY_PROCESS, LX_READY_NODE, LX_READY_FUSE,
    LX_READY_ASKED,   // a file whose driver tells: what holds is asked for anew whenever something is told
};

// What to wait for so that some of `events` are told: a handle and signals for each place; 0: nothing there.
struct lx_ready {
    enum lx_ready_type type;
    kpio_handle handle[2];
    uint32_t signals[2];
    uint32_t now;     // ASKED: events that hold
};
void lx_ready_items(const struct lx_fd *fd, uint32_t events, struct lx_ready *out);
// The events of an ASKED one now, of those that are wanted and LX_POLL_ALWAYS.
uint32_t lx_ready_ask(kpio_handle file, uint32_t events);
// Events that these signals, asserted at the two places, mean; all that hold, wanted or not.
uint32_t lx_ready_events(enum lx_ready_type type, uint32_t first, uint32_t second);
// The events of a descriptor now; 0 where it cannot be looked at.
uint32_t lx_ready_now(const struct lx_fd *fd);
