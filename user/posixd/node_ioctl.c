// ioctl of terminals.
#include "lib/string.h"
#include "lib/util.h"
#include "user/posixd/node_calls.h"

enum { SIGNAL_TTOU = 22, SIGNAL_WINCH = 28 };
enum {
    TCGETS = 0x5401, TCSETS, TCSETSW, TCSETSF, TCSBRK = 0x5409, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCGPGRP, TIOCSPGRP,
    TIOCOUTQ, TIOCSTI, TIOCGWINSZ, TIOCSWINSZ,
    FIONREAD = 0x541b, TIOCNOTTY = 0x5422, TCSBRKP = 0x5425, TIOCGSID = 0x5429,
};
#define TCGETS2   0x802c542aull
#define TCSETS2   0x402c542bull
#define TCSETSW2  0x402c542cull
#define TCSETSF2  0x402c542dull
#define TIOCGPTN  0x80045430ull
#define TIOCSPTLCK 0x40045431ull
#define TIOCGPTLCK 0x80045439ull

struct request {
    const struct open *open;
    struct tty *tty;
    const struct process *caller;      // or NULL
    const struct node_ioctl_request *in;
    struct node_ioctl_reply *out;
};

static int64_t give(struct request *q, const void *data, uint32_t bytes) {
    memcpy(q->out->output, data, bytes);
    q->out->output_size = bytes;
    return 0;
}

static int64_t take(const struct request *q, void *data, uint32_t bytes) {
    if (q->in->input_size < bytes) return -EFAULT;
    memcpy(data, q->in->input, bytes);
    return 0;
}

static bool is_own(const struct request *q) { return q->caller != NULL && q->tty->session != 0 && q->caller->session == q->tty->session; }

// ---- settings -----------------------------------------------------------------------------------------------------------------

static int64_t set_termios(struct request *q, uint32_t bytes, bool flush) {
    struct tty *tty = q->tty;
    struct termios2 t = tty->t;
    const uint32_t before = tty->t.lflag;
    int64_t error = take(q, &t, bytes);
    if (error == 0) error = may_use(tty, q->in->pid, q->in->flags, SIGNAL_TTOU);
    if (error < 0) return error;
    tty->t = t;
    if (flush) tty_flush_input(tty);
    if (!(t.iflag & I_IXON)) tty->flow_stopped = 0;
    tty_mode_changed(tty, before);
    tty_changed(tty);
    return 0;
}

static int64_t set_size(struct request *q) {
    struct winsize size;
    int64_t error = take(q, &size, sizeof size);
    if (error < 0 || memcmp(&size, &q->tty->size, sizeof size) == 0) return error;
    q->tty->size = size;
    tty_signal(q->tty, SIGNAL_WINCH);
    return 0;
}

static int64_t flush(struct request *q) {
    int64_t error = q->open->side == SIDE_SLAVE ? may_use(q->tty, q->in->pid, q->in->flags, SIGNAL_TTOU) : 0;
    if (error < 0) return error;
    if (q->in->argument > 2) return -EINVAL;
    // What was written has arrived at the other side, which alone can drop it.
    if (q->in->argument != 1 && q->open->side == SIDE_SLAVE) tty_flush_input(q->tty);
    if (q->in->argument != 1 && q->open->side == SIDE_MASTER) q->tty->out_head = q->tty->out_tail;
    tty_changed(q->tty);
    return 0;
}

static int64_t control_flow(struct request *q) {
    int64_t error = may_use(q->tty, q->in->pid, q->in->flags, SIGNAL_TTOU);
    if (error < 0) return error;
    switch (q->in->argument) {
    case 0: q->tty->flow_stopped = 1; break;
    case 1: q->tty->flow_stopped = 0; break;
    case 2:
    case 3: return 0;                  // to the other side's input: there is no line that could be held
    default: return -EINVAL;
    }
    tty_changed(q->tty);
    return 0;
}

// ---- job control ----------------------------------------------------------------------------------------------------------------

static int64_t set_terminal(struct request *q) {
    if (q->caller == NULL) return -EPERM;
    if (is_own(q) && q->caller->session == q->caller->pid) return 0;
    if (q->caller->session != q->caller->pid) return -EPERM;
    for (unsigned i = 0; i < TTYS_MAX; i++)
        if (state->ttys[i].kind != TTY_NONE && state->ttys[i].session == q->caller->session) return -EPERM;
    if (q->tty->session != 0) return -EPERM;
    q->tty->session = q->caller->session;
    q->tty->group = q->caller->group;
    return 0;
}

