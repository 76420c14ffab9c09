// Scheduling of the process's threads, and what the program asks of CPUs.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/vdso.h"

LX_CALL(sched_yield) { return kpio_thread_yield(); }

static struct lx_thread *find_locked(struct lx_thread *t, uint64_t tid) {
    if ((uint32_t)tid == 0) return t;
    list_for_each(node, &lx_process(t)->threads) {
        struct lx_thread *other = container_of(node, struct lx_thread, node);
        if (other->tid == (uint32_t)tid) return other;
    }
    return NULL;
}

// Of the thread with this tid, 0 the caller: 0, -EINVAL, -ESRCH.
static int64_t look(struct lx_thread *t, uint64_t tid, struct kpio_thread_info *info) {
    struct lx_process *p = lx_process(t);
    if ((int32_t)tid < 0) return -EINVAL;
    lx_lock(&p->signal_lock);
    const struct lx_thread *other = find_locked(t, tid);
    int64_t result = other != NULL ? kpio_thread_info(other->handle, info) : -ESRCH;
    lx_unlock(&p->signal_lock);
    return result;
}

// Threads that it makes begin so too.
static int64_t set(struct lx_thread *t, uint64_t tid, uint32_t class_, uint32_t priority, uint64_t affinity) {
    struct lx_process *p = lx_process(t);
    int64_t result = -ESRCH;
    lx_lock(&p->signal_lock);
    struct lx_thread *other = find_locked(t, tid);
    if (other != NULL) result = kpio_thread_set_schedule(other->handle, class_, priority, affinity);
    if (other != NULL && result == 0) other->schedule = (struct lx_schedule){class_, priority, affinity};
    lx_unlock(&p->signal_lock);
    return result;
}

// ---- affinity ----------------------------------------------------------------------------------------------------------------

// The kernel counts up to 64 CPUs; a mask is as long as the program says.
LX_CALL(sched_getaffinity) {
    struct kpio_thread_info info;
    if ((a1 & 7) != 0 || a1 < 8) return -EINVAL;
    int64_t error = look(t, a0, &info);
    const volatile struct kpio_system_page *page = lx_system_page(lx_space(t));
    if (page != NULL && page->cpus < 64) info.affinity &= (1ull << page->cpus) - 1;
    if (error == 0) error = lx_copy_out(a2, &info.affinity, sizeof info.affinity);
    return error < 0 ? error : 8;
}

LX_CALL(sched_setaffinity) {
    struct kpio_thread_info info;
    uint64_t mask = 0;
    int64_t error = lx_copy_in(&mask, a2, MIN(a1, sizeof mask));
    if (error == 0) error = look(t, a0, &info);
    if (error < 0) return error;
    if (mask == 0) return -EINVAL;
    return set(t, a0, info.class_, info.priority, mask);
}

// ABI getcpu: the node is 0
LX_CALL(getcpu) {
    uint32_t low, high, cpu;
    const uint32_t node = 0;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(cpu));
    int64_t error = a0 != 0 ? lx_copy_out(a0, &cpu, sizeof cpu) : 0;
    return error == 0 && a1 != 0 ? lx_copy_out(a1, &node, sizeof node) : error;
}

// ---- policies ------------------------------------------------------------------------------------------------------------------

enum { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE = 5, SCHED_DEADLINE };
#define SCHED_RESET_ON_FORK 0x40000000u
#define WEIGHT 1024u  // of nice 0

// ABI sched_setscheduler: real-time policies need a privilege that a program has no handle for: EPERM; BATCH is OTHER
static int64_t apply_policy(struct lx_thread *t, uint64_t tid, uint32_t policy, int32_t priority) {
    struct kpio_thread_info info;
    int64_t error = look(t, tid, &info);
    if (error < 0) return error;
    const bool real_time = policy == SCHED_FIFO || policy == SCHED_RR;
    if (!real_time && policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE) return -EINVAL;
    if (real_time ? priority < 1 || priority > 99 : priority != 0) return -EINVAL;
    if (real_time) return -EPERM;
    if (policy == SCHED_IDLE) return set(t, tid, KPIO_SCHED_IDLE, 0, info.affinity);
    return info.class_ == KPIO_SCHED_FAIR ? 0 : set(t, tid, KPIO_SCHED_FAIR, WEIGHT, info.affinity);
}

