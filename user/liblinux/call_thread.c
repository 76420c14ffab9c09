// The thread itself: its ids, its bases, its end.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/thread.h"

LX_CALL(getpid) { return lx_process(t)->pid; }
LX_CALL(gettid) { return t->tid; }

LX_CALL(set_tid_address) {
    t->clear_tid = a0;
    return t->tid;
}

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS };
#define USER_TOP (1ull << 47)
LX_CALL(arch_prctl) {
    uint64_t base;
    switch (a0) {
    case ARCH_SET_FS:
        if (a1 >= USER_TOP) return -EPERM;
        __asm__ volatile("wrfsbase %0" : : "r"(a1));
        return 0;
    case ARCH_SET_GS:
        if (a1 >= USER_TOP) return -EPERM;
        __asm__ volatile("wrgsbase %0" : : "r"(a1));
        return 0;
    case ARCH_GET_FS: __asm__ volatile("rdfsbase %0" : "=r"(base)); return lx_copy_out(a1, &base, sizeof base);
    case ARCH_GET_GS: __asm__ volatile("rdgsbase %0" : "=r"(base)); return lx_copy_out(a1, &base, sizeof base);
    default: return -EINVAL;
    }
}

// The kernel's exit status of a Linux process is what wait tells: the code times 256, or the number of a signal.
LX_CALL(exit_group) { return kpio_process_exit((a0 & 0xff) << 8); }
LX_CALL(exit) { lx_thread_exit(t, (a0 & 0xff) << 8); }
