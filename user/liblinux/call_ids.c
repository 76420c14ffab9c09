// Users and groups: plain data that a process keeps for its own sake, with Linux's rules. No authority follows from them.
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/posix.h"

#define KEEP UINT32_MAX

static bool among(uint32_t id, const uint32_t *a, const uint32_t *b, const uint32_t *c) {
    return id == *a || id == *b || id == *c;
}

// An id becomes three: each KEEP or, for others than root, one of those that there are.
static int64_t set_three(const struct lx_process *p, uint32_t *real, uint32_t *effective, uint32_t *saved, const uint32_t to[3]) {
    for (unsigned i = 0; i < 3; i++)
        if (to[i] != KEEP && p->euid != 0 && !among(to[i], real, effective, saved)) return -EPERM;
    if (to[0] != KEEP) *real = to[0];
    if (to[1] != KEEP) *effective = to[1];
    if (to[2] != KEEP) *saved = to[2];
    return 0;
}

// setuid, setgid: root sets all three, others the effective one.
static int64_t set_one(const struct lx_process *p, uint32_t *real, uint32_t *effective, uint32_t *saved, uint32_t id) {
    if (id == KEEP) return -EINVAL;
    if (p->euid == 0) *real = *saved = id;
    else if (id != *real && id != *saved) return -EPERM;
    *effective = id;
    return 0;
}

// setreuid, setregid: the saved id follows the effective one when the real one is set, or the effective one to another than the
// real one.
static int64_t set_two(const struct lx_process *p, uint32_t *real, uint32_t *effective, uint32_t *saved, uint32_t to,
                       uint32_t now) {
    if (p->euid != 0) {
        if (to != KEEP && to != *real && to != *effective) return -EPERM;
        if (now != KEEP && !among(now, real, effective, saved)) return -EPERM;
    }
    const uint32_t was = *real;
    if (to != KEEP) *real = to;
    if (now != KEEP) *effective = now;
    if (to != KEEP || (now != KEEP && now != was)) *saved = *effective;
    return 0;
}

// Ids may have changed: others see them in /proc.
static int64_t told(struct lx_thread *t, int64_t result) {
    if (result == 0) lx_posix_attach(t, lx_process(t)->mail_thread);
    return result;
}

LX_CALL(setuid) {
    struct lx_process *p = lx_process(t);
    return told(t, set_one(p, &p->uid, &p->euid, &p->suid, (uint32_t)a0));
}
LX_CALL(setgid) {
    struct lx_process *p = lx_process(t);
    return told(t, set_one(p, &p->gid, &p->egid, &p->sgid, (uint32_t)a0));
}
LX_CALL(setreuid) {
    struct lx_process *p = lx_process(t);
    return told(t, set_two(p, &p->uid, &p->euid, &p->suid, (uint32_t)a0, (uint32_t)a1));
}
LX_CALL(setregid) {
    struct lx_process *p = lx_process(t);
    return told(t, set_two(p, &p->gid, &p->egid, &p->sgid, (uint32_t)a0, (uint32_t)a1));
}
LX_CALL(setresuid) {
    struct lx_process *p = lx_process(t);
    return told(t, set_three(p, &p->uid, &p->euid, &p->suid, (const uint32_t[]){(uint32_t)a0, (uint32_t)a1, (uint32_t)a2}));
}
LX_CALL(setresgid) {
    struct lx_process *p = lx_process(t);
    return told(t, set_three(p, &p->gid, &p->egid, &p->sgid, (const uint32_t[]){(uint32_t)a0, (uint32_t)a1, (uint32_t)a2}));
}

static int64_t give_three(uint32_t real, uint32_t effective, uint32_t saved, uint64_t a, uint64_t b, uint64_t c) {
    int64_t error = lx_copy_out(a, &real, sizeof real);
    if (error == 0) error = lx_copy_out(b, &effective, sizeof effective);
    return error == 0 ? lx_copy_out(c, &saved, sizeof saved) : error;
}

LX_CALL(getresuid) { return give_three(lx_process(t)->uid, lx_process(t)->euid, lx_process(t)->suid, a0, a1, a2); }
LX_CALL(getresgid) { return give_three(lx_process(t)->gid, lx_process(t)->egid, lx_process(t)->sgid, a0, a1, a2); }

// ABI setfsuid: there is no such id; tells the effective one
LX_CALL(setfsuid) { return lx_process(t)->euid; }
// ABI setfsgid: as setfsuid
LX_CALL(setfsgid) { return lx_process(t)->egid; }

LX_CALL(getgroups) {
    const struct lx_process *p = lx_process(t);
    if ((int32_t)a0 < 0) return -EINVAL;
    if ((uint32_t)a0 == 0) return p->group_count;
    if ((uint32_t)a0 < p->group_count) return -EINVAL;
    int64_t error = lx_copy_out(a1, p->groups, p->group_count * sizeof p->groups[0]);
    return error != 0 ? error : p->group_count;
}

// ABI setgroups: at most 32
LX_CALL(setgroups) {
    struct lx_process *p = lx_process(t);
    uint32_t groups[LX_GROUPS_MAX];
    if (p->euid != 0) return -EPERM;
    if ((uint32_t)a0 > LX_GROUPS_MAX) return -EINVAL;
    int64_t error = lx_copy_in(groups, a1, (uint32_t)a0 * sizeof groups[0]);
    if (error != 0) return error;
    memcpy(p->groups, groups, sizeof groups);
    p->group_count = (uint32_t)a0;
    return 0;
}

// ---- capabilities -----------------------------------------------------------------------------------------------------

#define CAPABILITIES 41u
enum { VERSION_1 = 0x19980330, VERSION_2 = 0x20071026, VERSION_3 = 0x20080522 };
struct cap_header {
    uint32_t version;
    int32_t pid;
};

static int64_t cap_words(const struct lx_process *p, uint64_t at, unsigned *words) {
    struct cap_header header;
    int64_t error = lx_copy_in(&header, at, sizeof header);
    if (error != 0) return error;
    *words = header.version == VERSION_1 ? 1 : 2;
    if (header.version != VERSION_1 && header.version != VERSION_2 && header.version != VERSION_3) {
        const uint32_t version = VERSION_3;
        error = lx_copy_out(at, &version, sizeof version);
        return error != 0 ? error : -EINVAL;
    }
    return header.pid < 0 ? -EINVAL : header.pid != 0 && (uint32_t)header.pid != p->pid ? -ESRCH : 0;
}

// ABI capget: all capabilities for user 0, none for others; nothing follows from them
LX_CALL(capget) {
    const struct lx_process *p = lx_process(t);
    unsigned words;
    int64_t error = cap_words(p, a0, &words);
    if (error == -EINVAL && a1 == 0) return 0; // only the version was asked for
    const uint64_t all = p->euid == 0 ? (1ull << CAPABILITIES) - 1 : 0;
    for (unsigned i = 0; i < words && error == 0 && a1 != 0; i++) {
        const uint32_t part = (uint32_t)(all >> 32 * i), out[3] = {part, part, 0};
        error = lx_copy_out(a1 + i * sizeof out, out, sizeof out);
    }
    return error;
}

// ABI capset: read and forgotten
LX_CALL(capset) {
    const struct lx_process *p = lx_process(t);
    unsigned words;
    uint32_t sets[6];
    int64_t error = cap_words(p, a0, &words);
    return error == 0 ? lx_copy_in(sets, a1, words * 3 * sizeof sets[0]) : error;
}
