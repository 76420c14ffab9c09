// What the system says of itself.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"

struct utsname {
    char system[65], node[65], release[65], version[65], machine[65], domain[65];
};
LX_CALL(uname) {
    static const struct utsname name = {"Linux", "kpio", "6.1.0-kpio", "#1 SMP KPIO", "x86_64", "(none)"};
    return lx_copy_out(a0, &name, sizeof name);
}

enum { GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4 };
LX_CALL(getrandom) {
    if (a2 & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) || (a2 & 6) == 6) return -EINVAL;
    const struct lx_fd fd = {.kind = LX_KIND_DEVICE, .device = LX_DEVICE_RANDOM};
    return lx_fd_ops(LX_KIND_DEVICE)->read(t, &fd, a0, MIN(a1, 0x7fffffffull), 0);
}

LX_CALL(getuid) { return lx_process(t)->uid; }
LX_CALL(geteuid) { return lx_process(t)->euid; }
LX_CALL(getgid) { return lx_process(t)->gid; }
LX_CALL(getegid) { return lx_process(t)->egid; }

// ---- sysinfo ----------------------------------------------------------------------------------------------------------

struct sysinfo {
    int64_t uptime;
    uint64_t loads[3], total, free, shared, buffers, swap_total, swap_free;
    uint16_t processes, pad;
    uint64_t high_total, high_free;
    uint32_t unit;
};
_Static_assert(sizeof(struct sysinfo) == 112, "ABI");

// ABI sysinfo: no loads; memory only for who may look at the system
LX_CALL(sysinfo) {
    struct kpio_system_info info = {.uptime_ns = (uint64_t)kpio_clock_get(0)};
    if (lx_process(t)->system > 0) (void)kpio_system_look(lx_process(t)->system, &info);
    const struct sysinfo out = {
        .uptime = (int64_t)(info.uptime_ns / 1000000000),
        .total = info.memory_total,
        .free = info.memory_free,
        .processes = (uint16_t)info.objects[KPIO_KIND_PROCESS],
        .unit = 1,
    };
    return lx_copy_out(a0, &out, sizeof out);
}

// ---- what a process may not change -----------------------------------------------------------------------------------------

LX_CALL(sethostname) { return -EPERM; }
LX_CALL(setdomainname) { return -EPERM; }
// ABI syslog: the kernel's log is not the program's: EPERM
LX_CALL(syslog) { return -EPERM; }

#define PERSONA_ASK 0xffffffffu
// ABI personality: kept and told; nothing follows from it
LX_CALL(personality) {
    struct lx_process *p = lx_process(t);
    const uint32_t old = p->persona;
    if ((uint32_t)a0 != PERSONA_ASK) p->persona = (uint32_t)a0;
    return old;
}

// ---- priorities -----------------------------------------------------------------------------------------------------------

enum { PRIO_PROCESS, PRIO_PGRP, PRIO_USER };
#define NICE_ZERO 20  // as the call tells it: 20 - nice
// ABI getpriority: nice is 0
LX_CALL(getpriority) {
    if ((uint32_t)a0 > PRIO_USER) return -EINVAL;
    const uint32_t who = (uint32_t)a1;
    return who == 0 || ((uint32_t)a0 == PRIO_PROCESS && (who == lx_process(t)->pid || who == t->tid)) ? NICE_ZERO : -ESRCH;
}
// ABI setpriority: checked; nice stays 0
LX_CALL(setpriority) {
    if ((uint32_t)a0 > PRIO_USER) return -EINVAL;
    const uint32_t who = (uint32_t)a1;
    if (who != 0 && !((uint32_t)a0 == PRIO_PROCESS && (who == lx_process(t)->pid || who == t->tid))) return -ESRCH;
    return (int32_t)a2 < 0 && lx_process(t)->euid != 0 ? -EACCES : 0;
}
