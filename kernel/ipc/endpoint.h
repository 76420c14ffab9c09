// Endpoints: where calls meet receivers.
//
//   caller:    running ──call──▶ queued ──received──▶ served ──reply──▶ running
//                 └── an idle receiver: served at once ──▶┘
//   receiver:  running ──receive──▶ idle ──▶ running, owes a reply (thread->caller)
//
// A thread is bound to the endpoint on which it received last, until it receives on another or ends; calls that find
// no idle receiver look at the bound ones to tell a dead-lock (deadlock.c).
// A caller that waits, queued or served, does so under endpoint->lock: a reply, a time-out, a kill, the end of its
// handle, and the server's end all take that lock, and whoever clears wait.lock owns the wake-up.
// Locks: dead-lock graph lock, then thread->bind_lock, then endpoint->lock, then nothing. Handles move between tables with no lock held.
#pragma once
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"

struct reply;

struct endpoint {
    struct object object;
    cacheline_aligned struct spinlock lock;
    bool closed;                  // nobody can receive any more
    uint32_t bound_count;
    struct thread *idle;          // receivers that wait, by next_idle, the most recent first: its caches are warm
    struct list callers;          // queued calls and sends: real-time threads by priority, then the others in order
    struct list bound;            // threads that receive here (thread.bound_node)
    struct list saved;            // struct reply: calls whose reply was saved as a handle
    uint64_t walk;                // dead-lock walk that saw it last
    struct endpoint *walk_next;
};

static inline struct endpoint *endpoint_of(struct object *o) { return (struct endpoint *)o; }

void endpoint_init(void);
[[nodiscard]] int endpoint_create(struct job *job, struct endpoint **out);

// The operations, on the running thread. `via` names the endpoint and was checked for its right; valid as RCU says.
// Return values are those of the system calls (abi/syscalls.def). ipc_call and ipc_reply_receive are in call.h.
[[nodiscard]] int64_t ipc_send(struct handle *via, uint64_t message, nanos_t deadline);
[[nodiscard]] int64_t ipc_receive(struct handle *via, nanos_t deadline);
[[nodiscard]] int64_t ipc_reply(uint64_t message);
// Binds a thread that has not received yet, so that callers wait for it. Nothing happens when the thread has ended or
// nobody can receive any more.
void endpoint_bind(struct endpoint *e, struct thread *t);

// A saved reply right.
struct reply {
    struct object object;
    struct endpoint *endpoint;    // referenced; its lock guards the rest
    struct thread *caller;        // NULL: the call has ended
    struct list_node node;        // in endpoint->saved while caller is not NULL
};
[[nodiscard]] int reply_save(struct reply **out);
[[nodiscard]] int64_t reply_send(struct reply *r, uint64_t message);
