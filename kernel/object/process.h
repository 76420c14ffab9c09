// Processes: an address space, a handle table, threads, a job. And threads as objects.
//
//   NEW       has never run                     DYING   its threads are being ended, nothing starts in it any more
//   RUNNING   a thread was started              DEAD    threads, handles and memory are gone, their charges too; TERMINATED is asserted
//
// The last thread to end tears its process down, in preemptible steps in its own context; a process that dies without
// one that ran is torn down by the reaper, a kernel thread.
// References: a process is kept by its handles and by each of its threads; a thread by its handles and, from its start
// until it has left its CPU for good, by itself.
// Locks: process->lock guards the list and counts of threads; a leaf but for thread_set_pending.
#pragma once
#include "kernel/mm/memory_wait.h"
#include "kernel/object/handle.h"
#include "kernel/object/job.h"
#include "kernel/sched/sched.h"

// The two pages that a thread shares with its process.
struct thread_pages {
    struct vmo *vmo;                 // NULL: none
    uint64_t user;                   // where they are mapped; 0: nowhere
    struct kpio_thread_block *block; // the kernel's view
    void *message;
};

struct process {
    struct object object;
    struct job *job;
    struct aspace *aspace;           // changed by process_exec alone, under lock
    struct spinlock lock;
    struct list threads;             // struct thread_object.process_node
    uint32_t live_threads;           // on that list
    uint32_t unfinished;             // threads that were put there and still have something, and its own end
    uint8_t state;                   // KPIO_PROCESS_*
    bool jit;                        // may have anonymous executable memory
    bool ending;                     // somebody tears it down, or did
    int32_t status;
    uint64_t foreign_entry;          // where Linux system calls go; 0: nowhere
    uint64_t cpu_ns;                 // of threads that ended
    uint64_t id;
    uint64_t first_thread;           // id of the thread that goes by the process's id among Linux programs
    struct process *reap_next;
    struct thread_pages spare;       // of a thread that ended, for the next one; guarded by lock
    struct thread_object *exec;      // the thread that is in process_exec and ends the others; guarded by lock
    struct wait_queue exec_wait;     // where it waits until it is the last
    char name[32];
    struct handle_table handles;
    struct memory_debt debt;         // while it is DYING
};

static inline struct process *current_process(void) { return current_thread()->process; }

// handle_get_full for the ordinary case, without a call: NULL where there is more to it, or something is wrong.
static inline struct handle *handle_get_ordinary(kpio_handle value, enum kpio_kind kind, uint32_t rights) {
    struct handle *h = handle_table_lookup(&current_process()->handles, value);
    uint32_t checked = (uint32_t)(HANDLE_EXPIRES | HANDLE_AUDITED) << 24 | rights;
    if (unlikely(!h) || unlikely((h->access & checked) != rights) || unlikely(h->object->kind != kind)) return NULL;
    return h;
}

static inline struct process *process_of(struct object *o) { return container_of(o, struct process, object); }

// A process without threads and with an empty address space, with a reference for the caller. name is at most
// KPIO_NAME_MAX long. -EDESTROYED when the job was killed, -ENFILE, -ENOMEM.
[[nodiscard]] int process_create(struct job *job, const char *name, bool jit, struct process **out);
// Its address space, with a reference for the caller. The running thread's own stays as it is without one.
struct aspace *process_aspace_get(struct process *p);
// A copy of the running process, with one thread that is a copy of the running one and was not started yet; both with a
// reference for the caller. `share`: in the same address space. -EDESTROYED when the job was killed, -EINTR when the
// running thread was, -EMFILE, -ENFILE, -ENOMEM.
struct thread_object;
[[nodiscard]] int process_fork(bool share, struct process **out, struct thread_object **first);
// Ends the other threads of the running process and moves the running one over to `space`, which it keeps by itself. On
// success nothing of the old program is left but handles, and the caller sets the registers. -EPERM (JIT), -EDESTROYED,
// -ECANCELED (the thread is being ended), -ENOSPC, -ENFILE, -ENOMEM: then nothing has changed.
[[nodiscard]] int process_exec(struct aspace *space, const char *name);
// Ends all its threads, or itself when none ever ran. The first status given counts. Returns at once but for preemption
// points; no lock held.
void process_kill(struct process *p, int32_t status);
// Preemptible; no lock held.
nanos_t process_cpu_time(struct process *p);  // of all its threads, those that ended too
void process_get_info(struct process *p, struct kpio_process_info *info);

