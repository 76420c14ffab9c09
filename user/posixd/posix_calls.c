// protocols/posix.def.
#include "protocols/gen/posix.h"

#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/posix.h"
#include "user/posixd/about.h"

enum { SIGNAL_CONT = 18, SIGNAL_STOP = 19, CLD_STOPPED = 5, SIGNALS = 64 };

static void close_handle(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

// ---- coming and going -----------------------------------------------------------------------------------------------------

static int64_t know(uint32_t pid, uint32_t parent, kpio_handle process, const struct process **out) {
    *out = process_find(pid);
    if (*out != NULL) {                // one of the two was here first
        close_handle(process);
        return (*out)->state == PROCESS_LIVE ? 0 : -ESRCH;
    }
    int64_t error = process > 0 ? process_add(pid, parent, process) : -EINVAL;
    if (error < 0) close_handle(process);
    *out = process_find(pid);
    return error;
}

static int64_t do_attach(void *context, uint64_t badge, const struct posix_attach_request *r, struct posix_attach_reply *reply) {
    const struct process *p;
    int64_t error = know(r->pid, r->parent, r->process, &p);
    if (error < 0) {
        close_handle(r->thread);
        return error;
    }
    thread_set_handle(p, r->thread);
    if (r->flags & POSIX_EXECUTED) {
        process_change(p)->executed = 1;
        answers_drop(p->pid);          // of the program before
    }
    if (r->thread > 0) (void)keep_thread(p->pid, r->thread);
    about_say(p, r);
    *reply = (struct posix_attach_reply){.mail = mail_waits(p->pid, 0), .group = p->group, .session = p->session};
    return 0;
}

static int64_t do_fork(void *context, uint64_t badge, const struct posix_fork_request *r, struct posix_fork_reply *reply) {
    const struct process *p;
    int64_t error = know(r->child, r->pid, r->process, &p);
    return error == -ESRCH ? 0 : error;  // it has ended already
}

static int64_t do_reap(void *context, uint64_t badge, const struct posix_reap_request *r, struct posix_reap_reply *reply) {
    const struct process *p = process_find(r->child);
    if (p == NULL) return 0;
    if (p->state == PROCESS_LIVE) process_ended(p);
    if (p->state == PROCESS_ENDED) process_free(p);
    return 0;
}

static int64_t do_care(void *context, uint64_t badge, const struct posix_care_request *r, struct posix_care_reply *reply) {
    const struct process *p = process_find(r->pid);
    if (p == NULL) return -ESRCH;
    if (r->death_signal > SIGNALS) return -EINVAL;
    struct process *changed = process_change(p);
    changed->death_signal = (uint8_t)r->death_signal;
    changed->reaper = r->reaper != 0;
    return 0;
}

// A handle for whoever waits for it now; its process need not have given one that can be passed on.
static int64_t lend(const struct process *p) {
    const uint32_t rights = KPIO_RIGHT_WAIT | KPIO_RIGHT_KILL | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    return process_handle(p) > 0 ? kpio_handle_dup(process_handle(p), rights) : -EBADF;
}

// One whose handle is lost (it ended while there was no posixd) is waited for here.
static int64_t do_adopt(void *context, uint64_t badge, const struct posix_adopt_request *r, struct posix_adopt_reply *reply) {
    const struct process *next = NULL;
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state == PROCESS_FREE || !p->adopted || p->parent != r->pid || p->pid <= r->after) continue;
        if (process_handle(p) <= 0 && p->state == PROCESS_ENDED) process_free(p);
        else if (next == NULL || p->pid < next->pid) next = p;
    }
    const int64_t handle = next == NULL ? -ENOENT : lend(next);
    if (handle < 0) return handle;
    reply->child = next->pid;
    reply->process = (kpio_handle)handle;
    reply_closes(reply->process);
    return 0;
}

// ---- signals ----------------------------------------------------------------------------------------------------------------

static int64_t do_take(void *context, uint64_t badge, const struct posix_take_request *r, struct posix_take_reply *reply) {
    const struct mail *first = NULL;
    uint32_t count = 0;
    for (unsigned i = 0; i < state->totals.mail_top; i++) {
        const struct mail *m = &state->mails[i];
        if (!m->used || m->pid != r->pid || (r->full && m->info.number >= REAL_TIME)) continue;
        count++;
        if (first == NULL || m->order < first->order) first = m;
    }
    if (first == NULL) return -ENOENT;
    reply->target = first->thread;
    reply->more = count > 1;
    const struct process *p = process_find(r->pid);
    if (p != NULL && p->continued) {
        reply->continued = 1;
        process_change(p)->continued = 0;
    }
    reply->info_size = sizeof first->info;
    memcpy(reply->info, &first->info, sizeof first->info);
    mail_free(first);
    return 0;
}

static int64_t kill_all(const struct process *self, const struct siginfo *info) {
    int64_t result = -ESRCH;
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state != PROCESS_LIVE || p == self) continue;
        result = info->number == 0 ? 0 : signal_member(p, info);
    }
    return result;
}

static int64_t do_kill(void *context, uint64_t badge, const struct posix_kill_request *r, struct posix_kill_reply *reply) {
    struct siginfo info = {0};
    const struct process *self = process_find(r->pid);
    if (r->number > SIGNALS || (r->info_size != 0 && r->info_size != sizeof info)) return -EINVAL;
    memcpy(&info, r->info, r->info_size);
    info.number = (int32_t)r->number;
    if (r->target == -1) return kill_all(self, &info);
    if (r->target <= 0) {
        if (r->target == 0 && self == NULL) return -ESRCH;
        return signal_group(r->target == 0 ? self->group : (uint32_t)-r->target, &info, NULL);
    }
    if (r->target == 1) return r->number == 0 ? 0 : -EPERM;
    const struct process *p = process_find((uint32_t)r->target);
    if (p == NULL) return -ESRCH;
    return r->number == 0 ? 0 : signal_process(p, r->thread, &info);
}

