// posixd keeps what the Linux programs of a session have in common: processes, groups, sessions, signals on their way
// (protocols/posix.def), and terminals (protocols/node.def). One for each session; docs/linux-abi.md, "posixd".
//
// All of its state is one VMO that whoever runs the session keeps: another posixd goes on with it. Handles are none of it; they
// are kept apart (keep.h) or fetched again from the job.
//
// Lock: one for all (state_lock). Three threads: messages (main.c), ends of processes and of opens (watch.c), the console's input
// (console.c).
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
    kpio_handle process, thread;   // of this posixd
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
    kpio_handle event;             // of this posixd
};
#define OPEN_BADGE(index, generation) ((uint64_t)(generation) << 16 | ((index) + 16))
#define OPEN_INDEX(badge) ((uint32_t)((badge) & 0xffff) - 16)

struct socket {                // that has a name
    uint32_t id, type;             // id 0: free
    uint64_t fs, inode;            // of its file; inode 0: its name is abstract
    uint32_t name_size, listens;
    uint32_t pid, uid, gid;        // who bound it, or listens
    kpio_handle pipe;              // of this posixd
    char name[SOCKET_NAME_MAX];
};

#define STATE_MAGIC 0x6478697371ull
struct state {
    uint64_t magic, order;
    uint32_t process_top, mail_top, socket_top;  // no entry from there on was ever used; of mails: is used
    uint32_t socket_id;                // the last one given
    struct process processes[PROCESSES_MAX];
    struct about abouts[PROCESSES_MAX];    // of each of `processes`
    struct mail mails[MAILS_MAX];
    struct open opens[OPENS_MAX];
    struct tty ttys[TTYS_MAX];
    struct socket sockets[SOCKETS_MAX];
    uint32_t gone_next;
    struct gone gone[GONE_MAX];        // a ring
};
extern struct state *state;
extern struct mutex state_lock;

// ---- processes.c, signals.c: state_lock is held ---------------------------------------------------------------------------
struct process *process_find(uint32_t pid);                     // or NULL
int64_t process_add(uint32_t pid, uint32_t parent, kpio_handle process);  // takes the handle over; -EAGAIN: too many
void process_ended(struct process *p);
void process_free(struct process *p);
bool group_is_orphaned(uint32_t group, uint32_t session);
bool group_exists(uint32_t group, uint32_t session);            // some live process is in it
int64_t signal_process(struct process *p, uint32_t thread, const struct siginfo *info);  // 0 or -EAGAIN
int64_t signal_member(struct process *p, const struct siginfo *info);   // the same, of a signal that is sent to several
void signal_newborn(struct process *child, uint32_t parent);    // what its parent has not fetched yet of those
int64_t signal_group(uint32_t group, const struct siginfo *info, const struct process *except);   // -ESRCH: nobody
void signal_group_by_kernel(uint32_t group, uint32_t number);
void signal_parent(const struct process *p, int32_t code, int32_t status);
void mail_free(struct mail *m);
void mail_drop(uint32_t pid);
bool mail_waits(uint32_t pid, uint32_t number);                 // number 0: any

// ---- about.c: state_lock is held --------------------------------------------------------------------------------------------
struct about *about_of(const struct process *p);
void about_inherit(const struct process *child, const struct process *parent);  // parent NULL: of nobody

// ---- opens.c ----------------------------------------------------------------------------------------------------------------
int64_t open_make(uint32_t tty, enum side side, kpio_handle *event, kpio_handle *endpoint);  // handles to be closed by the caller
void open_gone(struct open *o);
struct open *open_of(uint64_t badge);                           // or NULL
bool open_is_hung(const struct open *o);
void opens_update(uint32_t tty);                                // the events say what the terminal is ready for

// ---- sockets.c ----------------------------------------------------------------------------------------------------------------
struct socket *socket_find(uint32_t id);                        // or NULL
void socket_gone(struct socket *s);
int64_t socket_bind(const struct socket *like, kpio_handle pipe, uint32_t *id);  // takes the handle over
// A socket of that name (inode, or name and size) and type: 0 or an error of posix.def's.
int64_t socket_look(const struct socket *like, struct socket **out);

// ---- messages -----------------------------------------------------------------------------------------------------------------
uint64_t posix_serve(uint64_t header, uint64_t badge);
uint64_t node_serve(uint64_t header, uint64_t badge);
void reply_closes(kpio_handle handle);                          // once the reply is out (main.c)

// ---- threads --------------------------------------------------------------------------------------------------------------------
enum { WATCH_PROCESS = 1, WATCH_OPEN = 2, WATCH_SOCKET = 3 };
int64_t watch_process(struct process *p);
int64_t watch_open(uint32_t index);
int64_t watch_socket(const struct socket *s);
kpio_handle watch_port(void);                                   // READABLE: there is something to hear
void watch_hear(void);                                          // what there is; state_lock is held
int watch_start(void);
void console_set_up(bool fresh);                                 // fresh: its window's size is not known yet
int console_start(void);

// ---- keep.c ---------------------------------------------------------------------------------------------------------------------
int64_t keep_state(void);                                       // maps it: 0 new, 1 of the one before, or a negative errno
int64_t keep_event(uint32_t index, kpio_handle event);
int64_t keep_thread(uint32_t pid, kpio_handle thread);
int64_t keep_pipe(uint32_t id, kpio_handle pipe);
void keep_drop_event(uint32_t index);
void keep_drop_pipe(uint32_t id);
void keep_drop_thread(uint32_t pid);
void keep_restore(void);                                        // all handles of a state that was taken over
