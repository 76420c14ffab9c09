// The children of a process, and waiting for their ends. A child's exit status is the kernel process's.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/linux_launch.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/signal.h"

void lx_children_init(struct lx_process *p) {
    list_init(&p->children);
    p->children_port = KPIO_HANDLE_NONE;
}

static void child_free(struct lx_process *p, struct lx_child *child) {
    (void)kpio_handle_close((uint32_t)child->handle);
    if (child->area != 0) (void)kpio_aspace_unmap(p->space->aspace, child->area, LX_AREA_SIZE);
    lx_free(p->space, child, sizeof *child);
}

void lx_children_forget(struct lx_process *p) {
    list_for_each_entry_safe(child, &p->children, struct lx_child, node) (void)kpio_handle_close((uint32_t)child->handle);
    if (p->children_port > 0) (void)kpio_handle_close((uint32_t)p->children_port);
    lx_children_init(p);
}

// ---- telling of ends ------------------------------------------------------------------------------------------------------

static struct lx_child *find_locked(struct lx_process *p, uint32_t pid) {
    list_for_each_entry(child, &p->children, struct lx_child, node)
        if (child->pid == pid) return child;
    return NULL;
}

enum { CLD_EXITED = 1, CLD_KILLED, CLD_DUMPED, CLD_STOPPED = 5, CLD_CONTINUED };
#define CONTINUED 0xffffu
#define IS_STOPPED(status) (((status) & 0xff) == 0x7f)
static void describe(struct lx_siginfo *info, uint32_t pid, uint32_t status) {
    bool exited = (status & 0x7f) == 0;
    info->code = exited ? CLD_EXITED : status & 0x80 ? CLD_DUMPED : CLD_KILLED;
    if (status == CONTINUED || IS_STOPPED(status)) info->code = status == CONTINUED ? CLD_CONTINUED : CLD_STOPPED;
    info->child.pid = (int32_t)pid;
    info->child.status = (int32_t)(status == CONTINUED ? LX_SIGCONT : exited || IS_STOPPED(status) ? status >> 8 & 0xff : status & 0x7f);
}

// The kernel's own statuses (a fault without a handler, a job's end) are signals too.
static uint32_t wait_status(int64_t status) {
    if (status >= 0 && status <= 0xffff) return (uint32_t)status;
    return status <= KPIO_STATUS_FAULT ? LX_SIGSEGV : LX_SIGKILL;
}

static bool has_ended(const struct lx_child *child, struct kpio_process_info *info) {
    struct kpio_wait_item look = {.handle = child->handle, .signals = KPIO_SIGNAL_TERMINATED};
    if (kpio_handle_wait_many(&look, 1, 0) <= 0 || !(look.asserted & KPIO_SIGNAL_TERMINATED)) return false;
    return kpio_process_info(child->handle, info) >= 0;
}

// ---- children that nobody waits for ---------------------------------------------------------------------------------------

// With SIGCHLD ignored, or SA_NOCLDWAIT, a child goes when it ends.
static bool goes_by_itself(const struct lx_process *p, const struct lx_child *child) {
    const struct lx_signal_action *action = &p->signals->actions[LX_SIGCHLD];
    if (child->exit_signal != LX_SIGCHLD || child->kept) return false;
    return action->handler == LX_SIG_IGN || action->flags & LX_SA_NOCLDWAIT;
}

static struct lx_child *take_gone(struct lx_process *p, uint32_t *status) {
    struct kpio_process_info info;
    struct lx_child *gone = NULL;
    lx_lock(&p->children_lock);
    list_for_each_entry_safe(child, &p->children, struct lx_child, node) {
        if (!goes_by_itself(p, child) || !has_ended(child, &info)) continue;
        list_remove(&child->node);
        *status = wait_status(info.status);
        gone = child;
        break;
    }
    lx_unlock(&p->children_lock);
    return gone;
}

