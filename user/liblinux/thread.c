#include "user/liblinux/thread.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/linux_launch.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/robust.h"
#include "user/liblinux/rseq.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/start.h"

// ---- areas --------------------------------------------------------------------------------------------------------------
// A thread cannot unmap what it stands on. It puts its area on a list, and clears in_use as the last thing: the next thread takes
// the area from there, and who puts one more to many gives the surplus back.

#define AREAS_KEPT 32u

static void area_put(struct lx_space *space, struct lx_thread *t) {
    struct lx_thread *surplus = NULL;
    lx_lock(&space->lock);
    if (space->free_area_count >= AREAS_KEPT) {
        for (struct lx_thread **at = &space->free_areas; *at != NULL; at = &(*at)->next_area) {
            if (__atomic_load_n(&(*at)->in_use, __ATOMIC_ACQUIRE)) continue;
            surplus = *at;
            *at = surplus->next_area;
            space->free_area_count--;
            break;
        }
    }
    t->next_area = space->free_areas;
    space->free_areas = t;
    space->free_area_count++;
    lx_unlock(&space->lock);
    if (surplus != NULL) (void)kpio_aspace_unmap(space->aspace, surplus->area, surplus->area_size);
}

static struct lx_thread *area_get(struct lx_space *space) {
    lx_lock(&space->lock);
    struct lx_thread **at = &space->free_areas, *t;
    while (*at != NULL && __atomic_load_n(&(*at)->in_use, __ATOMIC_ACQUIRE)) at = &(*at)->next_area;
    t = *at;
    if (t != NULL) {
        *at = t->next_area;
        space->free_area_count--;
    }
    lx_unlock(&space->lock);
    if (t == NULL) {
        int64_t area = lx_area_map(space->aspace);
        if (area < 0) return NULL;
        t = lx_thread_place((uint64_t)area);
    }
    memset(t, 0, sizeof *t);
    t->area = (uint64_t)t + LX_AREA_THREAD - LX_AREA_SIZE;
    t->area_size = LX_AREA_SIZE;
    t->stack = t->area + LX_AREA_GUARD + LX_AREA_STACK;
    t->in_use = 1;
    return t;
}

// Of a thread that never ran.
static void area_drop(struct lx_space *space, struct lx_thread *t) {
    area_put(space, t);
    __atomic_store_n(&t->in_use, 0, __ATOMIC_RELEASE);
}

// ---- birth --------------------------------------------------------------------------------------------------------------

static int64_t create(struct lx_process *p, struct lx_thread *t) {
    int64_t handle = kpio_thread_create(p->handle, t->name, strnlen(t->name, sizeof t->name));
    if (handle < 0) return handle == -ENOMEM ? -ENOMEM : -EAGAIN;
    t->handle = (kpio_handle)handle;
    int64_t block = kpio_thread_block(t->handle);
    if (block < 0) return -EAGAIN;
    t->block = (struct kpio_thread_block *)block;
    t->tid = (uint32_t)t->block->thread_id;
    const struct lx_schedule *s = &t->schedule;
    return unlikely(s->affinity != 0) ? kpio_thread_set_schedule(t->handle, s->class_, s->priority, s->affinity) : 0;
}

static void join_process(struct lx_process *p, struct lx_thread *t) {
    lx_lock(&p->signal_lock);
    list_push_back(&p->threads, &t->node);
    p->thread_count++;
    lx_unlock(&p->signal_lock);
}

// Returns whether it was the last.
static bool leave_process(struct lx_process *p, struct lx_thread *t) {
    lx_lock(&p->signal_lock);
    bool last = --p->thread_count == 0;
    if (!last) {
        list_remove(&t->node);
        lx_signal_thread_gone(t);
    }
    lx_unlock(&p->signal_lock);
    return last;
}