static int64_t do_stop(void *context, uint64_t badge, const struct posix_stop_request *r, struct posix_stop_reply *reply) {
    const struct process *p = process_find(r->pid);
    if (p == NULL) return -ESRCH;
    if (mail_waits(p->pid, SIGNAL_CONT)) return -EIO;
    if (r->number != SIGNAL_STOP && group_is_orphaned(p->group, p->session)) return -EIO;
    process_change(p)->stopped = 1;
    signal_parent(p, CLD_STOPPED, (int32_t)r->number);
    return 0;
}

// ---- groups and sessions --------------------------------------------------------------------------------------------------------

static int64_t do_ids(void *context, uint64_t badge, const struct posix_ids_request *r, struct posix_ids_reply *reply) {
    const struct process *p = process_find(r->target == 0 ? r->pid : r->target);
    if (p == NULL) return -ESRCH;
    *reply = (struct posix_ids_reply){p->parent, p->group, p->session};
    return 0;
}

static int64_t do_setpgid(void *context, uint64_t badge, const struct posix_setpgid_request *r, struct posix_setpgid_reply *reply) {
    const struct process *self = process_find(r->pid);
    const struct process *p = process_find(r->target == 0 ? r->pid : r->target);
    const uint32_t group = r->group == 0 && p != NULL ? p->pid : r->group;
    if ((int32_t)r->group < 0) return -EINVAL;
    if (self == NULL || p == NULL || p->state != PROCESS_LIVE || (p != self && p->parent != r->pid)) return -ESRCH;
    if (p != self && p->session != self->session) return -EPERM;
    if (p != self && p->executed) return -EACCES;
    if (p->session == p->pid) return -EPERM;
    if (group != p->pid && !group_exists(group, p->session)) return -EPERM;
    process_change(p)->group = group;
    return 0;
}

static int64_t do_setsid(void *context, uint64_t badge, const struct posix_setsid_request *r, struct posix_setsid_reply *reply) {
    const struct process *p = process_find(r->pid);
    if (p == NULL) return -ESRCH;
    for (unsigned i = 0; i < state->totals.process_top; i++)
        if (state->processes[i].state != PROCESS_FREE && state->processes[i].group == p->pid) return -EPERM;
    struct process *leader = process_change(p);
    leader->group = leader->session = p->pid;
    return 0;
}

// ---- names of sockets -----------------------------------------------------------------------------------------------------------

static int64_t name_of(const uint8_t *name, uint32_t size, struct socket *out) {
    if (size > SOCKET_NAME_MAX) return -EINVAL;
    out->name_size = size;
    memcpy(out->name, name, size);
    return 0;
}

static int64_t do_socket_bind(void *context, uint64_t badge, const struct posix_socket_bind_request *r,
                              struct posix_socket_bind_reply *reply) {
    struct socket like = {.type = r->type, .fs = r->fs, .inode = r->inode, .pid = r->pid, .uid = r->uid, .gid = r->gid};
    int64_t error = r->pipe <= 0 ? -EINVAL : name_of(r->name, r->name_size, &like);
    if (error == 0) return socket_bind(&like, r->pipe, &reply->id);
    close_handle(r->pipe);
    return error;
}

static int64_t do_socket_listen(void *context, uint64_t badge, const struct posix_socket_listen_request *r,
                                struct posix_socket_listen_reply *reply) {
    const struct socket *found = socket_find(r->id);
    if (found == NULL) return -EINVAL;
    struct socket *s = socket_change(found);
    s->listens = 1;
    s->pid = r->pid;
    s->uid = r->uid;
    s->gid = r->gid;
    return 0;
}

static int64_t do_socket_peer(void *context, uint64_t badge, const struct posix_socket_peer_request *r,
                              struct posix_socket_peer_reply *reply) {
    const struct socket *s = socket_find(r->id);
    return s == NULL || s->type != SOCKET_DATAGRAM ? -EINVAL : socket_set_peer(s, r->peer);
}

static int64_t do_socket_find(void *context, uint64_t badge, const struct posix_socket_find_request *r,
                              struct posix_socket_find_reply *reply) {
    struct socket like = {.type = r->type, .fs = r->fs, .inode = r->inode};
    const struct socket *s = NULL;
    int64_t error = name_of(r->name, r->name_size, &like);
    if (error == 0) error = socket_look(&like, &s);
    if (error < 0) return error;
    reply->pid = s->pid;
    reply->uid = s->uid;
    reply->gid = s->gid;
    reply->pipe = pipe_handle(s);
    reply->name_size = s->name_size;
    memcpy(reply->name, s->name, s->name_size);
    return 0;
}

uint64_t posix_serve(uint64_t header, uint64_t badge) {
    static const struct posix_server server = {
        .attach = do_attach, .fork = do_fork, .reap = do_reap, .take = do_take, .kill = do_kill,
        .ids = do_ids, .setpgid = do_setpgid, .setsid = do_setsid, .stop = do_stop, .look = about_look, .next = about_next,
        .care = do_care, .adopt = do_adopt, .count = about_count,
        .socket_bind = do_socket_bind, .socket_listen = do_socket_listen, .socket_find = do_socket_find,
        .socket_peer = do_socket_peer,
    };
    return posix_dispatch(&server, NULL, header, badge);
}
