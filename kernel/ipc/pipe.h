// Pipes: two ends over a bounded ring.
//
// Each side is used by one thread at a time (`busy`), which copies from or to user memory without a lock; the others queue.
// So a write is never mixed with another, and a thread that is stopped in the middle of a copy (a page that must be
// fetched) holds up its side only.
// Lock: pipe->lock guards everything but the ring's content; the wait queues of both sides use it too (wait.lock).
// Ends hold the pipe; a thread at work holds its end. A side may have several ends: whoever opens it once more (pipe_attach) gets
// one of his own, with what user space keeps of an open one, status and locks.
#pragma once
#include "kernel/ipc/pipe_ring.h"
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"

#define PIPE_SIZE_DEFAULT 65536u
#define PIPE_SIZE_MIN 4096u
#define PIPE_SIZE_MAX (1u << 20)
#define PIPE_ATOMIC 4096u  // a write up to this size that may not wait is done as a whole or not at all

#define PIPE_PARCELS_DEFAULT 64u  // that wait to be read; the next one waits for room

#define PIPE_HANDLES_MAX 1024u  // in these, once there is more than one parcel

enum pipe_mode {
    PIPE_STREAM = KPIO_PIPE_STREAM,
    PIPE_DATAGRAM = KPIO_PIPE_DATAGRAM,
    PIPE_SEQPACKET = KPIO_PIPE_SEQPACKET,
    PIPE_MAILBOX = KPIO_PIPE_MAILBOX,
};
struct advisory_locks;
struct pipe_parcel;
struct pipe;
struct inode;
struct mount;

struct pipe_end {
    struct object object;
    struct pipe *pipe;
    bool writer;
    struct object *family; // in whose tree its handles are, held; NULL: its own
    struct pipe_end *next; // of its side; changed under pipe->lock, followed without it within an RCU section
    uint32_t seen;         // of a shared pipe: how often the other side had been opened when this end was made
    uint16_t label_size;   // guarded by pipe->lock
    uint8_t *label;
};
enum { PIPE_BUSY = 1, PIPE_MANY = 2 };  // a thread is at work; one of the pipe's sides has several ends
struct pipe_side {
    struct pipe_end *end;  // the first of its ends; NULL: gone. One that is not named any more is here until another comes
    bool named;            // somebody can name it
    bool open;             // ... and it was not shut
    uint8_t held;          // PIPE_BUSY, PIPE_MANY: not 0, the short way is closed
    bool copying;          // ... and touches the ring's bytes right now, without the lock
    uint32_t opens;        // how often it was opened once more; of a shared pipe, at all
    struct list waiters;   // by wait.node; guarded by pipe->lock
};
// Of a shared pipe (pipe_shared.c): what it belongs to, and what is told when its last end is gone. In any context.
struct pipe_home {
    void (*gone)(struct pipe *pipe);
    struct inode *inode;
    struct mount *mount;
};
struct pipe {
    struct spinlock lock;
    uint8_t mode;          // enum pipe_mode
    bool demands;          // its reader wants a note with each write
    int8_t level;          // guarded by the carry lock, as are `carries` and `carried` (pipe_parcel.h)
    uint32_t ends;         // that exist
    uint64_t id;           // its reading end's; of a shared one, the first end's
    struct pipe_home home; // gone NULL: it is not shared
    struct pipe_ring ring;
    struct pipe_side reader, writer;
    struct list parcels;   // handles and notes on their way, in order (pipe_parcel.h)
    uint32_t parcel_count, parcel_handles, parcel_limit;
    struct pipe_parcel *noted;  // of a stream: the last with a note that was read
    uint32_t carries;      // ends of pipes among them
    uint32_t carried;      // how often an end of this pipe is in a parcel
    struct advisory_locks *locks;  // made when somebody asks for one; atomic
    struct job *job;
    struct rcu_head rcu;
};
static inline struct pipe_end *pipe_end_of(struct object *o) { return (struct pipe_end *)o; }

