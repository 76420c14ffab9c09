// unshare: what a thread shares with others is its process's, and there are no namespaces to have of one's own.
#include "user/liblinux/call.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/unserved.h"

enum {
    NEWTIME = 0x80, VM = 0x100, FS = 0x200, FILES = 0x400, SIGHAND = 0x800, THREAD = 0x10000, NEWNS = 0x20000, SYSVSEM = 0x40000,
    NEWCGROUP = 0x2000000, NEWUTS = 0x4000000, NEWIPC = 0x8000000, NEWUSER = 0x10000000, NEWPID = 0x20000000, NEWNET = 0x40000000
};
#define NAMESPACES (NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET)
#define OF_PROCESS (VM | SIGHAND | THREAD)
#define OF_THREAD  (FS | FILES | SYSVSEM)

// ABI unshare: no namespaces (EPERM); a thread among others cannot leave their descriptors or directories (EINVAL)
LX_CALL(unshare) {
    const uint64_t flags = a0;
    const bool alone = __atomic_load_n(&lx_process(t)->thread_count, __ATOMIC_ACQUIRE) == 1;
    if (flags & ~(uint64_t)(NAMESPACES | OF_PROCESS | OF_THREAD)) return -EINVAL;
    if (!alone && flags & (OF_PROCESS | NEWUSER)) return -EINVAL;
    if (flags & NAMESPACES) return lx_unserved_use(t, -EPERM);
    return alone || flags == 0 ? 0 : -EINVAL;
}
