#include "user/liblinux/signal.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/start.h"

int lx_signals_create(struct lx_process *p, uint64_t ignored) {
    p->signals = lx_alloc(p->space, sizeof *p->signals);
    if (p->signals == NULL) return -ENOMEM;
    for (unsigned i = 1; i <= LX_SIGNALS; i++)
        if (ignored & LX_SIGNAL_BIT(i)) p->signals->actions[i].handler = 1;
    return 0;
}

void lx_deliver_fault(struct lx_thread *t, struct kpio_exception_frame *frame, bool own) {
    lx_start_fail(lx_process(t), own ? "fault in liblinux" : "fault", (int64_t)frame->rip);
}

void lx_deliver_interrupted(struct lx_thread *t, struct kpio_exception_frame *frame) {}

void lx_leave_pending(struct lx_thread *t, struct lx_registers *registers) {
    __atomic_store_n(&t->pending, 0, __ATOMIC_RELEASE);
}
