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
