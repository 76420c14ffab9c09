// posixd keeps what the Linux programs of a session have in common: processes, groups, sessions, signals on their way
// (protocols/posix.def), and terminals (protocols/node.def). One for each session; docs/linux-abi.md, "posixd".
//
// All of its state is one VMO that whoever runs the session keeps: another posixd goes on with it, wherever this one ends. So
//
//  1. what a message or a notice changes is changed as a whole or not at all: `state` is read only, and who writes to a part of it
//     asks the journal for that (state_change), which takes the change back if the posixd ends before it is committed;
//  2. the reply to a request that must not be done twice is part of the state, until its caller has it (answers.c);
//  3. what is done outside of the state (a signal told, a process killed, bytes to the console) is done once the change is
//     committed, follows from the state, and is done again by the next posixd (effects.c).
//
// Handles are none of the state: a posixd begins without any; they are kept by who runs the session (keep.c) or fetched from the job.
//
// Lock: one for all (state_lock). Three threads: messages (main.c), ends of processes and of opens (watch.c), the console's input
// (console.c). Each settles what it changed before it unlocks.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "user/libkpio/kpio.h"
#include "user/libkpio/linux_errors.h"
#include "user/posixd/tty.h"

#define PROCESSES_MAX 1024u
#define TTYS_MAX 33u           // the console and 32 pseudo-terminals
#define OPENS_MAX 512u
#define MAILS_MAX 2048u
#define SOCKETS_MAX 1024u      // with names
#define SOCKET_NAME_MAX 112u

struct siginfo {               // Linux's siginfo_t, as far as it is made here
    int32_t number, error, code, pad;
    int32_t pid;
    uint32_t uid;
    int32_t status, pad_child;
    uint8_t rest[96];
};
_Static_assert(sizeof(struct siginfo) == 128, "ABI");

enum { REAL_TIME = 32 };       // the first signal that queues
struct mail {                  // a signal that its process has not fetched yet
    uint32_t used, pid, thread, group;  // group: it was sent to all of a group
    uint64_t order;
    struct siginfo info;
};

enum process_state { PROCESS_FREE, PROCESS_LIVE, PROCESS_ENDED };
struct process {
    uint32_t pid, parent, group, session;
    uint8_t state, stopped, executed, was_orphaned;  // was_orphaned: its group, before what process_ended does
    uint8_t continued;             // from a stop, which it has not been told yet
    uint8_t killed;                // with its group
    uint8_t killing;               // by SIGKILL: it is to end
    uint8_t death_signal;          // that it gets when its parent ends; 0: none
    uint8_t reaper;                // the orphans among its descendants become its children
    uint8_t adopted;               // it is an orphan that another than pid 1 has
};

#define ABOUT_MAX 1024u
struct about {                 // a process, as it says; what it forks is the same until it says something else
    uint32_t uid, euid, gid, egid;
    uint64_t started;          // ns since the system's start
    char name[16];
    uint32_t size, reserved;   // of program
    uint8_t program[ABOUT_MAX];    // its path and arguments, each terminated
};

// Who was here: a child may be known only after its parent has ended.
#define GONE_MAX 256u
struct gone {
    uint32_t pid, group, session, killed;
};

enum side { SIDE_SLAVE, SIDE_MASTER };
struct open {
    uint32_t used, generation;     // the badge is OPEN_BADGE
    uint32_t tty, side;
    uint32_t hangups;              // of the tty when it was opened: fewer than now: hung up
};
#define OPEN_BADGE(index, generation) ((uint64_t)(generation) << 16 | ((index) + 16))
#define OPEN_INDEX(badge) ((uint32_t)((badge) & 0xffff) - 16)

struct socket {                // that has a name
    uint32_t id, type;             // id 0: free
    uint64_t fs, inode;            // of its file; inode 0: its name is abstract
    uint32_t name_size, listens;
    uint32_t pid, uid, gid;        // who bound it, or listens
    char name[SOCKET_NAME_MAX];
};

// The reply to a request that must not be done twice: its caller may have it, or send the request again.
#define ANSWERS_MAX 256u
struct answer {
    uint32_t tid, pid, label, open;    // tid 0: free; open: the number + 1 that its two handles lead to, or 0
    uint64_t serial, reply, order;
    uint32_t generation, reserved;     // of the open
};

