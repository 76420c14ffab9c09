// Signals between processes: they wait here until their process fetches them.
#include "lib/util.h"
#include "user/libkpio/posix.h"
#include "user/posixd/posixd.h"

enum { SIGNAL_KILL = 9, SIGNAL_CHLD = 17, SIGNAL_CONT = 18, SIGNAL_STOP = 19, SIGNAL_TSTP = 20, SIGNAL_TTOU = 22 };
enum { CODE_USER = 0, CODE_KERNEL = 0x80, CLD_STOPPED = 5, CLD_CONTINUED = 6 };

static bool is_stop(int32_t number) { return number == SIGNAL_STOP || (number >= SIGNAL_TSTP && number <= SIGNAL_TTOU); }

void mail_drop(uint32_t pid) {
    for (unsigned i = state->totals.mail_top; i-- > 0;)
        if (state->mails[i].used && state->mails[i].pid == pid) mail_free(&state->mails[i]);
}

bool mail_waits(uint32_t pid, uint32_t number) {
    for (unsigned i = 0; i < state->totals.mail_top; i++) {
        const struct mail *m = &state->mails[i];
        if (m->used && m->pid == pid && (number == 0 || (uint32_t)m->info.number == number)) return true;
    }
    return false;
}

// Continuing takes stops back and the other way round.
static void drop_opposite(uint32_t pid, int32_t number) {
    for (unsigned i = state->totals.mail_top; i-- > 0;) {
        const struct mail *m = &state->mails[i];
        if (!m->used || m->pid != pid) continue;
        if (number == SIGNAL_CONT ? is_stop(m->info.number) : is_stop(number) && m->info.number == SIGNAL_CONT) mail_free(m);
    }
}

static bool waits(uint32_t pid, uint32_t thread, int32_t number) {
    for (unsigned i = 0; i < state->totals.mail_top; i++) {
        const struct mail *m = &state->mails[i];
        if (m->used && m->pid == pid && m->thread == thread && m->info.number == number) return true;
    }
    return false;
}

// An ordinary signal waits once; what a child's changes say is told each.
static bool waits_already(uint32_t pid, uint32_t thread, const struct siginfo *info) {
    return info->number < REAL_TIME && info->number != SIGNAL_CHLD && waits(pid, thread, info->number);
}

// Of those that queue as many as leave room for what others get, and for ordinary ones.
enum { QUEUED_OF_ONE = MAILS_MAX / 2, QUEUED_OF_ALL = MAILS_MAX / 4 * 3 };
static bool has_room_to_queue(uint32_t pid) {
    uint32_t own = 0, all = 0;
    for (unsigned i = 0; i < state->totals.mail_top; i++) {
        const struct mail *m = &state->mails[i];
        if (!m->used || m->info.number < REAL_TIME) continue;
        all++;
        own += m->pid == pid;
    }
    return own < QUEUED_OF_ONE && all < QUEUED_OF_ALL;
}

static const struct mail *find_free(void) {
    for (unsigned i = 0; i < state->totals.mail_top; i++)
        if (!state->mails[i].used) return &state->mails[i];
    return state->totals.mail_top == MAILS_MAX ? NULL : &state->mails[totals_change()->mail_top++];
}

void mail_free(const struct mail *m) {
    uint32_t top = state->totals.mail_top;
    mail_change(m)->used = 0;
    while (top > 0 && !state->mails[top - 1].used) top--;
    if (top != state->totals.mail_top) totals_change()->mail_top = top;
}

static int64_t post(const struct process *p, uint32_t thread, const struct siginfo *info, bool group) {
    if (waits_already(p->pid, thread, info)) return 0;
    // Without room a real-time signal of kill is like an ordinary one.
    if (info->number >= REAL_TIME && !has_room_to_queue(p->pid)) {
        if (info->code != CODE_USER) return -EAGAIN;
        if (waits(p->pid, thread, info->number)) return 0;
    }
    const struct mail *m = find_free();
    if (m == NULL) return -EAGAIN;
    const uint64_t order = totals_change()->order++;
    *mail_change(m) = (struct mail){.used = 1, .pid = p->pid, .thread = thread, .group = group, .order = order, .info = *info};
    effect_tell(p);
    return 0;
}

static int64_t send(const struct process *p, uint32_t thread, const struct siginfo *info, bool group) {
    if (p->state != PROCESS_LIVE) return 0;
    if (info->number == SIGNAL_KILL) {
        struct process *killed = process_change(p);
        killed->killed |= group;
        killed->killing = 1;
        effect_kill(p);
        return 0;
    }
    drop_opposite(p->pid, info->number);
    int64_t result = post(p, thread, info, group);
    if (result == 0 && info->number == SIGNAL_CONT && p->stopped) {
        struct process *continued = process_change(p);
        continued->stopped = 0;
        continued->continued = 1;
        signal_parent(p, CLD_CONTINUED, SIGNAL_CONT);
    }
    return result;
}

int64_t signal_process(const struct process *p, uint32_t thread, const struct siginfo *info) { return send(p, thread, info, false); }
int64_t signal_member(const struct process *p, const struct siginfo *info) { return send(p, 0, info, true); }

// It was forked before its parent can have seen them: as if they had come just after that.
void signal_newborn(const struct process *child, uint32_t parent) {
    for (unsigned i = 0, top = state->totals.mail_top; i < top; i++) {
        const struct mail *m = &state->mails[i];
        if (m->used && m->group && m->pid == parent) (void)signal_member(child, &m->info);
    }
}

int64_t signal_group(uint32_t group, const struct siginfo *info, const struct process *except) {
    int64_t result = -ESRCH;
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state == PROCESS_FREE || p == except || p->group != group) continue;
        int64_t sent = info->number == 0 ? 0 : signal_member(p, info);
        if (result != 0) result = sent;
    }
    return result;
}

void signal_group_by_kernel(uint32_t group, uint32_t number) {
    const struct siginfo info = {.number = (int32_t)number, .code = CODE_KERNEL};
    (void)signal_group(group, &info, NULL);
}

void signal_parent(const struct process *p, int32_t code, int32_t status) {
    const struct process *parent = process_find(p->parent);
    const struct siginfo info = {.number = SIGNAL_CHLD, .code = code, .pid = (int32_t)p->pid, .status = status};
    if (parent != NULL) (void)signal_process(parent, 0, &info);
}

void tty_signal(const struct tty *tty, uint32_t number) {
    if (tty->group != 0) signal_group_by_kernel(tty->group, number);
}
