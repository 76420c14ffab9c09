// select and pselect6.
#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/time.h"
#include "user/liblinux/wait.h"

#define NUMBERS_MAX 1024u
#define WORDS (NUMBERS_MAX / 64)
struct sets {
    uint64_t words[3][WORDS];
};
// What select calls readable, writable and exceptional, in poll's words; told may be more than asked for.
static const uint32_t asked[3] = {LX_POLL_IN | LX_POLLRDBAND, LX_POLL_OUT | LX_POLLWRBAND, LX_POLLPRI};
static const uint32_t told[3] = {LX_POLL_IN | LX_POLLRDBAND | LX_POLLHUP | LX_POLLERR,
                                 LX_POLL_OUT | LX_POLLWRBAND | LX_POLLERR, LX_POLLPRI};

static bool has(const struct sets *s, unsigned which, uint64_t number) { return s->words[which][number / 64] >> (number % 64) & 1; }

static int64_t copy_sets(struct sets *s, const uint64_t *at, uint64_t numbers, bool out) {
    const uint64_t bytes = (numbers + 63) / 64 * 8;
    for (unsigned which = 0; which < 3; which++) {
        int64_t error = 0;
        if (at[which] == 0) continue;
        if (out) error = lx_copy_out(at[which], s->words[which], bytes);
        else error = lx_copy_in(s->words[which], at[which], bytes);
        if (error < 0) return error;
    }
    return 0;
}

static uint64_t events_of(const struct sets *s, uint64_t number) {
    uint32_t events = 0;
    for (unsigned which = 0; which < 3; which++)
        if (has(s, which, number)) events |= asked[which];
    return events;
}

static uint64_t count_of(const struct sets *s, uint64_t numbers) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < numbers; i++) count += events_of(s, i) != 0;
    return count;
}

static int64_t begin(struct lx_thread *t, const struct sets *s, uint64_t numbers, struct lx_waited *all) {
    for (uint64_t i = 0; i < numbers; i++) {
        const uint64_t events = events_of(s, i);
        if (events == 0) continue;
        *all = (struct lx_waited){.events = (uint32_t)events, .known = true};
        int64_t error = lx_fd_get(lx_process(t), i, &all->fd);
        if (error < 0) return error;
        all++;
    }
    return 0;
}

// Leaves in the sets what was found: how many.
static int64_t end(struct sets *s, uint64_t numbers, const struct lx_waited *all) {
    struct sets found = {};
    int64_t count = 0;
    for (uint64_t i = 0; i < numbers; i++) {
        if (events_of(s, i) == 0) continue;
        for (unsigned which = 0; which < 3; which++) {
            if (!has(s, which, i) || !(all->found & told[which])) continue;
            found.words[which][i / 64] |= 1ull << (i % 64);
            count++;
        }
        all++;
    }
    *s = found;
    return count;
}

static int64_t do_select(struct lx_thread *t, uint64_t numbers, const uint64_t *at, uint64_t deadline) {
    struct sets s = {};
    if ((int32_t)numbers < 0) return -EINVAL;
    numbers = MIN((uint32_t)numbers, NUMBERS_MAX);
    int64_t result = copy_sets(&s, at, numbers, false);
    if (result < 0) return result;
    const uint64_t count = count_of(&s, numbers), bytes = (count + 1) * sizeof(struct lx_waited);
    if (count > LX_WAITED_MAX) return -ENOMEM;
    struct lx_waited *all = lx_alloc(lx_space(t), bytes);
    if (all == NULL) return -ENOMEM;
    result = begin(t, &s, numbers, all);
    if (result == 0) result = lx_wait_for(t, all, count, deadline);
    if (result >= 0) {
        const int64_t found = end(&s, numbers, all);
        result = copy_sets(&s, at, numbers, true);
        if (result == 0) result = found;
    }
    lx_free(lx_space(t), all, bytes);
    return result == -EINTR ? -LX_RESTART_NOHAND : result;
}

// ABI select: at most 512 descriptors, none above 1023
LX_CALL(select) {
    const uint64_t at[3] = {a1, a2, a3};
    uint64_t deadline = KPIO_TIME_NEVER;
    if (a4 != 0) {
        struct lx_timespec time;
        int64_t error = lx_copy_in(&time, a4, sizeof time);
        if (error < 0) return error;
        if (time.seconds < 0 || time.nanoseconds < 0) return -EINVAL;
        const uint64_t us = (uint64_t)time.nanoseconds, seconds = (uint64_t)time.seconds + us / 1000000;
        const uint64_t ns = seconds > INT64_MAX / LX_SECOND / 2 ? INT64_MAX / 2 : seconds * LX_SECOND + us % 1000000 * 1000;
        deadline = ns == 0 ? 0 : lx_now() + ns;
    }
    int64_t result = do_select(t, a0, at, deadline);
    lx_wait_left(a4, deadline, true);
    return result;
}

// ABI pselect6: at most 512 descriptors, none above 1023
LX_CALL(pselect6) {
    const uint64_t at[3] = {a1, a2, a3};
    uint64_t deadline = KPIO_TIME_NEVER, ns;
    struct {
        uint64_t set, size;
    } mask = {0, 0};
    int64_t error = a5 != 0 ? lx_copy_in(&mask, a5, sizeof mask) : 0;
    if (error == 0 && a4 != 0) error = lx_timespec_in(a4, &ns);
    if (error < 0) return error;
    if (a4 != 0) deadline = ns == 0 ? 0 : lx_now() + ns;
    error = lx_wait_mask_begin(t, mask.set, mask.size);
    if (error < 0) return error;
    int64_t result = do_select(t, a0, at, deadline);
    lx_wait_left(a4, deadline, false);
    return lx_wait_mask_end(t, result);
}
