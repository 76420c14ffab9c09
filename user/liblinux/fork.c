#include "user/liblinux/fork.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/linux_launch.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/start.h"
#include "user/liblinux/strangers.h"
#include "user/liblinux/timer.h"
#include "user/liblinux/trace.h"
#include "user/liblinux/unserved.h"

#define TAKEN                                                                                                                      \
    (LX_CLONE_VM | LX_CLONE_VFORK | LX_CLONE_SETTLS | LX_CLONE_PARENT_SETTID | LX_CLONE_CHILD_SETTID | LX_CLONE_CHILD_CLEARTID |   \
     LX_CLONE_PIDFD | LX_CLONE_PTRACE | LX_CLONE_UNTRACED)

// Nobody else is in the middle of something when the copy is made. In the order of context.h.
static void lock_all(struct lx_process *p) {
    lx_lock(&p->children_lock);
    lx_lock(&p->files_lock);
    lx_lock(&p->signal_lock);
    lx_lock(&p->space->lock);
    lx_lock(&p->space->heap_lock);
}

static void unlock_all(struct lx_process *p) {
    lx_unlock(&p->space->heap_lock);
    lx_unlock(&p->space->lock);
    lx_unlock(&p->signal_lock);
    lx_unlock(&p->files_lock);
    lx_unlock(&p->children_lock);
}

// ---- the child ----------------------------------------------------------------------------------------------------------

// Threads that the copy does not have leave their areas to new ones.
static void take_areas(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    list_for_each_entry_safe(other, &p->threads, struct lx_thread, node) {
        if (other == t || other->area == 0 || (uint64_t)p >> 12 == (uint64_t)other >> 12) continue;
        other->in_use = 0;
        other->next_area = p->space->free_areas;
        p->space->free_areas = other;
        p->space->free_area_count++;
    }
    list_init(&p->threads);
    list_push_back(&p->threads, &t->node);
    p->thread_count = 1;
}

static void become_process(struct lx_thread *t, uint32_t parent) {
    struct lx_process *p = lx_process(t);
    p->ppid = parent;
    p->pid = t->tid = (uint32_t)t->block->process_id;
    p->thread = t->handle;
    p->stopped = 0;
    p->mail = 0;
    p->mail_held = false;
    p->mail_lock = (struct lx_lock){0};
    p->death_signal = 0;
    p->reaper = false;
    lx_trace_forked(t);
    p->children_cpu = 0;
    list_init(&p->pending_signals.queue);
    p->pending_signals.set = 0;
    p->queued_signals = 0;
    lx_signal_keep_mask(t);
}

static void set_program_state(struct lx_thread *t) {
    const uint32_t tid = t->tid;
    if (t->fork.flags & LX_CLONE_CHILD_SETTID) (void)lx_copy_out(t->fork.child_tid, &tid, sizeof tid);
    t->clear_tid = t->fork.flags & LX_CLONE_CHILD_CLEARTID ? t->fork.child_tid : 0;
    if (t->fork.flags & LX_CLONE_SETTLS) __asm__ volatile("wrfsbase %0" : : "r"(t->fork.tls));
    t->robust_list = 0;
    if (t->fork.flags & LX_CLONE_VM) t->rseq = 0;
}

void lx_fork_first(struct lx_thread *t, struct kpio_thread_block *block) {
    struct lx_process *p = lx_process(t);
    int64_t error = lx_thread_adopt(t, block);
    if (error < 0) lx_start_fail(p, "cannot set up a child", error);
    if (!(t->fork.flags & LX_CLONE_VM)) {
        take_areas(t);
        lx_children_forget(p);
    }
    become_process(t, t->fork.parent);
    set_program_state(t);
    if (!(t->fork.flags & LX_CLONE_VM)) {
        unlock_all(p);
        lx_timers_forked(p);
    }
    if (t->fork.strangers) lx_strangers_close(p);
    lx_posix_attach(t, t->handle);
}

// ---- fork ---------------------------------------------------------------------------------------------------------------

static void note(struct lx_thread *child, const struct lx_thread *t, const struct lx_clone *how) {
    struct lx_registers *registers = lx_registers(child);
    child->fork.flags = how->flags;
    child->fork.child_tid = how->child_tid;
    child->fork.tls = how->tls;
    child->fork.parent = lx_process(t)->pid;
    child->fork.strangers = lx_strangers_possible(lx_process(t));
    registers->rax = 0;
    registers->r11 = (uint64_t)child;
    if (how->stack != 0) registers->rsp = how->stack + how->stack_size;
}

static int64_t pid_of(kpio_handle process) {
    struct kpio_handle_info info;
    int64_t error = kpio_handle_info(process, &info);
    return error < 0 ? error : (int64_t)info.object_id;
}

// The copy finds its own structures at the same addresses.
static int64_t fork_copy(struct lx_thread *t, const struct lx_clone *how) {
    struct lx_process *p = lx_process(t);
    const struct lx_registers kept = *lx_registers(t);
    lock_all(p);
    note(t, t, how);
    int64_t process = kpio_process_fork(0, (uint64_t)lx_fork_begin, t->stack, (uint64_t)t);
    unlock_all(p);
    *lx_registers(t) = kept;
    return process;
}

// ---- vfork --------------------------------------------------------------------------------------------------------------

struct twin {                       // in the page of the child's thread
    struct lx_thread thread;
    struct lx_process process;
};
_Static_assert(sizeof(struct twin) <= LX_AREA_THREAD, "a page");

