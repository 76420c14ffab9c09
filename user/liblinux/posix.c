#include "user/liblinux/posix.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "protocols/gen/posix.h"
#include "user/libkpio/posix.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/node.h"

static int64_t call(struct lx_thread *t, uint32_t label, const void *request, uint64_t size) {
    const kpio_handle posixd = lx_process(t)->posixd;
    return posixd > 0 ? lx_node_call(t, posixd, label, request, size, NULL, 0) : -ESRCH;
}

static const void *reply_of(const struct lx_thread *t) { return (const void *)t->block->message; }

// ---- coming and going -------------------------------------------------------------------------------------------------------

// Path and arguments of the program, each terminated, as far as there is room.
static uint32_t tell_program(const struct lx_process *p, uint8_t *to, uint64_t size) {
    const char *path = p->executable != NULL ? p->executable : "";
    const uint64_t bytes = MIN((uint64_t)strlen(path), size / 2), more = MIN(p->space->arguments_size, size - bytes - 1);
    memcpy(to, path, bytes);
    to[bytes] = 0;
    if (lx_copy_in(to + bytes + 1, p->space->arguments, more) != 0) return (uint32_t)bytes + 1;
    if (more > 0) to[bytes + more] = 0;
    return (uint32_t)(bytes + 1 + more);
}

static void attach(struct lx_thread *t, kpio_handle thread, uint32_t flags, bool program) {
    struct lx_process *p = lx_process(t);
    if (p->posixd <= 0) return;
    struct posix_attach_request request;
    request.pid = p->pid;
    request.parent = p->ppid;
    request.flags = flags;
    request.uid = p->uid;
    request.euid = p->euid;
    request.gid = p->gid;
    request.egid = p->egid;
    memcpy(request.name, p->name, sizeof request.name);
    request.about_size = program ? tell_program(p, request.about, sizeof request.about) : 0;
    const kpio_handle handles[] = {p->handle, thread};
    p->mail_thread = thread;
    const uint64_t size = offsetof(struct posix_attach_request, about) + request.about_size;
    int64_t result = lx_node_call(t, p->posixd, POSIX_ATTACH, &request, size, handles, 2);
    if (result >= 0 && ((const struct posix_attach_reply *)reply_of(t))->mail != 0) lx_posix_expect(t);
}

void lx_posix_attach_program(struct lx_thread *t, bool executed) { attach(t, t->handle, executed ? POSIX_EXECUTED : 0, true); }
void lx_posix_attach(struct lx_thread *t, kpio_handle thread) { attach(t, thread, 0, false); }

void lx_posix_thread_gone(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    kpio_handle other = KPIO_HANDLE_NONE;
    if (p->posixd <= 0 || p->mail_thread != t->handle) return;
    lx_lock(&p->signal_lock);
    list_for_each_entry(thread, &p->threads, struct lx_thread, node)
        if (thread != t && other == KPIO_HANDLE_NONE) other = thread->handle;
    lx_unlock(&p->signal_lock);
    if (other != KPIO_HANDLE_NONE) lx_posix_attach(t, other);
}

int64_t lx_posix_forked(struct lx_thread *t, uint32_t child, kpio_handle process) {
    const struct lx_process *p = lx_process(t);
    const struct posix_fork_request request = {.pid = p->pid, .child = child};
    if (p->posixd <= 0) return 0;
    int64_t result = lx_node_call(t, p->posixd, POSIX_FORK, &request, offsetof(struct posix_fork_request, process), &process, 1);
    return result < 0 ? -EAGAIN : 0;
}

void lx_posix_reaped(struct lx_thread *t, uint32_t child) {
    const struct posix_reap_request request = {.pid = lx_process(t)->pid, .child = child};
    (void)call(t, POSIX_REAP, &request, sizeof request);
}

int64_t lx_posix_care(struct lx_thread *t) {
    const struct lx_process *p = lx_process(t);
    const struct posix_care_request request = {.pid = p->pid, .death_signal = p->death_signal, .reaper = p->reaper};
    const int64_t result = p->posixd > 0 ? call(t, POSIX_CARE, &request, sizeof request) : 0;
    return result < 0 ? result : 0;
}

int64_t lx_posix_count(struct lx_thread *t) {
    const struct lx_process *p = lx_process(t);
    const struct posix_count_request request = {.pid = p->pid, .uid = p->uid};
    const int64_t result = call(t, POSIX_COUNT, &request, sizeof request);
    return result < 0 ? result : (int64_t)((const struct posix_count_reply *)reply_of(t))->threads;
}