void pipe_init(void);
// The end takes part no more, as if nobody could name it; what is in the pipe stays.
void pipe_shut(struct pipe_end *end);
void pipe_describe(struct pipe_end *end, struct kpio_pipe_info *info);
// How many parcels may wait in it. Who waits to send one goes on where there is room now.
void pipe_limit(struct pipe_end *end, uint32_t parcels);
// An advisory lock of the pipe, whose owner is the end or the process. Errors of advisory_lock, -EINVAL, -EOVERFLOW.
[[nodiscard]] int pipe_lock(struct pipe_end *end, kpio_handle value, struct kpio_file_lock *lock, nanos_t deadline);
// A ring of another size, with what is in it: the size that it has then, -EINVAL, -EBUSY (more is in it), -EAGAIN (somebody
// copies right now), -ENFILE, -ENOMEM.
[[nodiscard]] int64_t pipe_resize(struct pipe_end *end, uint64_t size);
// size 0: the default. Both ends come with a reference for the caller. -EINVAL, -ENFILE, -ENOMEM.
[[nodiscard]] int pipe_create(struct job *job, enum pipe_mode mode, uint64_t size, struct pipe_end **reader,
                              struct pipe_end **writer);

// ---- shared pipes (pipe_shared.c): both sides come and go, what was written stays while there is an end of any -------------------

// Without ends, held by the caller. -ENOMEM and its like.
[[nodiscard]] int pipe_create_shared(struct job *job, struct pipe_home home, struct pipe **out);
[[nodiscard]] bool pipe_tryhold(struct pipe *pipe);  // false: it is on its way out
void pipe_release(struct pipe *pipe);
// Another end of that side, with a reference; *peer_opens: how often the other one had been opened, without who has it now
// (pipe_await). need_peer: -ENXIO when nobody has the other side. -ENFILE, -ENOMEM. Of pipes that are not shared too.
[[nodiscard]] int pipe_attach(struct pipe *pipe, bool writer, bool need_peer, struct pipe_end **out, uint32_t *peer_opens);
// Another one of the end's side, as pipe_attach; handles on it are children of handles on the end.
[[nodiscard]] int pipe_attach_again(struct pipe_end *end, bool need_peer, struct pipe_end **out, uint32_t *peer_opens);
// Waits until somebody has the other side, or it was opened more often than `opens`. Errors of waiting.
[[nodiscard]] int64_t pipe_await(struct pipe_end *end, kpio_handle value, uint32_t opens, nanos_t deadline);

// The short way, with a handle that was just looked up with READ or WRITE, and no reference: what pipe_read and pipe_write return, or
enum { PIPE_SLOWLY = INT64_MIN,      // nothing was done: go the long way
       PIPE_AGAIN = INT64_MIN + 1 }; // it waited and was woken: look the handle up and begin again
[[nodiscard]] int64_t pipe_read_quick(struct handle *via, struct user_ptr buffer, uint64_t size, uint32_t options,
                                      nanos_t deadline);
[[nodiscard]] int64_t pipe_write_quick(struct handle *via, struct user_ptr buffer, uint64_t size, uint32_t options);

// The caller's memory: pieces in user space, `size` bytes together.
struct pipe_buffer {
    const struct kpio_io_vector *parts;
    uint64_t size;
};
// What goes along with the bytes of a write, in kernel memory.
struct pipe_cargo {
    const struct kpio_message_handle *handles;
    const uint8_t *note;
    uint32_t handle_count, note_size;
};
// What came along with those of a read: up to the room there is; counts and sizes are of all that came. Handles without room are
// closed, and those that do not arrive are 0.
struct pipe_delivery {
    struct kpio_message_handle *handles;
    uint8_t *note;
    uint32_t handle_room, handle_count, note_room, note_size;
};
// The caller holds a reference to the end; `value` is the handle it came through. Bytes copied, 0: nobody writes any more,
// or errors of the system calls. -EBADF: the wrong end. options: KPIO_PIPE_*, checked by the caller. delivery may be NULL.
[[nodiscard]] int64_t pipe_read(struct pipe_end *end, kpio_handle value, const struct pipe_buffer *buffer, uint32_t options,
                                nanos_t deadline, struct pipe_delivery *delivery);
[[nodiscard]] int64_t pipe_write(struct pipe_end *end, kpio_handle value, const struct pipe_buffer *buffer, uint32_t options,
                                 nanos_t deadline, const struct pipe_cargo *cargo);

// pipe_label.c. Some bytes that all handles on an end share. 0 or -ENFILE, -ENOMEM; size at most KPIO_PIPE_LABEL_MAX.
[[nodiscard]] int pipe_label_set(struct pipe_end *end, const uint8_t *label, uint32_t size);
uint32_t pipe_label_get(struct pipe_end *end, uint8_t label[KPIO_PIPE_LABEL_MAX]);  // its size
void pipe_label_drop(struct pipe_end *end);  // the end is being destroyed