struct typed {                 // what the console's other side tells, as far as it has come (console.c)
    uint32_t at, digits, value;
};

#define STATE_MAGIC 0x6478697372ull
struct state {
    uint64_t magic;
    struct totals {
        uint64_t order;
        uint32_t process_top, mail_top, socket_top, answer_top;  // no entry from there on was ever used; of mails, answers: is used
        uint32_t socket_id;            // the last one given
        uint32_t gone_next;
    } totals;
    struct process processes[PROCESSES_MAX];
    struct about abouts[PROCESSES_MAX];    // of each of `processes`
    struct mail mails[MAILS_MAX];
    struct open opens[OPENS_MAX];
    struct tty ttys[TTYS_MAX];
    struct socket sockets[SOCKETS_MAX];
    struct gone gone[GONE_MAX];        // a ring
    struct typed typed;
    struct answer answers[ANSWERS_MAX];
    uint8_t answered[ANSWERS_MAX][KPIO_MESSAGE_MAX];   // the bytes of each of `answers`
};
extern const struct state *state;
extern struct mutex state_lock;

// ---- journal.c: state_lock is held ------------------------------------------------------------------------------------------
// These bytes of the state, to be written until the next commit.
void *state_change(const void *at, size_t size);
void state_commit(void);
int64_t journal_begin(void *memory);        // sets `state`, as it was committed last
uint64_t journal_size(void);                // bytes of that memory
static inline struct totals *totals_change(void) { return state_change(&state->totals, sizeof state->totals); }
static inline struct process *process_change(const struct process *p) { return state_change(p, sizeof *p); }
static inline struct about *about_change(const struct about *a) { return state_change(a, sizeof *a); }
static inline struct mail *mail_change(const struct mail *m) { return state_change(m, sizeof *m); }
static inline struct open *open_change(const struct open *o) { return state_change(o, sizeof *o); }
static inline struct socket *socket_change(const struct socket *s) { return state_change(s, sizeof *s); }
// Keys of what is kept (keep.c) that a change adds or drops: those that the state does not know afterwards are dropped, by this
// posixd or the next.
bool journal_add_key(uint64_t key);         // false: too many
unsigned journal_keys(void);
uint64_t journal_key(unsigned index);
void journal_forget_keys(void);

void crash_set_up(void);                    // crash.c
void crash_step(void);                      // this posixd may end here

// ---- effects.c: state_lock is held ------------------------------------------------------------------------------------------
// Commits, then does what follows. The message page is used when there are journal_keys().
void settle(void);
void settle_all(void);                      // of a state that was taken over: all that may not have been done
void effect_tell(const struct process *p);  // that it has mail
void effect_kill(const struct process *p);  // it is `killing`

// ---- answers.c: state_lock is held --------------------------------------------------------------------------------------------
struct identity {                           // how the requests that must not be done twice begin
    uint32_t pid, tid;
    uint64_t serial;
};
bool identify(uint64_t header, struct identity *out);
// The reply that this request had already is in the message page again; KPIO_REPLY_NONE: it had none.
uint64_t answer_again(const struct identity *id, uint64_t header);
void answer_keep(const struct identity *id, uint32_t label, uint64_t reply);   // which is in the message page
void answer_delivered(const struct identity *id);
void answers_drop(uint32_t pid);            // it has ended, or runs another program
bool answer_has_open(uint32_t index, uint32_t generation);

// ---- handles.c: state_lock is held --------------------------------------------------------------------------------------------
// Of this posixd, or 0. Setting takes the handle over and closes the one before.
kpio_handle process_handle(const struct process *p);
kpio_handle thread_handle(const struct process *p);
kpio_handle event_handle(const struct open *o);
kpio_handle pipe_handle(const struct socket *s);
void process_set_handle(const struct process *p, kpio_handle handle);
void thread_set_handle(const struct process *p, kpio_handle handle);
void event_set_handle(const struct open *o, kpio_handle handle);
void pipe_set_handle(const struct socket *s, kpio_handle handle);