static int64_t set_policy(struct lx_thread *t, uint64_t tid, uint32_t policy, uint64_t param) {
    int32_t priority;
    if (param == 0) return -EINVAL;
    int64_t error = lx_copy_in(&priority, param, sizeof priority);
    return error < 0 ? error : apply_policy(t, tid, policy & ~SCHED_RESET_ON_FORK, priority);
}

static uint32_t policy_of(const struct kpio_thread_info *info) {
    return info->class_ == KPIO_SCHED_REALTIME ? SCHED_RR : info->class_ == KPIO_SCHED_IDLE ? SCHED_IDLE : SCHED_OTHER;
}

LX_CALL(sched_setscheduler) { return (int32_t)a1 < 0 ? -EINVAL : set_policy(t, a0, (uint32_t)a1, a2); }

LX_CALL(sched_setparam) {
    struct kpio_thread_info info;
    int64_t error = look(t, a0, &info);
    return error < 0 ? error : set_policy(t, a0, policy_of(&info), a1);
}

LX_CALL(sched_getscheduler) {
    struct kpio_thread_info info;
    int64_t error = look(t, a0, &info);
    return error < 0 ? error : policy_of(&info);
}

LX_CALL(sched_getparam) {
    struct kpio_thread_info info;
    if (a1 == 0) return -EINVAL;
    int64_t error = look(t, a0, &info);
    if (error < 0) return error;
    const int32_t priority = info.class_ == KPIO_SCHED_REALTIME ? (int32_t)info.priority : 0;
    return lx_copy_out(a1, &priority, sizeof priority);
}

static int64_t limit_of(uint32_t policy, int64_t real_time) {
    switch (policy) {
    case SCHED_FIFO:
    case SCHED_RR: return real_time;
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
    case SCHED_DEADLINE: return 0;
    default: return -EINVAL;
    }
}

LX_CALL(sched_get_priority_max) { return limit_of((uint32_t)a0, 99); }
LX_CALL(sched_get_priority_min) { return limit_of((uint32_t)a0, 1); }

LX_CALL(sched_rr_get_interval) {
    struct kpio_thread_info info;
    int64_t error = look(t, a0, &info);
    const struct lx_timespec slice = {.nanoseconds = 4000000};
    return error < 0 ? error : lx_copy_out(a1, &slice, sizeof slice);
}

// ---- both in one structure ---------------------------------------------------------------------------------------------------

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least_use, most_use;
};
#define ATTRIBUTES_FIRST 48u  // bytes of the structure as it was at first
_Static_assert(sizeof(struct attributes) == 56, "ABI");
enum { FLAG_KEEP_POLICY = 8, FLAG_CLAMPS = 0x60, FLAGS = 0x7f };

// A structure that is larger than what is known here must be zero beyond it; else the program learns what is known.
static int64_t copy_attributes(struct attributes *a, uint64_t at) {
    *a = (struct attributes){0};
    uint32_t size;
    int64_t error = lx_copy_in(&size, at, sizeof size);
    if (error < 0) return error;
    if (size == 0) size = ATTRIBUTES_FIRST;
    bool fits = size >= ATTRIBUTES_FIRST && size <= 4096;
    if (fits) error = lx_copy_in(a, at, MIN(size, (uint32_t)sizeof *a));
    for (uint32_t done = sizeof *a; fits && error == 0 && done < size; done++) {
        char byte;
        error = lx_copy_in(&byte, at + done, 1);
        fits = error < 0 || byte == 0;
    }
    if (error < 0) return error;
    if (fits) return a->flags & FLAG_CLAMPS && size < sizeof *a ? -EINVAL : 0;
    const uint32_t known = sizeof *a;
    error = lx_copy_out(at, &known, sizeof known);
    return error < 0 ? error : -E2BIG;
}

static bool is_deadline(const struct attributes *a) {
    const uint64_t period = a->period == 0 ? a->deadline : a->period;
    return a->priority == 0 && a->runtime >= 1024 && a->runtime <= a->deadline && a->deadline <= period && (int64_t)period > 0;
}