static void sweep(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    uint32_t status;
    for (struct lx_child *child; (child = take_gone(p, &status)) != NULL;) {
        struct lx_siginfo info = {.number = LX_SIGCHLD};
        describe(&info, child->pid, status);
        if (child->watched && !child->told) (void)lx_signal_send_process(p, &info);
        lx_posix_reaped(t, child->pid);
        child_free(p, child);
    }
}

void lx_children_settle(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    struct kpio_process_info info;
    sweep(t);
    lx_lock(&p->children_lock);
    list_for_each_entry(child, &p->children, struct lx_child, node)
        if (!child->kept) child->kept = has_ended(child, &info);
    lx_unlock(&p->children_lock);
}

static void tell(struct lx_process *p, const struct kpio_port_packet *packet) {
    lx_lock(&p->children_lock);
    struct lx_child *child = find_locked(p, (uint32_t)packet->key);
    uint32_t number = child == NULL || child->told ? 0 : child->exit_signal;
    if (child != NULL) child->told = true;
    lx_unlock(&p->children_lock);
    if (number == 0) return;
    struct lx_siginfo info = {.number = (int32_t)number};
    describe(&info, (uint32_t)packet->key, wait_status((int64_t)packet->value));
    (void)lx_signal_send_process(p, &info);
}

static void watch_main(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    for (;;) {
        struct kpio_port_packet packets[8];
        int64_t count = kpio_port_wait(p->children_port, packets, ARRAY_SIZE(packets), KPIO_TIME_NEVER);
        for (int64_t i = 0; i < count; i++) tell(p, &packets[i]);
        sweep(t);
    }
}

static void watch_locked(struct lx_process *p, struct lx_child *child) {
    if (child->watched || child->exit_signal == 0) return;
    child->watched = kpio_port_bind(p->children_port, child->handle, KPIO_SIGNAL_TERMINATED, child->pid, 0) == 0;
}

static bool wants_to_know(struct lx_process *p) {
    uint64_t handler = p->signals->actions[LX_SIGCHLD].handler;
    return handler != LX_SIG_DFL && handler != LX_SIG_IGN;
}

void lx_child_changed(struct lx_process *p, uint32_t pid, uint32_t status) {
    lx_lock(&p->children_lock);
    struct lx_child *child = find_locked(p, pid);
    if (child != NULL) child->report = status;
    lx_unlock(&p->children_lock);
    lx_lock(&p->signal_lock);
    lx_signal_tell_all_locked(p);
    lx_unlock(&p->signal_lock);
}

void lx_children_watch(struct lx_process *p) {
    lx_lock(&p->children_lock);
    if (p->children_port == KPIO_HANDLE_NONE && !list_is_empty(&p->children)) {
        int64_t port = kpio_port_create();
        if (port > 0) p->children_port = (kpio_handle)port;
        if (port > 0 && lx_thread_spawn(p, watch_main) == NULL) {
            (void)kpio_handle_close((uint64_t)port);
            p->children_port = KPIO_HANDLE_NONE;
        }
    }
    if (p->children_port > 0)
        list_for_each_entry(child, &p->children, struct lx_child, node) watch_locked(p, child);
    lx_unlock(&p->children_lock);
}

int64_t lx_child_add(struct lx_process *p, uint32_t pid, kpio_handle handle, uint32_t exit_signal, uint64_t area) {
    struct lx_child *child = lx_alloc(p->space, sizeof *child);
    if (child == NULL) return -ENOMEM;
    *child = (struct lx_child){.pid = pid, .handle = handle, .exit_signal = exit_signal, .area = area};
    lx_lock(&p->children_lock);
    list_push_back(&p->children, &child->node);
    lx_unlock(&p->children_lock);
    if (p->children_port > 0 || wants_to_know(p)) lx_children_watch(p);
    return 0;
}