// ---- processes.c, signals.c: state_lock is held ---------------------------------------------------------------------------
const struct process *process_find(uint32_t pid);               // or NULL
int64_t process_add(uint32_t pid, uint32_t parent, kpio_handle process);  // takes the handle over; -EAGAIN: too many
void process_ended(const struct process *p);
void process_free(const struct process *p);
bool group_is_orphaned(uint32_t group, uint32_t session);
bool group_exists(uint32_t group, uint32_t session);            // some live process is in it
int64_t signal_process(const struct process *p, uint32_t thread, const struct siginfo *info);  // 0 or -EAGAIN
int64_t signal_member(const struct process *p, const struct siginfo *info);   // the same, of a signal that is sent to several
void signal_newborn(const struct process *child, uint32_t parent);    // what its parent has not fetched yet of those
int64_t signal_group(uint32_t group, const struct siginfo *info, const struct process *except);   // -ESRCH: nobody
void signal_group_by_kernel(uint32_t group, uint32_t number);
void signal_parent(const struct process *p, int32_t code, int32_t status);
void mail_free(const struct mail *m);
void mail_drop(uint32_t pid);
bool mail_waits(uint32_t pid, uint32_t number);                 // number 0: any

// ---- about.c: state_lock is held --------------------------------------------------------------------------------------------
const struct about *about_of(const struct process *p);
void about_inherit(const struct process *child, const struct process *parent);  // parent NULL: of nobody

// ---- opens.c ----------------------------------------------------------------------------------------------------------------
int64_t open_make(uint32_t tty, enum side side, kpio_handle *event, kpio_handle *endpoint);  // handles to be closed by the caller
int64_t open_endpoint(const struct open *o);                    // one more handle that leads to it
void open_gone(const struct open *o);
const struct open *open_of(uint64_t badge);                     // or NULL
bool open_is_hung(const struct open *o);
void opens_update(uint32_t tty);                                // the events say what the terminal is ready for

// ---- sockets.c ----------------------------------------------------------------------------------------------------------------
enum { SOCKET_DATAGRAM = 2 };
const struct socket *socket_find(uint32_t id);                  // or NULL
void socket_gone(const struct socket *s);
int64_t socket_bind(const struct socket *like, kpio_handle pipe, uint32_t *id);  // takes the handle over
// A socket of that name (inode, or name and size) and type: 0 or an error of posix.def's.
int64_t socket_look(const struct socket *like, const struct socket **out);
int64_t socket_set_peer(const struct socket *s, uint32_t peer);  // 0 or a negative errno

// ---- messages -----------------------------------------------------------------------------------------------------------------
uint64_t posix_serve(uint64_t header, uint64_t badge);
uint64_t node_serve(uint64_t header, uint64_t badge);
void reply_closes(kpio_handle handle);                          // once the reply is out (main.c)

// ---- threads --------------------------------------------------------------------------------------------------------------------
enum { WATCH_PROCESS = 1, WATCH_OPEN = 2, WATCH_SOCKET = 3 };
int64_t watch_process(const struct process *p);
int64_t watch_open(uint32_t index);
int64_t watch_socket(const struct socket *s);
kpio_handle watch_port(void);                                   // READABLE: there is something to hear
void watch_hear(void);                                          // what there is, each settled; state_lock is held
int watch_start(void);
void console_set_up(bool fresh);                                 // fresh: its window's size is not known yet
int console_start(void);
void console_drain(void);                                        // what was written; state_lock is held, all is committed

// ---- keep.c: what outlives this posixd -----------------------------------------------------------------------------------------
int64_t keep_state(void);                                       // maps it: 0 new, 1 of the one before, or a negative errno
// Kept before the change that knows of it is committed. The handle stays the caller's.
int64_t keep_event(const struct open *o, kpio_handle event);
int64_t keep_audience(const struct open *o, kpio_handle event);  // the open's, as its caller gets it, until the caller has it
int64_t keep_thread(uint32_t pid, kpio_handle thread);
int64_t keep_pipe(uint32_t id, kpio_handle pipe);
void keep_tell_serving(void);                                   // a first message was answered
int64_t kept_audience(uint32_t index, uint32_t generation);     // a handle, or a negative errno
// To be dropped if the state does not know of it when it is settled.
void keep_drop_event(const struct open *o);
void keep_drop_audience(uint32_t index, uint32_t generation);
void keep_drop_pipe(uint32_t id);
void keep_drop_thread(uint32_t pid);
void keep_settle(void);                                         // of all journal_keys()
int64_t keep_restore(void);                                     // all handles of a state that was taken over
