// Signals: what is pending, what is done with each, and how a handler is entered and left.
//
//     sender ─▶ queue of the thread or the process ─▶ t->pending, thread_interrupt ─▶ lx_leave_pending, in the thread itself
//
// process->signal_lock guards queues, actions, masks and the list of threads. A mask is written by its thread alone. The order of a
// notification: entry into the queue, then t->pending, then the interrupt; the thread clears t->pending first and then looks at the
// queues.
#pragma once
#include "user/liblinux/context.h"

// siginfo_t.
struct lx_siginfo {
    int32_t number, error, code, pad;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value;
        } sent;
        struct {
            int32_t id, overrun;
            uint64_t value;
        } timer;
        struct {
            int32_t pid;
            uint32_t uid;
            int32_t status, pad;
            int64_t user_time, system_time;
        } child;
        struct {
            uint64_t address;
        } fault;
        uint8_t bytes[112];
    };
};
_Static_assert(sizeof(struct lx_siginfo) == 128, "ABI");
enum { LX_SI_USER = 0, LX_SI_KERNEL = 0x80, LX_SI_QUEUE = -1, LX_SI_TIMER = -2, LX_SI_TKILL = -6 };

// `pad` of what timer.c sends, which is told when the signal is taken; and of what posix.c fetched.
#define LX_INFO_OF_TIMER 1
#define LX_INFO_FETCHED 2
#define LX_SIGNALS_QUEUED 32768u  // entries of a process at most (RLIMIT_SIGPENDING)

struct lx_signal {
    struct list_node node;
    struct lx_siginfo info;
    bool of_timer;
};

struct lx_signal_action {  // as rt_sigaction takes it
    uint64_t handler, flags, restorer, mask;
};
#define LX_SIG_DFL 0u
#define LX_SIG_IGN 1u
enum {
    LX_SA_NOCLDSTOP = 1,
    LX_SA_NOCLDWAIT = 2,
    LX_SA_SIGINFO = 4,
    LX_SA_RESTORER = 0x04000000,
    LX_SA_ONSTACK = 0x08000000,
    LX_SA_RESTART = 0x10000000,
    LX_SA_NODEFER = 0x40000000,
    LX_SA_RESETHAND = (int)0x80000000,
};
enum { LX_SS_ONSTACK = 1, LX_SS_DISABLE = 2, LX_SS_AUTODISARM = (int)0x80000000 };
#define LX_SIGRTMIN 32u
#define LX_UNBLOCKABLE (LX_SIGNAL_BIT(LX_SIGKILL) | LX_SIGNAL_BIT(LX_SIGSTOP))
struct lx_signal_state {
    struct lx_signal_action actions[LX_SIGNALS + 1];  // [0] is not used
};

// ---- contexts -----------------------------------------------------------------------------------------------------------
// All default, but those in `ignored`. 0 or -ENOMEM.
[[nodiscard]] int lx_signals_create(struct lx_process *p, uint64_t ignored);
void lx_signal_thread_init(struct lx_thread *t);  // nothing pending, no alternate stack; the mask stays
void lx_signal_keep_mask(struct lx_thread *t);    // in a forked process: nothing is pending; mask and alternate stack stay
// Its queue goes; who else may take the process's signals is told. signal_lock held.
void lx_signal_thread_gone(struct lx_thread *t);
// What is pending and now ignored goes. signal_lock held.
void lx_signal_action_changed_locked(struct lx_process *p, uint32_t number);
// In the new program of an execve: what is pending (struct lx_launch) is so again.
void lx_signals_adopt(struct lx_thread *t, const uint64_t sets[2], const struct lx_launch_signal *signals, uint32_t count);

// ---- sending ------------------------------------------------------------------------------------------------------------
// To the process, or to one thread of it (a thread of t's process; signal_lock keeps it valid: lx_signal_send_tid). 0 or -EAGAIN (a
// real-time signal that has no room). SIGKILL ends the process at once. From any thread of the process.
[[nodiscard]] int64_t lx_signal_send_process(struct lx_process *p, const struct lx_siginfo *info);
// With signal_lock held; to NULL: the process. Or what became of it.
enum { LX_SIGNAL_DROPPED = 0, LX_SIGNAL_QUEUED = 1 };  // ignored, or pending already; queued
[[nodiscard]] int64_t lx_signal_send_locked(struct lx_process *p, struct lx_thread *to, const struct lx_siginfo *info);
// By number: -ESRCH too.
[[nodiscard]] int64_t lx_signal_send_tid(struct lx_process *p, uint32_t tid, const struct lx_siginfo *info);
// To the running thread, by what it did itself: a blocked or ignored one gets its default action.
void lx_signal_force(struct lx_thread *t, const struct lx_siginfo *info);
// SIGPIPE and its like, to the running thread.
void lx_signal_raise(struct lx_thread *t, uint32_t number);

// ---- taking -------------------------------------------------------------------------------------------------------------
// The next of `wanted` that is pending for the thread: its number, or 0. signal_lock held.
uint32_t lx_signal_take_locked(struct lx_thread *t, uint64_t wanted, struct lx_siginfo *info);
// Whether more real-time signals of others are to wait with posixd. They are fetched when half of the room is free again.
[[nodiscard]] bool lx_signals_full(struct lx_process *p);
void lx_signals_look_for_room_locked(struct lx_process *p);  // after the limit has changed; signal_lock held
void lx_signal_tell_all_locked(struct lx_process *p);  // each thread looks at what is pending; signal_lock held
void lx_signal_set_mask(struct lx_thread *t, uint64_t mask);
// Whether the default action is to do nothing, to stop.
bool lx_signal_ignored_by_default(uint32_t number);
bool lx_signal_stops(uint32_t number);

// ---- in the thread (signal_deliver.c, signal_frame.c, signal_fault.c) ---------------------------------------------------
// Exceptions of the thread arrive here (entry.S).
[[gnu::noreturn]] void lx_exception(struct kpio_exception_frame *frame);
// Something is pending at the end of a call (entry.S), or the program was interrupted: delivers signals, makes the call again. The
// registers may change. When all of them are to be restored this does not return.
void lx_leave_pending(struct lx_thread *t, struct lx_registers *registers);
// Makes a signal of t->fault.
void lx_signal_fault(struct lx_thread *t, const struct lx_registers *registers);
void lx_state_measure(struct lx_space *space);  // how large the extended state is
// Lets the program go on in the handler: 0 or -EFAULT (its stack cannot be written).
[[nodiscard]] int64_t lx_frame_push(struct lx_thread *t, struct lx_registers *registers, const struct lx_siginfo *info,
                                    const struct lx_signal_action *action, uint64_t mask);
// rt_sigreturn: takes registers and state back; 0 or -EFAULT.
[[nodiscard]] int64_t lx_frame_pop(struct lx_thread *t, struct lx_registers *registers);
// Ends the process as Linux would by this signal.
[[gnu::noreturn]] void lx_signal_kill(struct lx_process *p, uint32_t number);
// Waits until the process is not stopped any more.
void lx_process_stop(struct lx_thread *t);
// The process is not stopped any more.
void lx_signal_continue(struct lx_process *p);
