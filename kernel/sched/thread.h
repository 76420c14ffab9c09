// A thread as the scheduler sees it. Scheduling data are local to one CPU: only the CPU `thread->cpu` changes its run
// queue, its entities and who runs on them, so no run-queue lock exists. Other CPUs hand a thread over through that
// CPU's wake list (sched_wake) or ask by interrupt.
//
//   state      set by                               meaning
//   NEW        thread_create                        never ran
//   READY      its CPU                              its entity is queued, or it is on a wake list
//   RUNNING    its CPU                              cpu->current
//   BLOCKED    itself, under its queue's lock       waits; whoever clears wait.lock under that lock, or takes it off the
//                                                   queue of a wait that shows no lock, owns waking it
//   DEAD       itself, last                         switched away for good
//
// Lending: thread->entity is what the thread runs on. own_entity.thread is who runs on this thread's entity: itself, or
// at the end of a chain of calls the server at work for it. All threads of a chain are on one CPU.
//
//     caller C  ◄─lender─  S1  ◄─lender─  S2        entity of C, S1, S2 = C.own_entity
//     C.own_entity.thread = S2                      S1.own_entity, S2.own_entity: at rest
//
// A caller that gives up (time-out, kill) takes its entity back when its CPU dequeues it; S1 and S2 then share S1's.
#pragma once
#include "kernel/arch/x86_64/context.h"
#include "kernel/core/rcu.h"
#include "kernel/core/spinlock.h"
#include "lib/list.h"
#include "lib/rbtree.h"

struct process;
struct handle;
struct endpoint;
struct fair_queue;
struct reply;
struct kpio_thread_block;

enum thread_state { THREAD_NEW, THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };

// thread->pending: what the thread must do before it returns to user mode; set by anybody, atomically.
enum {
    PENDING_KILL = 1 << 0,       // end it
    PENDING_INTERRUPT = 1 << 1,  // enter the exception entry
    PENDING_MIGRATE = 1 << 2,    // its affinity no longer allows this CPU
    PENDING_RESTART = 1 << 3,    // tell its restart area where it is
};

struct sched_entity {
    struct rb_node node;          // in the CPU's fair tree, while queued
    struct list_node fifo;        // in a real-time queue, while queued
    struct thread *thread;        // who runs on it now: the owner or the end of the owner's chain of calls
    struct thread *owner;
    uint64_t vruntime, deadline, min_deadline;  // EEVDF (kernel/sched/fair.h), weighted nanoseconds
    int64_t lag;                  // kept while at rest, as vruntime is: what it was owed
    const struct fair_queue *left;  // where it was owed that; only compared
    uint64_t exec_start, runtime; // ns
    int64_t slice_left;           // ns, real-time and idle class
    uint32_t weight;              // 1024 normal
    uint8_t class_, priority;     // KPIO_SCHED_*, as set
    uint8_t rank;                 // RANK_*: with inheritance, as it was queued or started
    bool queued;                  // in a queue
    bool competing;               // queued or running: counted in its queue's sums
};

// Ranks order all classes: the highest runs.
enum { RANK_NONE, RANK_IDLE, RANK_FAIR, RANK_REALTIME };  // real-time: RANK_REALTIME - 1 + priority (1..99)

// What a thread waits for. Fields are guarded by *lock while it is not NULL.
struct wait_state {
    struct spinlock *lock;              // guards the queue that the thread is on; NULL: not waiting, or only a waker may end it
    void (*unlink)(struct thread *t);   // takes it off that queue; called with *lock held, by a cancellation. NULL: none may
    struct handle *via;                 // the handle that the operation went through, or NULL; only compared
    struct list_node node;              // for the queue
    int64_t result;                     // what wait_block returns
    void *object;                       // the object waited for
    uint64_t data[3];                   // for the waiting operation
};

enum { TIMER_OFF, TIMER_FRESH, TIMER_TREE };