void lx_child_adopt(struct lx_process *p, uint32_t pid, kpio_handle handle) {
    lx_lock(&p->children_lock);
    const bool known = find_locked(p, pid) != NULL;
    lx_unlock(&p->children_lock);
    if (known || lx_child_add(p, pid, handle, LX_SIGCHLD, 0) != 0) {
        (void)kpio_handle_close((uint32_t)handle);
        return;
    }
    lx_lock(&p->signal_lock);
    lx_signal_tell_all_locked(p);  // who waits looks again
    lx_unlock(&p->signal_lock);
}

// ---- waiting --------------------------------------------------------------------------------------------------------------

enum { WNOHANG = 1, WUNTRACED = 2, WEXITED = 4, WCONTINUED = 8, WNOWAIT = 0x1000000, WNOTHREAD = 0x20000000, WALL = 0x40000000,
       WCLONE = (int)0x80000000 };
#define WAIT_MAX 256u               // children that one wait looks at

struct ended {
    uint32_t pid, status;
    bool ended;                     // or it stopped, or goes on
    uint64_t cpu_ns;
};

// What a wait is for. pid as waitpid takes it, with groups resolved: above 0 a child, -1 any, else those that are listed.
struct wanted {
    int64_t pid;
    uint64_t options;
    uint32_t count, pids[WAIT_MAX];
};

// posixd knows the groups, and is not asked under the lock.
static void find_group(struct lx_thread *t, struct wanted *w) {
    struct lx_process *p = lx_process(t);
    struct lx_ids ids;
    uint32_t all = 0;
    w->count = 0;
    if (w->pid > 0 || w->pid == -1) return;
    if (w->pid == 0 && lx_posix_ids(t, 0, &ids) == 0) w->pid = -(int64_t)ids.group;
    lx_lock(&p->children_lock);
    list_for_each_entry(child, &p->children, struct lx_child, node)
        if (all < WAIT_MAX) w->pids[all++] = child->pid;
    lx_unlock(&p->children_lock);
    for (uint32_t i = 0; i < all; i++)
        if (lx_posix_ids(t, w->pids[i], &ids) == 0 && -(int64_t)ids.group == w->pid) w->pids[w->count++] = w->pids[i];
}

static bool matches(const struct lx_child *child, const struct wanted *w) {
    if (w->pid > 0 || w->pid == -1) return w->pid == -1 || child->pid == (uint32_t)w->pid;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->pids[i] == child->pid) return true;
    return false;
}

// A stop or a continuation that is wanted and was not told yet.
static uint32_t take_report(struct lx_child *child, uint64_t options) {
    const uint32_t report = child->report;
    if (report == 0 || !(options & (report == CONTINUED ? WCONTINUED : WUNTRACED))) return 0;
    if (!(options & WNOWAIT)) child->report = 0;
    return report;
}

// What a child has to tell: 1; 0: it lives on; -ECHILD: it has ended, which nobody asked for.
static int64_t look_at(struct lx_child *child, uint64_t options, struct ended *out) {
    struct kpio_process_info info;
    *out = (struct ended){.pid = child->pid, .status = take_report(child, options)};
    if (out->status != 0) return 1;
    if (!has_ended(child, &info)) return 0;
    out->ended = true;
    out->status = wait_status(info.status);
    out->cpu_ns = info.cpu_ns;
    return options & WEXITED ? 1 : -ECHILD;
}

// Takes what one of the wanted children has to tell: 1; 0 when they have nothing, -ECHILD when there is none. items and count: the
// living ones.
static int64_t collect(struct lx_thread *t, const struct wanted *w, struct ended *out, struct kpio_wait_item *items, uint32_t *count) {
    struct lx_process *p = lx_process(t);
    int64_t result = -ECHILD;
    struct lx_child *gone = NULL;
    *count = 0;
    lx_lock(&p->children_lock);
    list_for_each_entry_safe(child, &p->children, struct lx_child, node) {
        if (!matches(child, w)) continue;
        int64_t told = look_at(child, w->options, out);
        if (out->ended && goes_by_itself(p, child)) told = 0;  // the next sweep takes it
        if (told > 0 || result < 0) result = told;
        if (told == 0 && *count < WAIT_MAX)
            items[(*count)++] = (struct kpio_wait_item){.handle = child->handle, .signals = KPIO_SIGNAL_TERMINATED};
        if (told <= 0) continue;
        if (out->ended && !(w->options & WNOWAIT)) {
            list_remove(&child->node);
            p->children_cpu += out->cpu_ns;
            gone = child;
        }
        break;
    }
    lx_unlock(&p->children_lock);
    if (gone == NULL) return result;
    lx_posix_reaped(t, gone->pid);
    child_free(p, gone);
    return result;
}