void lx_posix_adopt(struct lx_thread *t) {
    struct posix_adopt_request request = {.pid = lx_process(t)->pid};
    while (call(t, POSIX_ADOPT, &request, sizeof request) >= 0) {
        const kpio_handle process = t->block->handles[0].handle;
        request.after = ((const struct posix_adopt_reply *)reply_of(t))->child;
        if (process > 0) lx_child_adopt(lx_process(t), request.after, process);
    }
}

// ---- signals ----------------------------------------------------------------------------------------------------------------

void lx_posix_expect(struct lx_thread *t) {
    __atomic_store_n(&lx_process(t)->mail, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&t->pending, 1, __ATOMIC_SEQ_CST);
}

enum { CLD_STOPPED = 5, CLD_CONTINUED = 6 };
static void take(struct lx_process *p, const struct lx_siginfo *info, uint32_t target) {
    const bool child = info->number == LX_SIGCHLD && (info->code == CLD_STOPPED || info->code == CLD_CONTINUED);
    if (child) {
        const uint32_t status = info->code == CLD_STOPPED ? (uint32_t)info->child.status << 8 | 0x7f : 0xffff;
        lx_child_changed(p, (uint32_t)info->child.pid, status);
        if (p->signals->actions[LX_SIGCHLD].flags & LX_SA_NOCLDSTOP) return;
    }
    if (target != 0) (void)lx_signal_send_tid(p, target, info);
    else (void)lx_signal_send_process(p, info);
}

static void fetch(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    for (bool more = true; more;) {
        struct lx_siginfo info;
        const struct posix_take_request request = {LX_NODE_WHO(t), .full = lx_signals_full(p)};
        if (call(t, POSIX_TAKE, &request, sizeof request) < 0) return;
        const struct posix_take_reply *reply = (const struct posix_take_reply *)t->block->message;
        if (reply->info_size != sizeof info) return;
        memcpy(&info, reply->info, sizeof info);
        info.pad = LX_INFO_FETCHED;
        const uint32_t target = reply->target;
        more = reply->more != 0;
        if (reply->continued != 0) lx_signal_continue(p);
        take(p, &info, target);
    }
}

// Who finds another fetching waits as long for posixd as if it asked itself.
void lx_posix_fetch(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    lx_lock(&p->mail_lock);
    if (__atomic_exchange_n(&p->mail, 0, __ATOMIC_SEQ_CST) != 0) {
        if (p->reaper) lx_posix_adopt(t);
        fetch(t);
    }
    lx_unlock(&p->mail_lock);
}

int64_t lx_posix_kill(struct lx_thread *t, int64_t target, uint32_t thread, const struct lx_siginfo *info) {
    struct posix_kill_request request = {LX_NODE_WHO(t), .target = target, .thread = thread, .number = (uint32_t)info->number,
                                         .info_size = sizeof *info};
    memcpy(request.info, info, sizeof *info);
    int64_t result = call(t, POSIX_KILL, &request, sizeof request);
    if (result >= 0 && target <= 0) lx_posix_expect(t);  // the caller may be among them
    return result < 0 ? result : 0;
}

bool lx_posix_may_stop(struct lx_thread *t, uint32_t number) {
    const struct posix_stop_request request = {LX_NODE_WHO(t), .number = number};
    return call(t, POSIX_STOP, &request, sizeof request) != -EIO;
}

// ---- ids --------------------------------------------------------------------------------------------------------------------

int64_t lx_posix_ids(struct lx_thread *t, uint32_t pid, struct lx_ids *out) {
    const struct lx_process *p = lx_process(t);
    const struct posix_ids_request request = {.pid = p->pid, .target = pid};
    int64_t result = call(t, POSIX_IDS, &request, sizeof request);
    if (p->posixd <= 0 && (pid == 0 || pid == p->pid)) {
        *out = (struct lx_ids){p->ppid, p->pid, p->pid};
        return 0;
    }
    if (result < 0) return result;
    const struct posix_ids_reply *reply = (const struct posix_ids_reply *)t->block->message;
    *out = (struct lx_ids){reply->parent, reply->group, reply->session};
    return 0;
}

const struct posix_look_reply *lx_posix_look(struct lx_thread *t, uint32_t pid) {
    const struct posix_look_request request = {.pid = lx_process(t)->pid, .target = pid};
    return call(t, POSIX_LOOK, &request, sizeof request) < 0 ? NULL : reply_of(t);
}

uint32_t lx_posix_next(struct lx_thread *t, uint32_t after) {
    const struct posix_next_request request = {.pid = lx_process(t)->pid, .after = after};
    return call(t, POSIX_NEXT, &request, sizeof request) < 0 ? 0 : ((const struct posix_next_reply *)reply_of(t))->target;
}
