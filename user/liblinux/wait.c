#include "user/liblinux/wait.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/time.h"

#define FEW 16u

// The events that hold for one, of those that are told.
static uint32_t find(struct lx_waited *w, uint32_t first, uint32_t second) {
    if (w->ready.type == LX_READY_ASKED) return lx_ready_ask(w->fd.handle, w->events);
    uint32_t events = lx_ready_events(w->ready.type, first | w->seen[0], second | w->seen[1]);
    // Whether the second half of a socket has gone too is looked at only here.
    if (w->ready.type == LX_READY_SOCKET && (first | second) & KPIO_SIGNAL_PEER_GONE) events |= lx_ready_now(&w->fd) & LX_POLLHUP;
    if (w->ready.type == LX_READY_PORT && events != 0 && kpio_port_settle(w->fd.handle) == 0) events = 0;
    return events & (w->events | LX_POLL_ALWAYS | LX_POLLNVAL);
}

static uint64_t fill(struct lx_waited *all, uint64_t count, struct kpio_wait_item *items) {
    uint64_t used = 0;
    for (uint64_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 2; k++) {
            const struct lx_ready *r = &all[i].ready;
            if (!all[i].known || r->handle[k] <= 0 || (k == 1 && r->signals[k] == 0)) continue;
            items[used++] = (struct kpio_wait_item){.handle = r->handle[k], .signals = r->signals[k] & ~all[i].seen[k]};
        }
    return used;
}

// How many have something; what was told in vain is not asked for again.
static int64_t gather(struct lx_waited *all, uint64_t count, const struct kpio_wait_item *items) {
    int64_t found = 0;
    uint64_t used = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct lx_waited *w = &all[i];
        uint32_t told[2] = {0, 0};
        if (!w->known) continue;
        for (unsigned k = 0; k < 2; k++)
            if (w->ready.handle[k] > 0 && (k == 0 || w->ready.signals[k] != 0)) told[k] = items[used++].asserted;
        w->found = told[0] | told[1] || w->ready.handle[0] <= 0 ? find(w, told[0], told[1]) : 0;
        if (w->found != 0) found++;
        else if (w->ready.type != LX_READY_PORT && w->ready.type != LX_READY_ASKED)
            for (unsigned k = 0; k < 2; k++) w->seen[k] |= told[k];
    }
    return found;
}

static int64_t wait(struct lx_thread *t, struct lx_waited *all, uint64_t count, struct kpio_wait_item *items, uint64_t deadline) {
    for (;;) {
        const uint64_t used = fill(all, count, items);
        int64_t result = 0;
        if (used == 0 && deadline != 0) {
            result = lx_sleep(t, deadline);
            return result == -ETIMEDOUT ? 0 : result;
        }
        if (used != 0) result = lx_block(t, SYS_handle_wait_many, (uint64_t)items, used, deadline, 0, 0, 0);
        bool interrupted = result == -EINTR;
        // What is ready comes before the signal.
        if (interrupted) result = kpio_handle_wait_many(items, used, 0);
        if (result < 0) return result == -ENFILE ? -ENOMEM : result;
        const int64_t found = gather(all, count, items);
        if (found != 0) return found;
        if (interrupted) return -EINTR;
        if (result == 0) return 0;  // the deadline
    }
}

// Those that are ready without a look at the kernel.
static int64_t find_at_once(struct lx_waited *all, uint64_t count) {
    int64_t found = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct lx_waited *w = &all[i];
        if (w->found == 0 && w->known) {
            lx_ready_items(&w->fd, w->events, &w->ready);
            if (w->ready.type == LX_READY_ASKED) w->found = w->ready.now;
            else if (w->ready.handle[0] <= 0) w->found = find(w, 0, 0);
        }
        found += w->found != 0;
    }
    return found;
}

int64_t lx_wait_for(struct lx_thread *t, struct lx_waited *all, uint64_t count, uint64_t deadline) {
    struct kpio_wait_item few[2 * FEW], *items = few;
    const int64_t at_once = find_at_once(all, count);
    if (count > FEW) items = lx_alloc(lx_space(t), 2 * count * sizeof *items);
    if (items == NULL) return -ENOMEM;
    int64_t result = wait(t, all, count, items, at_once != 0 ? 0 : deadline);
    if (items != few) lx_free(lx_space(t), items, 2 * count * sizeof *items);
    if (at_once == 0 || (result < 0 && result != -EINTR)) return result;
    result = 0;
    for (uint64_t i = 0; i < count; i++) result += all[i].found != 0;
    return result;
}

// ---- the signal mask -----------------------------------------------------------------------------------------------------

int64_t lx_wait_mask_begin(struct lx_thread *t, uint64_t set, uint64_t size) {
    uint64_t mask;
    if (set == 0) return 0;
    if (size != sizeof mask) return -EINVAL;
    int64_t error = lx_copy_in(&mask, set, sizeof mask);
    if (error < 0) return error;
    t->saved_mask = t->blocked;
    t->restore_mask = true;
    lx_signal_set_mask(t, mask);
    return 0;
}

int64_t lx_wait_mask_end(struct lx_thread *t, int64_t result) {
    bool interrupted = result == -EINTR || (result <= -LX_RESTART && result >= -LX_RESTART_BLOCK);
    if (t->restore_mask && !interrupted) {
        t->restore_mask = false;
        lx_signal_set_mask(t, t->saved_mask);
    }
    return result;
}

void lx_wait_left(uint64_t at, uint64_t deadline, bool micro) {
    if (at == 0 || deadline == KPIO_TIME_NEVER) return;
    const uint64_t now = lx_now();
    struct lx_timespec left = lx_timespec(deadline > now ? deadline - now : 0);
    if (micro) left.nanoseconds /= 1000;
    (void)lx_copy_out(at, &left, sizeof left);
}
