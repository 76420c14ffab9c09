// Advisory locks of whatever has them: files and directories (fs/vfs/lock.h), pipes. Two name spaces: ranges (fcntl), owned by a
// process or by an open file; whole files (flock), owned by an open file. Owners' locks go with them: an open file's with its last
// handle, a process's when any handle of its that reads or writes the file goes (POSIX). A waiter waits through its handle.
#pragma once
#include "abi/fs.h"
#include "kernel/core/rcu.h"
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"

struct advisory_record {
    struct list_node node;
    uint64_t start, last;       // both inclusive
    uint64_t owner;             // a process's id << 1 | 1, or the address of what is open
    const struct object *file;  // that it was made through
    struct job *job;            // who pays
    bool exclusive;
};
struct advisory_locks {
    struct wait_queue queue;    // its lock guards all of this
    struct list ranges, whole;  // ranges of one owner neither overlap nor touch with the same kind
    bool served;                // somebody else keeps some of them, and was asked for one; atomic
    struct rcu_head rcu;        // who kills one that waited may still look at the queue's lock
};

static inline struct advisory_locks *advisory_of(struct advisory_locks *const *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
struct advisory_locks *advisory_make(struct advisory_locks **at);  // those there, or new ones; NULL: no memory
void advisory_free(struct advisory_locks *l);                      // without locks by now; may be NULL
// What a call asks for; nothing is changed. -EINVAL, -EOVERFLOW.
[[nodiscard]] int advisory_decode(const struct object *file, const struct kpio_file_lock *lock, struct advisory_record *out);
// `file`: what is open, `value`: the handle that the call came through. TEST: fills *lock in. 0, -EAGAIN (deadline 0), -EDEADLK
// (owners of ranges wait for each other), -ENOMEM, -ETIMEDOUT, -EINTR, -ECANCELED.
[[nodiscard]] int advisory_lock(struct advisory_locks *l, const struct object *file, const struct advisory_record *wanted,
                                kpio_handle value, struct kpio_file_lock *lock, nanos_t deadline);
void advisory_release(struct advisory_locks *l, const struct object *file);  // l may be NULL
// Returns the owner whose locks it took away with the handle, or 0.
uint64_t advisory_handle_gone(struct advisory_locks *l, struct handle *h);