static void inherit(struct lx_thread *t, const struct lx_thread *from, const struct lx_clone *how) {
    struct lx_registers *registers = lx_registers(t);
    t->process = from->process;
    t->blocked = from->blocked;
    t->schedule = from->schedule;
    memcpy(t->name, from->name, sizeof t->name);
    lx_signal_thread_init(t);
    *registers = *lx_registers(from);
    registers->rax = 0;
    registers->r11 = (uint64_t)t;
    if (how->stack != 0) registers->rsp = how->stack + how->stack_size;
    if (how->flags & LX_CLONE_SETTLS) t->fs_base = how->tls;
    else __asm__ volatile("rdfsbase %0" : "=r"(t->fs_base));
    if (how->flags & LX_CLONE_CHILD_CLEARTID) t->clear_tid = how->child_tid;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(t->mxcsr), "=m"(t->fpu_control));
}

int64_t lx_thread_clone(struct lx_thread *t, const struct lx_clone *how) {
    struct lx_process *p = lx_process(t);
    if (how->flags & LX_CLONE_SETTLS && how->tls >= 1ull << 47) return -EPERM;
    int64_t error = lx_limit_process(t);
    if (error < 0) return error;
    struct lx_thread *child = area_get(p->space);
    if (child == NULL) return -ENOMEM;
    inherit(child, t, how);
    error = create(p, child);
    const uint32_t tid = child->tid;
    if (error == 0 && how->flags & LX_CLONE_PARENT_SETTID) error = lx_copy_out(how->parent_tid, &tid, sizeof tid);
    if (error == 0 && how->flags & LX_CLONE_CHILD_SETTID) error = lx_copy_out(how->child_tid, &tid, sizeof tid);
    if (error == 0) {
        join_process(p, child);
        error = kpio_thread_start(child->handle, (uint64_t)lx_thread_begin, child->stack, (uint64_t)child);
        if (error == 0) return tid;
        (void)leave_process(p, child);
    }
    if (child->handle != KPIO_HANDLE_NONE) (void)kpio_handle_close((uint32_t)child->handle);  // ends it: it never started
    area_drop(p->space, child);
    return error;
}

void lx_thread_first(struct lx_thread *t, struct kpio_thread_block *block) {
    int64_t error = lx_thread_adopt(t, block);
    if (error < 0) lx_start_fail(lx_process(t), "cannot set up a thread", error);
    __asm__ volatile("wrfsbase %0" : : "r"(t->fs_base));
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(t->mxcsr), "m"(t->fpu_control));
}

// ---- death --------------------------------------------------------------------------------------------------------------

#define SHARED 1u  // of the kernel's futex flags
static void clear_tid(struct lx_thread *t) {
    const uint32_t zero = 0;
    if (t->clear_tid == 0 || lx_copy_out(t->clear_tid, &zero, sizeof zero) < 0) return;
    (void)kpio_futex_wake(t->clear_tid, 1, UINT32_MAX, SHARED);  // who joins waits so, also in private memory
}

void lx_thread_exit(struct lx_thread *t, uint64_t status) {
    struct lx_process *p = lx_process(t);
    if (__atomic_load_n(&p->thread_count, __ATOMIC_ACQUIRE) > 1) lx_robust_walk(t);
    if (leave_process(p, t))
        for (;;) (void)kpio_process_exit(status);
    lx_rseq_end(t);  // before: it lies in memory that whoever joins this thread may unmap
    clear_tid(t);
    // No interrupt may use the exception stack any more: the area is another thread's when in_use is 0.
    (void)kpio_thread_set_exception(0, 0, 0);
    lx_posix_thread_gone(t);
    if (t->handle == p->thread) (void)kpio_thread_exit();  // its area has the contexts of process and space
    (void)kpio_handle_close((uint32_t)t->handle);
    area_put(p->space, t);
    lx_thread_end(&t->in_use);
}

// ---- threads of liblinux ------------------------------------------------------------------------------------------------

struct lx_thread *lx_thread_spawn(struct lx_process *p, void (*entry)(struct lx_thread *t)) {
    struct lx_thread *t = area_get(p->space);
    if (t == NULL) return NULL;
    t->process = p;
    memcpy(t->name, "liblinux", 9);
    int64_t error = create(p, t);
    if (error == 0) error = kpio_thread_start(t->handle, (uint64_t)entry, t->stack - 8, (uint64_t)t);
    if (error == 0) return t;
    if (t->handle != KPIO_HANDLE_NONE) (void)kpio_handle_close((uint32_t)t->handle);
    area_drop(p->space, t);
    return NULL;
}