// A kernel timer; fires on the CPU that armed it, with interrupts off, must not block.
struct ktimer {
    union {
        struct list_node fresh;         // armed since the last timer interrupt
        struct rb_node node;            // older
    };
    nanos_t deadline;
    void (*fire)(struct ktimer *timer);
    uint32_t cpu;
    uint8_t where;                      // TIMER_*
};

// Whether a fault of the thread's may wait for the driver of a file system (kernel/fs/fuse): not while it holds a lock that users of
// other ones wait for.
enum remote_faults { REMOTE_FAULTS_SERVED, REMOTE_FAULTS_REFUSED, REMOTE_FAULT_MET };

struct thread {
    // ---- touched by every switch ----
    uint64_t saved_rsp;                 // kernel stack pointer while switched out
    uint64_t stack_top;
    struct aspace *aspace;              // NULL for kernel threads
    void *fpu;                          // XSAVE area; NULL for kernel threads
    struct segment_bases bases;
    struct sched_entity *entity;        // what it runs on
    struct thread *lender;              // whose lent entity it runs on; NULL: its own
    uint32_t cpu;                       // the CPU that owns it
    uint32_t fpu_cpu;                   // the CPU that loaded its extended state last
    uint8_t state;                      // enum thread_state
    bool on_cpu;                        // its registers are still on a CPU
    uint8_t pending;                    // PENDING_*; atomic
    bool caller_gone;                   // the call that it owed a reply for has ended without one (IPC)
    bool kill_only;                     // no interrupt ends its wait, only a kill, the deadline or a waker
    // ---- IPC: guarded by the endpoint's lock (kernel/ipc/endpoint.h) ----
    struct thread *caller cacheline_aligned;  // the call that this thread owes a reply for
    struct endpoint *caller_endpoint;   // where that call came through: whose lock guards it
    struct thread *server;              // while in a call: who owes the reply; NULL while queued or saved
    struct reply *saved;                // while in a call whose reply was saved as a handle
    struct spinlock bind_lock;          // taken before the endpoint's; guards what `bound` becomes
    bool unbindable;                    // it has ended: no endpoint may count it any more
    struct endpoint *bound;             // the endpoint whose receivers count this thread
    struct list_node bound_node;
    struct thread *next_idle;           // on the endpoint's stack of idle receivers
    uint64_t ipc_sequence;              // calls begun; tells the dead-lock walk whether a wait is still the same
    bool sending;                       // it waits in ipc_send, not in a call
    uint64_t message;                   // header of the message being sent
    uint64_t badge;                     // badge of the message being sent
    void *message_page;                 // kernel address of the message page
    struct kpio_thread_block *block;    // kernel address of the thread block; user space writes it too
    struct wait_state wait;
    // ---- the rest ----
    struct ktimer deadline_timer;
    struct spinlock many_lock;          // of its waits for several objects (kernel/ipc/wait_many.h)
    struct sched_entity own_entity;
    struct thread *wake_next;           // on a CPU's wake list
    uint8_t boost;                      // rank inherited from who waits for it; RANK_NONE: none
    uint64_t affinity;                  // set of CPUs
    struct process *process;            // NULL for kernel threads
    void *object;                       // struct thread_object, by kernel/object
    // Futexes with inheritance, guarded by the futex module's lock.
    struct list pi_waiters;             // threads that wait for what this one owns (pi_node)
    struct list_node pi_node;
    struct thread *pi_owner;            // who owns what this one waits for
    uint8_t pi_boost;                   // rank inherited from pi_waiters; part of boost
    bool pi_closed;                     // it ends: nobody may wait for it any more
    struct trap_frame *user_frame;      // set while a full user frame exists
    uint8_t remote_faults;              // enum remote_faults
    uint16_t fault_reason;              // set by mm when a fault is not resolved: KPIO_EXC_NO_MEMORY, _REVOKED or 0
    uint64_t restart_area;              // kernel/object/restart.h; user address, 0: none
    uint32_t restart_signature;
    uint32_t restart_cpu;               // that the area tells
    char name[32];
    uint64_t id;
};
