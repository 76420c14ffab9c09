#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/rseq.h"

_Static_assert(sizeof(struct kpio_restart_area) == LX_RSEQ_SIZE && offsetof(struct kpio_restart_area, reserved) == LX_RSEQ_USED, "ABI");

enum { UNREGISTER = 1 };

void lx_rseq_end(struct lx_thread *t) {
    if (t->rseq == 0) return;
    (void)kpio_thread_set_restart(0, 0);
    t->rseq = 0;
}

static int64_t end(struct lx_thread *t, uint64_t area, uint32_t size, uint32_t signature) {
    const uint32_t cpu[] = {0, UINT32_MAX}, rest[] = {0, 0};
    if (area == 0 || area != t->rseq || size != t->rseq_size) return -EINVAL;
    if (signature != t->rseq_signature) return -EPERM;
    int64_t error = lx_copy_out(area, cpu, sizeof cpu);
    if (error == 0) error = lx_copy_out(area + offsetof(struct kpio_restart_area, node), rest, sizeof rest);
    if (error == 0) lx_rseq_end(t);
    return error;
}

// A first area is as long as struct rseq was in the beginning; a longer one is aligned the same here.
static int64_t begin(struct lx_thread *t, uint64_t area, uint32_t size, uint32_t signature) {
    const uint64_t no_section = 0;
    if (t->rseq != 0) {
        if (area != t->rseq || size != t->rseq_size) return -EINVAL;
        return signature != t->rseq_signature ? -EPERM : -EBUSY;
    }
    if (size < LX_RSEQ_SIZE || area % LX_RSEQ_SIZE != 0) return -EINVAL;
    if (area >= 1ull << 47 || size > (1ull << 47) - area) return -EFAULT;
    int64_t error = lx_copy_out(area + offsetof(struct kpio_restart_area, section), &no_section, sizeof no_section);
    if (error < 0) return error;
    t->rseq = area;
    t->rseq_size = size;
    t->rseq_signature = signature;
    return kpio_thread_set_restart(area, signature);
}

// ABI rseq: mm_cid is the CPU's number, node_id is 0
LX_CALL(rseq) {
    const uint32_t size = (uint32_t)a1, flags = (uint32_t)a2, signature = (uint32_t)a3;
    if (flags & UNREGISTER) return flags == UNREGISTER ? end(t, a0, size, signature) : -EINVAL;
    return flags != 0 ? -EINVAL : begin(t, a0, size, signature);
}