static int64_t copy_tables(struct lx_process *child, const struct lx_process *p) {
    int error = lx_files_copy(child, p);
    if (error == 0) error = lx_signals_create(child, 0);
    if (error == 0) *child->signals = *p->signals;
    return error;
}

// A process of its own in the same memory: its own descriptors and signals.
static struct lx_thread *make_twin(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    int64_t area = lx_area_map(p->space->aspace);
    if (area < 0) return NULL;
    struct twin *twin = (struct twin *)lx_thread_place((uint64_t)area);
    twin->thread = *t;
    twin->process = *p;
    struct lx_process *child = &twin->process;
    child->files_lock = child->signal_lock = child->children_lock = (struct lx_lock){0};
    child->signalfds = NULL;
    child->timers = NULL;
    lx_children_init(child);
    list_init(&child->threads);
    list_push_back(&child->threads, &twin->thread.node);
    child->thread_count = 1;
    twin->thread.process = child;
    twin->thread.stack = (uint64_t)area + LX_AREA_GUARD + LX_AREA_STACK;
    twin->thread.pending = 0;
    *lx_registers(&twin->thread) = *lx_registers(t);
    if (copy_tables(child, p) == 0) return &twin->thread;
    (void)kpio_aspace_unmap(p->space->aspace, (uint64_t)area, LX_AREA_SIZE);
    return NULL;
}

// The parent goes on when the child runs another program or has ended.
static void wait_for_twin(kpio_handle event, kpio_handle process) {
    struct kpio_wait_item items[] = {{.handle = event, .signals = 1}, {.handle = process, .signals = KPIO_SIGNAL_TERMINATED}};
    while (kpio_handle_wait_many(items, ARRAY_SIZE(items), KPIO_TIME_NEVER) == -EINTR) {
    }
}

// The child's tables are those of the moment when the kernel gives it the handles.
static int64_t fork_twin(struct lx_thread *t, const struct lx_clone *how, kpio_handle event, uint64_t *area) {
    struct lx_process *p = lx_process(t);
    lx_lock(&p->files_lock);
    lx_lock(&p->signal_lock);
    struct lx_thread *child = make_twin(t);
    int64_t process = -ENOMEM;
    if (child != NULL) {
        *area = (uint64_t)child + LX_AREA_THREAD - LX_AREA_SIZE;
        lx_process(child)->vfork_event = event;
        note(child, t, how);
        process = kpio_process_fork(KPIO_FORK_SHARE, (uint64_t)lx_fork_begin, child->stack, (uint64_t)child);
    }
    lx_unlock(&p->signal_lock);
    lx_unlock(&p->files_lock);
    return process;
}

static int64_t fork_sharing(struct lx_thread *t, const struct lx_clone *how, uint64_t *area) {
    int64_t event = how->flags & LX_CLONE_VFORK ? kpio_event_create() : KPIO_HANDLE_NONE;
    int64_t process = event < 0 ? event : fork_twin(t, how, (kpio_handle)event, area);
    if (process > 0 && event > 0) wait_for_twin((kpio_handle)event, (kpio_handle)process);
    if (event > 0) (void)kpio_handle_close((uint64_t)event);
    if (process < 0 && *area != 0) (void)kpio_aspace_unmap(lx_space(t)->aspace, *area, LX_AREA_SIZE);
    return process;
}

void lx_vfork_done(struct lx_process *p) {
    if (p->vfork_event > 0) (void)kpio_event_signal(p->vfork_event, 0, 1);
    p->vfork_event = KPIO_HANDLE_NONE;
}

// ---- both ---------------------------------------------------------------------------------------------------------------

int64_t lx_process_clone(struct lx_thread *t, const struct lx_clone *how) {
    struct lx_process *p = lx_process(t);
    if (how->flags & ~(uint64_t)TAKEN) return lx_unserved_use(t, -EINVAL);
    if (how->exit_signal > LX_SIGNALS) return -EINVAL;
    if (how->flags & LX_CLONE_SETTLS && how->tls >= 1ull << 47) return -EPERM;
    int64_t limited = lx_limit_process(t);
    if (limited < 0) return limited;
    uint64_t area = 0;
    int32_t pidfd = 0;
    if (how->flags & LX_CLONE_PIDFD) {  // it can be told, or nothing is done
        int64_t error = lx_copy_in(&pidfd, how->pidfd, sizeof pidfd);
        if (error == 0) error = lx_copy_out(how->pidfd, &pidfd, sizeof pidfd);
        if (error < 0) return error;
    }
    int64_t process = how->flags & LX_CLONE_VM ? fork_sharing(t, how, &area) : fork_copy(t, how);
    if (process < 0) return process == -ENFILE || process == -EMFILE || process == -EINTR ? -EAGAIN : process;
    int64_t pid = pid_of((kpio_handle)process);
    const uint32_t number = (uint32_t)pid;
    if (pid > 0) {
        int64_t error = lx_posix_forked(t, number, (kpio_handle)process);
        if (error == 0) error = lx_child_add(p, number, (kpio_handle)process, (uint32_t)how->exit_signal, area);
        if (error == 0 && how->flags & LX_CLONE_PARENT_SETTID) (void)lx_copy_out(how->parent_tid, &number, sizeof number);
        if (error == 0 && how->flags & LX_CLONE_PIDFD) {
            error = lx_pidfd_make(p, (kpio_handle)process);
            pidfd = (int32_t)error;
            if (error >= 0) error = lx_copy_out(how->pidfd, &pidfd, sizeof pidfd);
        }
        if (error < 0) (void)kpio_process_kill((kpio_handle)process, LX_SIGKILL);
        if (error < 0) pid = error;
    }
    return pid;
}