// Blocks until one of the living changes. A signal ends it.
static int64_t wait_for_change(struct lx_thread *t, struct kpio_wait_item *items, uint32_t count) {
    int64_t result = lx_block(t, SYS_handle_wait_many, (uint64_t)items, count, KPIO_TIME_NEVER, 0, 0, 0);
    return result == -EINTR ? -LX_RESTART : 0;
}

// 1 and *out, 0 (WNOHANG and none has changed), or a negative errno.
static int64_t wait_any(struct lx_thread *t, int64_t pid, uint64_t options, struct ended *out) {
    struct kpio_wait_item items[WAIT_MAX];
    struct wanted wanted = {.pid = pid, .options = options};
    uint32_t count;
    find_group(t, &wanted);
    for (;;) {
        if (lx_process(t)->reaper) lx_posix_adopt(t);
        sweep(t);
        int64_t result = collect(t, &wanted, out, items, &count);
        if (result != 0 || options & WNOHANG) return result;
        result = wait_for_change(t, items, count);
        if (result < 0) return result;
    }
}

struct rusage {
    int64_t user_seconds, user_us, system_seconds, system_us, rest[14];
};

static int64_t put_usage(uint64_t at, uint64_t cpu_ns) {
    const struct rusage usage = {.user_seconds = (int64_t)(cpu_ns / 1000000000), .user_us = (int64_t)(cpu_ns / 1000 % 1000000)};
    return at == 0 ? 0 : lx_copy_out(at, &usage, sizeof usage);
}

// ABI wait4: without posixd there are no groups (pid 0 and below -1: ECHILD), and no stops are told
LX_CALL(wait4) {
    struct ended ended = {0};
    if (a2 & ~(uint64_t)(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | 0x80000000ull)) return -EINVAL;
    int64_t result = wait_any(t, (int32_t)a0, a2 | WEXITED, &ended);
    if (result <= 0) return result;
    if (a1 != 0) result = lx_copy_out(a1, &ended.status, sizeof ended.status);
    if (result >= 0) result = put_usage(a3, ended.cpu_ns);
    return result < 0 ? result : ended.pid;
}

enum { P_ALL, P_PID, P_PGID, P_PIDFD };
LX_CALL(waitid) {
    struct ended ended = {0};
    if (a3 & ~(uint64_t)(WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | WNOTHREAD | WALL | 0x80000000ull)) return -EINVAL;
    if (!(a3 & (WEXITED | WUNTRACED | WCONTINUED)) || a0 > P_PIDFD || (a0 == P_PID && (int32_t)a1 <= 0)) return -EINVAL;
    if ((a0 == P_PGID || a0 == P_PIDFD) && (int32_t)a1 < 0) return -EINVAL;
    const int64_t named = a0 == P_PIDFD ? lx_pidfd_pid(lx_process(t), a1) : (int32_t)a1;
    if (named < 0) return named;
    const int64_t pid = a0 == P_PGID ? -named : a0 == P_ALL ? -1 : named;
    int64_t result = wait_any(t, pid, a3, &ended);
    if (result < 0) return result;
    struct lx_siginfo info = {0};
    if (result > 0) {
        info.number = LX_SIGCHLD;
        describe(&info, ended.pid, ended.status);
    }
    if (a2 != 0) result = lx_copy_out(a2, &info, sizeof info);
    if (result >= 0) result = put_usage(a4, ended.cpu_ns);
    return result < 0 ? result : 0;
}
