// Waiting until some of several descriptors are ready: what poll and select share.
#pragma once
#include "user/liblinux/ready.h"

struct lx_waited {            // one descriptor
    uint32_t events, found;   // asked for (LX_POLL*); what holds of these, and what is always told
    uint32_t seen[2];         // signals that were told and mean nothing that was asked for
    struct lx_fd fd;
    bool known;
    struct lx_ready ready;
};
#define LX_WAITED_MAX 512u    // two places each

// Waits until something is found: how many have some; 0 at the deadline; -EINTR, -ENOMEM. At most LX_WAITED_MAX, whose `found` is 0
// unless something is known already (LX_POLLNVAL).
[[nodiscard]] int64_t lx_wait_for(struct lx_thread *t, struct lx_waited *all, uint64_t count, uint64_t deadline);
// The signal mask while a call waits: begins (set 0: nothing changes), ends with the call's result.
[[nodiscard]] int64_t lx_wait_mask_begin(struct lx_thread *t, uint64_t set, uint64_t size);
int64_t lx_wait_mask_end(struct lx_thread *t, int64_t result);
// Tells the program's timespec what is left until the deadline, if there is one; a place that cannot be written is left alone.
void lx_wait_left(uint64_t at, uint64_t deadline, bool micro);
