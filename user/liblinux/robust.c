#include "user/liblinux/robust.h"

#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/lock.h"

#define LIST_MAX 2048u  // a longer one is taken for a ring
#define HEAD_SIZE 24u
// Of the kernel's futex flags. As on Linux, robust mutexes are waited for as shared ones, wherever they lie.
#define SHARED 1u
#define INHERIT 2u

struct robust_head {
    uint64_t first;
    int64_t offset;
    uint64_t being_changed;
};
_Static_assert(sizeof(struct robust_head) == HEAD_SIZE, "ABI");

// Marks the mutex if the thread owns it, and wakes who waits. `entry` may have bit 0 set: a mutex with priority inheritance.
static void mark(const struct lx_thread *t, uint64_t entry, int64_t offset, bool being_changed) {
    const uint64_t address = (entry & ~1ull) + (uint64_t)offset;
    const bool inherit = entry & 1;
    uint32_t word;
    if ((address & 3) != 0 || lx_load(address, &word) < 0) return;
    // It was being locked or unlocked: a free word may have waiters that nobody else will wake.
    if (being_changed && !inherit && word == 0) {
        (void)kpio_futex_wake(address, 1, UINT32_MAX, SHARED);
        return;
    }
    for (;;) {
        uint32_t seen = word;
        if ((word & LX_FUTEX_TID_MASK) != t->tid) return;
        if (inherit && seen & LX_FUTEX_WAITERS) {
            int64_t result = kpio_futex_hand_over(address, seen, LX_FUTEX_OWNER_DIED, SHARED | INHERIT);
            if ((result != -EAGAIN && result != -EINTR) || lx_load(address, &word) < 0) return;
            continue;
        }
        if (lx_exchange(address, &word, (seen & LX_FUTEX_WAITERS) | LX_FUTEX_OWNER_DIED) < 0) return;
        if (word != seen) continue;
        if (seen & LX_FUTEX_WAITERS) (void)kpio_futex_wake(address, 1, UINT32_MAX, SHARED);
        return;
    }
}

void lx_robust_walk(struct lx_thread *t) {
    struct robust_head head;
    if (t->robust_list == 0 || lx_copy_in(&head, t->robust_list, sizeof head) < 0) return;
    uint64_t entry = head.first;
    for (unsigned i = 0; i < LIST_MAX && (entry & ~1ull) != t->robust_list; i++) {
        uint64_t next = 0;
        bool more = lx_copy_in(&next, entry & ~1ull, sizeof next) == 0;  // before the mutex is somebody else's
        if ((entry & ~1ull) != (head.being_changed & ~1ull)) mark(t, entry, head.offset, false);
        if (!more) break;
        entry = next;
    }
    if (head.being_changed != 0) mark(t, head.being_changed, head.offset, true);
}

LX_CALL(set_robust_list) {
    if (a1 != HEAD_SIZE) return -EINVAL;
    t->robust_list = a0;
    return 0;
}

LX_CALL(get_robust_list) {
    struct lx_process *p = lx_process(t);
    uint64_t list = 0, size = HEAD_SIZE;
    bool found = false;
    lx_lock(&p->signal_lock);
    list_for_each(node, &p->threads) {
        const struct lx_thread *other = container_of(node, struct lx_thread, node);
        if ((uint32_t)a0 == 0 ? other != t : other->tid != (uint32_t)a0) continue;
        list = other->robust_list;
        found = true;
    }
    lx_unlock(&p->signal_lock);
    if (!found) return -ESRCH;
    int64_t error = lx_copy_out(a2, &size, sizeof size);
    return error < 0 ? error : lx_copy_out(a1, &list, sizeof list);
}