static int64_t leave_terminal(struct request *q) {
    if (!is_own(q)) return -ENOTTY;
    if (q->caller->session != q->caller->pid) return -EPERM;  // a process cannot leave alone: sessions have the terminal here
    const uint32_t group = q->tty->group;
    q->tty->session = q->tty->group = 0;
    if (group != 0) {
        signal_group_by_kernel(group, 1);
        signal_group_by_kernel(group, 18);
    }
    return 0;
}

static int64_t get_group(struct request *q) {
    const uint32_t group = q->tty->group;
    if (q->open->side == SIDE_SLAVE && !is_own(q)) return -ENOTTY;
    return give(q, &group, sizeof group);
}

static int64_t set_group(struct request *q) {
    int32_t group;
    int64_t error = take(q, &group, sizeof group);
    if (error == 0) error = may_use(q->tty, q->in->pid, q->in->flags, SIGNAL_TTOU);
    if (error < 0) return error;
    if (!is_own(q)) return -ENOTTY;
    if (group < 0) return -EINVAL;
    if (!group_exists((uint32_t)group, q->caller->session)) {
        const struct process *other = process_find((uint32_t)group);
        return other == NULL ? -ESRCH : -EPERM;
    }
    q->tty->group = (uint32_t)group;
    return 0;
}

static int64_t get_session(struct request *q) {
    const uint32_t session = q->tty->session;
    if ((q->open->side == SIDE_SLAVE && !is_own(q)) || session == 0) return -ENOTTY;
    return give(q, &session, sizeof session);
}

// ---- the rest -----------------------------------------------------------------------------------------------------------------

static int64_t give_number(struct request *q, uint32_t number) { return give(q, &number, sizeof number); }

static int64_t type_in(struct request *q) {
    uint8_t byte;
    int64_t error = take(q, &byte, 1);
    if (error < 0) return error;
    if (!is_own(q)) return -EPERM;
    (void)tty_input(q->tty, &byte, 1);
    return 0;
}

static int64_t serve_master(struct request *q) {
    int32_t lock;
    switch (q->in->code) {
    case TIOCGPTN: return give_number(q, q->open->tty - 1);
    case TIOCGPTLCK: return give_number(q, q->tty->locked);
    case TIOCSPTLCK:
        if (take(q, &lock, sizeof lock) < 0) return -EFAULT;
        q->tty->locked = lock != 0;
        return 0;
    case FIONREAD: return give_number(q, q->tty->out_tail - q->tty->out_head);
    default: return -ENOTTY;
    }
}

static int64_t serve(struct request *q) {
    struct tty *tty = q->tty;
    switch (q->in->code) {
    case TCGETS: return give(q, &tty->t, TERMIOS_SIZE);
    case TCGETS2: return give(q, &tty->t, sizeof tty->t);
    case TCSETS:
    case TCSETSW: return set_termios(q, TERMIOS_SIZE, false);
    case TCSETSF: return set_termios(q, TERMIOS_SIZE, true);
    case TCSETS2:
    case TCSETSW2: return set_termios(q, sizeof tty->t, false);
    case TCSETSF2: return set_termios(q, sizeof tty->t, true);
    case TCSBRK:
    case TCSBRKP: return may_use(tty, q->in->pid, q->in->flags, SIGNAL_TTOU);  // what was written is out
    case TCXONC: return control_flow(q);
    case TCFLSH: return flush(q);
    case TIOCEXCL:
    case TIOCNXCL: return 0;
    case TIOCSCTTY: return set_terminal(q);
    case TIOCNOTTY: return leave_terminal(q);
    case TIOCGPGRP: return get_group(q);
    case TIOCSPGRP: return set_group(q);
    case TIOCGSID: return get_session(q);
    case TIOCOUTQ: return give_number(q, q->open->side == SIDE_MASTER ? 0 : tty->out_tail - tty->out_head);
    case TIOCSTI: return type_in(q);
    case TIOCGWINSZ: return give(q, &tty->size, sizeof tty->size);
    case TIOCSWINSZ: return set_size(q);
    case FIONREAD: return give_number(q, tty_readable(tty));
    default: return -ENOTTY;
    }
}

int64_t node_ioctl_serve(void *context, uint64_t badge, const struct node_ioctl_request *request, struct node_ioctl_reply *reply) {
    const struct open *o = open_of(badge);
    if (o == NULL) return -EIO;
    struct tty *tty = tty_change(&state->ttys[o->tty]);
    struct request q = {.open = o, .tty = tty, .caller = process_find(request->pid), .in = request, .out = reply};
    if (open_is_hung(o)) reply->result = -EIO;
    else {
        reply->result = o->side == SIDE_MASTER ? serve_master(&q) : -ENOTTY;
        if (reply->result == -ENOTTY) reply->result = serve(&q);
    }
    return 0;
}
