// poll and ppoll.
#include "abi/gen/errors.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/time.h"
#include "user/liblinux/wait.h"

struct pollfd {
    int32_t fd;
    uint16_t events, revents;
};
#define FEW 8u

static int64_t begin(struct lx_thread *t, uint64_t at, uint64_t count, struct lx_waited *all) {
    for (uint64_t i = 0; i < count; i++) {
        struct pollfd p;
        struct lx_waited *w = &all[i];
        int64_t error = lx_copy_in(&p, at + i * sizeof p, sizeof p);
        if (error < 0) return error;
        *w = (struct lx_waited){.events = p.events};
        if (p.fd < 0) continue;
        w->known = lx_fd_get(lx_process(t), (uint64_t)p.fd, &w->fd) == 0;
        if (!w->known) w->found = LX_POLLNVAL;
    }
    return 0;
}

static int64_t end(uint64_t at, uint64_t count, const struct lx_waited *all) {
    for (uint64_t i = 0; i < count; i++) {
        const uint16_t revents = (uint16_t)all[i].found;
        int64_t error = lx_copy_out(at + i * sizeof(struct pollfd) + offsetof(struct pollfd, revents), &revents, sizeof revents);
        if (error < 0) return error;
    }
    return 0;
}

static int64_t poll_with(struct lx_thread *t, uint64_t at, uint64_t count, uint64_t deadline, struct lx_waited *all) {
    int64_t error = begin(t, at, count, all);
    if (error < 0) return error;
    const int64_t found = lx_wait_for(t, all, count, deadline);
    if (found < 0) return found;
    error = end(at, count, all);
    return error < 0 ? error : found;
}

static int64_t do_poll(struct lx_thread *t, uint64_t at, uint64_t count, uint64_t deadline) {
    struct lx_waited few[FEW];
    const uint64_t bytes = count * sizeof few[0];
    if (count <= FEW) return poll_with(t, at, count, deadline, few);
    if (count > LX_WAITED_MAX) return count > lx_process(t)->files->limit ? -EINVAL : -ENOMEM;
    struct lx_waited *all = lx_alloc(lx_space(t), bytes);
    if (all == NULL) return -ENOMEM;
    int64_t result = poll_with(t, at, count, deadline, all);
    lx_free(lx_space(t), all, bytes);
    return result;
}

// ABI poll: at most 512 descriptors
LX_CALL(poll) {
    const int32_t ms = (int32_t)a2;
    if (!t->restarting) t->restart_deadline = ms < 0 ? KPIO_TIME_NEVER : ms == 0 ? 0 : lx_now() + (uint64_t)ms * 1000000;
    t->restarting = false;
    int64_t result = do_poll(t, a0, (uint32_t)a1, t->restart_deadline);
    return result == -EINTR ? -LX_RESTART_BLOCK : result;
}

// ABI ppoll: at most 512 descriptors
LX_CALL(ppoll) {
    uint64_t deadline = KPIO_TIME_NEVER, ns;
    if (a2 != 0) {
        int64_t error = lx_timespec_in(a2, &ns);
        if (error < 0) return error;
        deadline = ns == 0 ? 0 : lx_now() + ns;
    }
    int64_t error = lx_wait_mask_begin(t, a3, a4);
    if (error < 0) return error;
    int64_t result = do_poll(t, a0, (uint32_t)a1, deadline);
    lx_wait_left(a2, deadline, false);
    return lx_wait_mask_end(t, result == -EINTR ? -LX_RESTART_NOHAND : result);
}