struct thread_object {
    struct object object;
    struct thread thread;
    struct list_node process_node;   // guarded by the process's lock, as is `killed`
    uint64_t exception_entry, exception_stack, exception_stack_size;
    uint64_t interrupt_cookie;
    struct thread_pages pages;
    bool killed;                     // was told to end, or ends by itself
    bool swept;                      // process_kill has come by; guarded by the process's lock
    bool started;
    bool ends_process;               // it was the last: the process is dead once it has left its CPU
    bool gone;                       // TERMINATED
    bool interrupt_waits;            // for the end of the exception that the thread is in
    bool in_exception;               // between an exception's delivery and thread_exception_return
    bool restart_waits;              // its restart area, for the end of that
};
static inline struct thread_object *thread_of(struct object *o) {
    return container_of(o, struct thread_object, object);
}
static inline struct thread_object *thread_object(struct thread *t) { return container_of(t, struct thread_object, thread); }

// A thread that does not run yet, with its thread block mapped, and a reference for the caller. -EDESTROYED when the
// process is dying, -EBUSY while it is in process_exec, -ENFILE, -ENOMEM.
[[nodiscard]] int thread_create(struct process *p, const char *name, struct thread_object **out);
// Runs it: arg in rdi, the thread block's address in rsi. -EINVAL, -EALREADY.
[[nodiscard]] int thread_start(struct thread_object *t, uint64_t entry, uint64_t stack, uint64_t arg);
void thread_kill(struct thread_object *t);
// Ends the running thread, and its process if it was the last.
[[gnu::noreturn]] void thread_exit(void);
void thread_get_info(struct thread_object *t, struct kpio_thread_info *info);

// Caches, and the reaper thread. Once, when the scheduler runs.
void process_init(void);

// Provided by ipc: the running thread ends. Fails the caller that it owes a reply, leaves its endpoint, gives up what
// it owns of futexes. No lock held, does not block.
void ipc_thread_exit(struct thread *t);
// Provided by ipc: the same, but the running thread goes on, as if it were a new one.
void ipc_thread_restart(struct thread *t);
// Provided by ipc: the thread's memory goes; it may never have run. No endpoint counts it among its receivers any more.
void ipc_thread_gone(struct thread *t);

// ---- between process*.c and thread.c ------------------------------------------------------------------------------------
void thread_init(void);
// Tells it to end; process->lock is held. True: it never ran, and the caller must call thread_discard without the lock.
[[nodiscard]] bool thread_kill_locked(struct thread_object *t);
void thread_discard(struct thread_object *t);
// Closes the handles and gives up the address space of a process without threads (but the running one, if it is of p).
// Preemptible. process_finish follows when its last thread has left its CPU.
void process_end(struct process *p);
// Its end, or one of its threads, has given everything back: with the last of them the process is dead.
void process_finish(struct process *p);
// It is DYING from here on, whether it was before or not; process->lock is held.
void process_set_dying_locked(struct process *p);
// A process that nobody can find yet, in state NEW; it uses `space`, which gets a reference. -ENFILE, -ENOMEM.
[[nodiscard]] int process_make(struct job *job, const char *name, bool jit, struct aspace *space, struct process **out);
// Lets it be found. -EDESTROYED when its job was killed, -ENFILE, -ENOMEM: then process_abandon is what is left to do.
[[nodiscard]] int process_publish(struct process *p);
// Ends a process that never ran, here and now unless somebody does already, and drops the caller's reference. Its threads
// have been killed.
void process_abandon(struct process *p);
// A thread has left a process that is in process_exec.
void process_exec_tell(struct process *p);
// Leaves both to the reaper.
void process_reap_later(struct process *p);
