// What processes are: what they say of themselves (attach), and what the kernel knows of them. Others see it in /proc.
#include "user/posixd/about.h"

#include "lib/string.h"

const struct about *about_of(const struct process *p) { return &state->abouts[p - state->processes]; }

void about_inherit(const struct process *child, const struct process *parent) {
    struct about *about = about_change(about_of(child));
    if (parent == NULL) *about = (struct about){0};
    else memcpy(about, about_of(parent), offsetof(struct about, program) + about_of(parent)->size);
    about->started = time_now();
}

void about_say(const struct process *p, const struct posix_attach_request *r) {
    struct about *about = about_change(about_of(p));
    about->uid = r->uid;
    about->euid = r->euid;
    about->gid = r->gid;
    about->egid = r->egid;
    memcpy(about->name, r->name, sizeof about->name);
    if (r->about_size == 0) return;
    about->size = r->about_size;
    memcpy(about->program, r->about, r->about_size);
}

// Of the thread that is told of signals: a process has it as long as it runs.
static char state_of(const struct process *p) {
    struct kpio_thread_info info;
    if (p->state == PROCESS_ENDED) return 'Z';
    if (p->stopped) return 'T';
    if (thread_handle(p) <= 0 || kpio_thread_info(thread_handle(p), &info) < 0) return 'S';
    return info.state == KPIO_THREAD_RUNNING || info.state == KPIO_THREAD_READY ? 'R' : 'S';
}

static void look_at_terminal(const struct process *p, struct posix_look_reply *reply) {
    for (unsigned i = 0; i < TTYS_MAX; i++) {
        const struct tty *tty = &state->ttys[i];
        if (tty->kind == TTY_NONE || tty->session != p->session) continue;
        const uint32_t minor = i - 1;
        reply->tty = i == 0 ? 5u << 8 | 1 : 136u << 8 | minor;
        reply->foreground = tty->group;
        return;
    }
}

int64_t about_look(void *context, uint64_t badge, const struct posix_look_request *r, struct posix_look_reply *reply) {
    const struct process *p = process_find(r->target);
    struct kpio_process_info info = {.threads = 0};
    if (p == NULL) return -ESRCH;
    const struct about *about = about_of(p);
    if (process_handle(p) > 0) (void)kpio_process_info(process_handle(p), &info);
    *reply = (struct posix_look_reply){
        .state = (uint32_t)state_of(p), .parent = p->parent, .group = p->group, .session = p->session, .threads = (uint32_t)info.threads,
        .uid = about->uid, .euid = about->euid, .gid = about->gid, .egid = about->egid, .started = about->started,
        .cpu_ns = info.cpu_ns, .pages = info.pages,
    };
    look_at_terminal(p, reply);
    memcpy(reply->name, about->name, sizeof reply->name);
    if (p->state == PROCESS_ENDED) return 0;
    reply->about_size = about->size;
    memcpy(reply->about, about->program, about->size);
    return 0;
}

int64_t about_next(void *context, uint64_t badge, const struct posix_next_request *r, struct posix_next_reply *reply) {
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state == PROCESS_FREE || p->pid <= r->after || (reply->target != 0 && p->pid >= reply->target)) continue;
        reply->target = p->pid;
    }
    return reply->target == 0 ? -ENOENT : 0;
}

int64_t about_count(void *context, uint64_t badge, const struct posix_count_request *r, struct posix_count_reply *reply) {
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        struct kpio_process_info info;
        if (p->state != PROCESS_LIVE || about_of(p)->uid != r->uid || process_handle(p) <= 0) continue;
        if (kpio_process_info(process_handle(p), &info) == 0) reply->threads += info.threads;
    }
    return 0;
}
