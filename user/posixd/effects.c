// What follows from a change of the state, outside of it. It is done once the change is committed; a posixd that takes a state over
// does all of it that may not have been done: twice does no harm.
#include "lib/bitmap.h"
#include "user/libkpio/posix.h"
#include "user/posixd/posixd.h"

enum { SIGNAL_KILL = 9 };

static BITMAP(to_tell, PROCESSES_MAX);
static BITMAP(to_kill, PROCESSES_MAX);
static BITMAP(to_update, TTYS_MAX);

void effect_tell(const struct process *p) { bitmap_set(to_tell, (size_t)(p - state->processes)); }
void effect_kill(const struct process *p) { bitmap_set(to_kill, (size_t)(p - state->processes)); }
void tty_changed(const struct tty *tty) { bitmap_set(to_update, (size_t)(tty - state->ttys)); }

static void take_all(uint64_t *map, unsigned words, void (*take)(unsigned index)) {
    for (unsigned word = 0; word < words; word++)
        for (; map[word] != 0; map[word] &= map[word] - 1) {
            take(word * 64 + (unsigned)__builtin_ctzll(map[word]));
            crash_step();
        }
}

static void kill(unsigned index) {
    const struct process *p = &state->processes[index];
    if (p->state == PROCESS_LIVE && p->killing) (void)kpio_process_kill(process_handle(p), SIGNAL_KILL);
}

static void tell(unsigned index) {
    const struct process *p = &state->processes[index];
    if (p->state == PROCESS_LIVE && thread_handle(p) > 0) (void)kpio_thread_interrupt(thread_handle(p), POSIX_MAIL);
}

void settle(void) {
    state_commit();
    take_all(to_kill, BITMAP_WORDS(PROCESSES_MAX), kill);
    console_drain();
    take_all(to_update, BITMAP_WORDS(TTYS_MAX), opens_update);
    take_all(to_tell, BITMAP_WORDS(PROCESSES_MAX), tell);
    if (journal_keys() > 0) keep_settle();
}

void settle_all(void) {
    for (unsigned i = 0; i < state->totals.process_top; i++)
        if (state->processes[i].killing) effect_kill(&state->processes[i]);
    for (unsigned i = 0; i < state->totals.mail_top; i++) {
        const struct process *p = state->mails[i].used ? process_find(state->mails[i].pid) : NULL;
        if (p != NULL) effect_tell(p);
    }
    for (unsigned i = 0; i < TTYS_MAX; i++)
        if (state->ttys[i].kind != TTY_NONE) tty_changed(&state->ttys[i]);
    settle();
}
