// The table of processes: who is whose child, in which group and session.
#include "lib/util.h"
#include "user/posixd/posixd.h"

enum { HANGUP = 1, KILL = 9, CONTINUE = 18 };

const struct process *process_find(uint32_t pid) {
    if (pid == 0) return NULL;
    for (unsigned i = 0; i < state->totals.process_top; i++)
        if (state->processes[i].state != PROCESS_FREE && state->processes[i].pid == pid) return &state->processes[i];
    return NULL;
}

// A process without a parent here is the first of a session; the console is its terminal if it is nobody's.
static void begin_session(struct process *p) {
    const struct tty *console = &state->ttys[0];
    p->group = p->session = p->pid;
    p->parent = 1;
    if (console->kind == TTY_NONE || console->session != 0) return;
    struct tty *own = tty_change(console);
    own->session = own->group = p->pid;
}

static const struct process *find_free(void) {
    for (unsigned i = 0; i < state->totals.process_top; i++)
        if (state->processes[i].state == PROCESS_FREE) return &state->processes[i];
    return state->totals.process_top == PROCESSES_MAX ? NULL : &state->processes[totals_change()->process_top++];
}

static const struct gone *find_gone(uint32_t pid) {
    for (unsigned i = 0; i < GONE_MAX; i++)
        if (state->gone[i].pid == pid) return &state->gone[i];
    return NULL;
}

// Its group and session are its parent's, which may have ended meanwhile. Returns whether that was killed with its group: a child
// that was not known then has escaped.
static bool inherit(struct process *p) {
    const struct process *from = process_find(p->parent);
    const struct gone *gone = from == NULL && p->parent != 0 ? find_gone(p->parent) : NULL;
    if (from != NULL) {
        p->group = from->group;
        p->session = from->session;
        return from->killed;
    }
    if (gone == NULL) {
        begin_session(p);
        return false;
    }
    p->parent = 1;
    p->group = gone->group;
    p->session = gone->session;
    return gone->killed;
}

int64_t process_add(uint32_t pid, uint32_t parent, kpio_handle process) {
    const struct process *room = find_free();
    if (room == NULL) return -EAGAIN;
    struct process *p = process_change(room);
    *p = (struct process){.pid = pid, .parent = parent, .state = PROCESS_LIVE};
    process_set_handle(p, process);
    about_inherit(p, process_find(parent));
    const bool killed = inherit(p);
    int64_t error = watch_process(p);
    if (error < 0) {
        p->state = PROCESS_FREE;
        process_set_handle(p, KPIO_HANDLE_NONE);
    } else if (killed) (void)signal_member(p, &(struct siginfo){.number = KILL});
    else signal_newborn(p, parent);
    return error;
}

void process_free(const struct process *p) {
    struct gone *gone = state_change(&state->gone[totals_change()->gone_next++ % GONE_MAX], sizeof *gone);
    *gone = (struct gone){p->pid, p->group, p->session, p->killed};
    process_set_handle(p, KPIO_HANDLE_NONE);
    *process_change(p) = (struct process){.state = PROCESS_FREE};
}

bool group_exists(uint32_t group, uint32_t session) {
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state != PROCESS_FREE && p->group == group && p->session == session) return true;
    }
    return false;
}

// Nobody of it has a living parent in another group of the session, who could continue it.
bool group_is_orphaned(uint32_t group, uint32_t session) {
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state != PROCESS_LIVE || p->group != group || p->session != session) continue;
        const struct process *parent = process_find(p->parent);
        if (parent != NULL && parent->state == PROCESS_LIVE && parent->session == session && parent->group != group) return false;
    }
    return true;
}

static bool has_stopped(uint32_t group, uint32_t session) {
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state == PROCESS_LIVE && p->group == group && p->session == session && p->stopped) return true;
    }
    return false;
}

// A group that has just become orphaned must not stay stopped for ever.
static void check_orphaned(uint32_t group, uint32_t session, bool was_orphaned) {
    if (was_orphaned || !group_is_orphaned(group, session) || !has_stopped(group, session)) return;
    signal_group_by_kernel(group, HANGUP);
    signal_group_by_kernel(group, CONTINUE);
}

static void leave_terminal(const struct process *leader) {
    for (unsigned i = 0; i < TTYS_MAX; i++) {
        if (state->ttys[i].kind == TTY_NONE || state->ttys[i].session != leader->session) continue;
        struct tty *tty = tty_change(&state->ttys[i]);
        const uint32_t group = tty->group;
        tty->session = tty->group = 0;
        tty->hangups++;
        tty_flush_input(tty);
        tty_changed(tty);
        if (group != 0) signal_group_by_kernel(group, HANGUP);
        if (group != 0) signal_group_by_kernel(group, CONTINUE);
    }
}

// The nearest of its ancestors that takes orphans; NULL: pid 1.
static const struct process *find_reaper(uint32_t parent) {
    for (unsigned i = 0; i < PROCESSES_MAX; i++) {
        const struct process *p = process_find(parent);
        if (p == NULL) return NULL;
        if (p->state == PROCESS_LIVE && p->reaper) return p;
        parent = p->parent;
    }
    return NULL;
}

// A reaper fetches whom it got as it fetches signals.
static void give_away(const struct process *child, const struct process *reaper) {
    const struct siginfo death = {.number = child->death_signal, .pid = (int32_t)child->parent};
    struct process *given = process_change(child);
    given->parent = reaper != NULL ? reaper->pid : 1;
    given->adopted = reaper != NULL;
    if (death.number != 0 && child->state == PROCESS_LIVE) (void)signal_process(child, 0, &death);
    if (reaper != NULL) effect_tell(reaper);
}

// Its children are pid 1's from now on, who waits for them at once: that is done here.
static void give_children_away(uint32_t pid, const struct process *reaper) {
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *child = &state->processes[i];
        if (child->state == PROCESS_FREE || child->parent != pid) continue;
        give_away(child, reaper);
        if (child->state == PROCESS_ENDED && reaper == NULL) process_free(child);
        else if (child->state == PROCESS_LIVE) check_orphaned(child->group, child->session, child->was_orphaned);
    }
}

static void note_orphaned(uint32_t pid) {
    for (unsigned i = 0; i < state->totals.process_top; i++) {
        const struct process *p = &state->processes[i];
        if (p->state == PROCESS_LIVE && (p->pid == pid || p->parent == pid))
            process_change(p)->was_orphaned = group_is_orphaned(p->group, p->session);
    }
}

void process_ended(const struct process *p) {
    if (p->state != PROCESS_LIVE) return;
    const uint32_t pid = p->pid, group = p->group, session = p->session;
    note_orphaned(pid);
    struct process *ended = process_change(p);
    ended->state = PROCESS_ENDED;
    ended->stopped = 0;
    thread_set_handle(p, KPIO_HANDLE_NONE);  // the process's stays: who waits for it may be another than its parent is now
    keep_drop_thread(pid);
    mail_drop(pid);
    answers_drop(pid);
    check_orphaned(group, session, p->was_orphaned);
    if (session == pid) leave_terminal(p);
    give_children_away(pid, find_reaper(p->parent));
    const struct process *parent = process_find(p->parent);
    if (parent == NULL || parent->state != PROCESS_LIVE) process_free(p);
}