// ABI sched_setattr: as sched_setscheduler; nice stays 0; no clamps of utilisation (EOPNOTSUPP)
LX_CALL(sched_setattr) {
    struct attributes a;
    struct kpio_thread_info info;
    if (a1 == 0 || (int32_t)a0 < 0 || (uint32_t)a2 != 0) return -EINVAL;
    int64_t error = copy_attributes(&a, a1);
    if (error == 0 && (int32_t)a.policy < 0) error = -EINVAL;
    if (error == 0) error = look(t, a0, &info);
    if (error < 0) return error;
    if (a.flags & ~(uint64_t)FLAGS) return -EINVAL;
    if (a.flags & FLAG_KEEP_POLICY) a.policy = policy_of(&info);
    if (a.policy == SCHED_DEADLINE) return is_deadline(&a) ? -EPERM : -EINVAL;
    if (a.flags & FLAG_CLAMPS) return -EOPNOTSUPP;
    return apply_policy(t, a0, a.policy, (int32_t)MIN(a.priority, (uint32_t)INT32_MAX));
}

LX_CALL(sched_getattr) {
    struct kpio_thread_info info;
    const uint32_t size = (uint32_t)a2;
    if (a1 == 0 || (int32_t)a0 < 0 || size > 4096 || size < ATTRIBUTES_FIRST || (uint32_t)a3 != 0) return -EINVAL;
    int64_t error = look(t, a0, &info);
    if (error < 0) return error;
    const struct attributes a = {
        .size = MIN(size, (uint32_t)sizeof a),
        .policy = policy_of(&info),
        .priority = info.class_ == KPIO_SCHED_REALTIME ? (uint32_t)info.priority : 0,
    };
    return lx_copy_out(a1, &a, a.size);
}

// ---- membarrier --------------------------------------------------------------------------------------------------------------

enum {
    MEMBARRIER_QUERY = 0,
    MEMBARRIER_GLOBAL = 1,
    MEMBARRIER_GLOBAL_EXPEDITED = 2,
    MEMBARRIER_REGISTER_GLOBAL_EXPEDITED = 4,
    MEMBARRIER_PRIVATE_EXPEDITED = 8,
    MEMBARRIER_REGISTER_PRIVATE_EXPEDITED = 16
};
#define COMMANDS                                                                                                                   \
    (MEMBARRIER_GLOBAL | MEMBARRIER_GLOBAL_EXPEDITED | MEMBARRIER_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_PRIVATE_EXPEDITED |       \
     MEMBARRIER_REGISTER_PRIVATE_EXPEDITED)

// Taking away the right to write a page that was just written interrupts every CPU that runs a thread of the address space, and
// waits for it: a barrier there. All others have been through a switch since.
static int64_t barrier(struct lx_space *space) {
    int64_t result = 0;
    lx_lock(&space->lock);
    if (space->barrier_page == 0) {
        int64_t page = kpio_vmo_create(4096, 0);
        int64_t at =
            page < 0 ? page : kpio_aspace_map(space->aspace, (kpio_handle)page, 0, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
        if (page >= 0) (void)kpio_handle_close((uint64_t)page);
        if (at < 0) result = at;
        else space->barrier_page = (uint64_t)at;
    }
    if (result == 0) {
        *(volatile uint32_t *)space->barrier_page = 1;
        result = kpio_aspace_protect(space->aspace, space->barrier_page, 4096, KPIO_MAP_READ);
        (void)kpio_aspace_protect(space->aspace, space->barrier_page, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE);
    }
    lx_unlock(&space->lock);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return result;
}

// ABI membarrier: barriers of this process's memory; a global one reaches this process alone
LX_CALL(membarrier) {
    if (a1 != 0) return -EINVAL;
    switch ((uint32_t)a0) {
    case MEMBARRIER_QUERY: return COMMANDS;
    case MEMBARRIER_REGISTER_GLOBAL_EXPEDITED: return 0;
    case MEMBARRIER_REGISTER_PRIVATE_EXPEDITED: lx_process(t)->barrier_registered = true; return 0;
    case MEMBARRIER_PRIVATE_EXPEDITED: return lx_process(t)->barrier_registered ? barrier(lx_space(t)) : -EPERM;
    case MEMBARRIER_GLOBAL:
    case MEMBARRIER_GLOBAL_EXPEDITED: return barrier(lx_space(t));
    default: return -EINVAL;
    }
}
