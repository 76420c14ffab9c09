// signalfd: an event whose bit 0 is set while a signal of the descriptor's mask may be pending. Who queues a signal sets it; who
// reads and finds none left clears it, both under process->signal_lock. The mask is in the event's flags (object_flags.h).
// Parent and child share the event after a fork: a signal to one may wake the other, which finds nothing.
#pragma once
#include "user/liblinux/fd.h"

struct lx_signalfd {
    struct lx_signalfd *next;
    uint64_t mask;
    uint32_t id;         // lx_fd.extra
    kpio_handle event;   // its own handle
};

// Sets the events of those that have one of these signals in their mask. signal_lock held.
void lx_signalfd_tell_locked(struct lx_process *p, uint64_t signals);
// Makes a descriptor known that came with exec: 0 or a negative errno.
[[nodiscard]] int64_t lx_signalfd_adopt(struct lx_process *p, const struct lx_fd *fd);
