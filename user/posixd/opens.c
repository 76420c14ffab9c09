// Opens of terminals: what a descriptor and its duplicates stand for.
#include "lib/util.h"
#include "user/libkpio/node.h"
#include "user/posixd/posixd.h"

enum { HANGUP = 1, CONTINUE = 18 };

bool open_is_hung(const struct open *o) {
    const struct tty *tty = &state->ttys[o->tty];
    return o->side == SIDE_SLAVE && (o->hangups != tty->hangups || (tty->kind == TTY_PTY && tty->masters == 0));
}

const struct open *open_of(uint64_t badge) {
    uint32_t index = OPEN_INDEX(badge);
    if (index >= OPENS_MAX || !state->opens[index].used) return NULL;
    return OPEN_BADGE(index, state->opens[index].generation) == badge ? &state->opens[index] : NULL;
}

static uint32_t bits_of(const struct open *o) {
    const struct tty *tty = &state->ttys[o->tty];
    if (open_is_hung(o)) return NODE_READABLE | NODE_WRITABLE | NODE_HANGUP;
    if (o->side == SIDE_SLAVE) return (tty_is_readable(tty) ? NODE_READABLE : 0u) | (tty_is_writable(tty) ? NODE_WRITABLE : 0u);
    bool alone = tty->slaves == 0 && tty->slave_was_open, data = tty->out_tail != tty->out_head;
    return (alone ? NODE_HANGUP : 0u) | (data ? NODE_READABLE : 0u) | (tty_has_room(tty) ? NODE_WRITABLE : 0u);
}

void opens_update(uint32_t tty) {
    for (unsigned i = 0; i < OPENS_MAX; i++) {
        const struct open *o = &state->opens[i];
        if (!o->used || o->tty != tty || event_handle(o) <= 0) continue;
        const uint32_t bits = bits_of(o), all = NODE_READABLE | NODE_WRITABLE | NODE_HANGUP | NODE_PRIORITY;
        (void)kpio_event_signal(event_handle(o), all & ~bits, bits);
    }
}

int64_t open_endpoint(const struct open *o) {
    const uint32_t calls = KPIO_RIGHT_CALL | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT;
    return kpio_handle_dup_badged(startup_handle("endpoint"), calls, OPEN_BADGE((uint32_t)(o - state->opens), o->generation));
}

// The event: everybody else's handles have RECEIVE, this one has not, so it is told when they are gone.
static int64_t make_handles(uint32_t index, kpio_handle *event, kpio_handle *endpoint) {
    const uint32_t own = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_WAIT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
                         KPIO_RIGHT_INSPECT;
    const struct open *o = &state->opens[index];
    int64_t result = kpio_event_create_audience();
    if (result < 0) return result;
    *event = (kpio_handle)result;
    result = kpio_handle_dup(*event, own);
    if (result > 0) event_set_handle(o, (kpio_handle)result);
    if (result > 0) result = keep_event(o, event_handle(o));
    if (result >= 0) result = open_endpoint(o);
    if (result > 0) *endpoint = (kpio_handle)result;
    if (result > 0) result = watch_open(index);
    return result;
}

int64_t open_make(uint32_t number, enum side side, kpio_handle *event, kpio_handle *endpoint) {
    struct tty *tty = tty_change(&state->ttys[number]);
    unsigned i = 0;
    *event = *endpoint = KPIO_HANDLE_NONE;
    while (i < OPENS_MAX && state->opens[i].used) i++;
    if (i == OPENS_MAX) return -ENFILE;
    const struct open *o = &state->opens[i];
    *open_change(o) = (struct open){.used = 1, .generation = o->generation + 1, .tty = number, .side = side, .hangups = tty->hangups};
    if (side == SIDE_MASTER) tty->masters++;
    else {
        tty->slaves++;
        tty->slave_was_open = 1;
    }
    int64_t result = make_handles(i, event, endpoint);
    if (result >= 0) tty_changed(tty);
    else {
        if (*event > 0) (void)kpio_handle_close((uint64_t)*event);
        if (*endpoint > 0) (void)kpio_handle_close((uint64_t)*endpoint);
        open_gone(o);
    }
    return result;
}

// The master's end is the modem's: the line is cut.
static void hang_up(struct tty *tty) {
    const uint32_t group = tty->group, session = tty->session;
    const struct process *leader = process_find(session);
    const struct siginfo hangup = {.number = HANGUP, .code = 0x80}, go_on = {.number = CONTINUE, .code = 0x80};
    tty->session = tty->group = 0;
    tty->hangups++;
    if (leader != NULL) (void)signal_process(leader, 0, &hangup);
    if (leader != NULL) (void)signal_process(leader, 0, &go_on);
    if (group != 0) (void)signal_group(group, &hangup, leader);
    if (group != 0) (void)signal_group(group, &go_on, leader);
}

void open_gone(const struct open *o) {
    struct tty *tty = tty_change(&state->ttys[o->tty]);
    if (!o->used) return;
    open_change(o)->used = 0;
    event_set_handle(o, KPIO_HANDLE_NONE);
    keep_drop_event(o);
    if (o->side == SIDE_SLAVE) tty->slaves--;
    else if (--tty->masters == 0) hang_up(tty);
    tty_changed(tty);
    if (tty->kind == TTY_PTY && tty->masters == 0 && tty->slaves == 0) tty->kind = TTY_NONE;
}
