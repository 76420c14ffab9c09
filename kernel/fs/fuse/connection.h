// What a mount asks of its driver, and what came of it. Knows messages and who waits for them; nothing of files, and nothing of
// how messages reach the driver (channel.h).
//
//     fuse_call ─▶ QUEUED ──fuse_take──▶ BUSY (being copied out) ─▶ SENT ──fuse_reply──▶ BUSY (copied in) ─▶ DONE ─▶ the caller
//                     │                                              │
//                     └── killed, deadline, driver lost: DONE ◀──────┘   what was SENT is then ORPHANED: the driver is told by
//                                                                        INTERRUPT, and of its reply, if one comes, all is given back
//
// Who copies holds nothing that can be waited for: the copy takes no fault, so BUSY is over in bounded time, and memory of the
// caller's (pages, space) is never touched in any other state. A fault is served in the state that was before.
//
// Who asks hands its CPU to a thread of the driver's that waits, and that one hands it back with the answer: two switches of
// threads on the caller's time slice, past the scheduler's queues.
//
// STARTING: nobody answered INIT yet. Calls wait, up to their deadline. READY. GONE: no driver; calls fail with -ENOTCONN, or
// wait for the next driver where the mount says that one takes up what the last one left (stateless). ENDED: unmounted.
//
// connection->lock guards all of this and requests; a leaf but for waking.
// Also built for host tests.
#pragma once
#include "abi/fuse.h"
#include "abi/types.h"
#include "kernel/core/types.h"
#include "kernel/sched/sched.h"
#include "lib/list.h"

struct aspace;
struct handle;
struct fuse_connection;
struct page;

#define FUSE_PAGES_MAX 256u             // of one request: 1 MiB
#define FUSE_TABLE 64u
#define FUSE_NOTICE_MAX (FUSE_PAGES_MAX * 4096u + 4096u)  // of one notice
#define FUSE_ARGUMENTS_MAX 67584u       // of one request, names and attribute values included, without pages
#define FUSE_REQUESTS_MAX 4096u         // at a time: what killed callers left with a silent driver counts
#define FUSE_ANY_EPOCH UINT64_MAX
#define FUSE_TIMEOUT_DEFAULT 30000000000ull

enum fuse_request_state { FUSE_FRESH, FUSE_QUEUED, FUSE_BUSY, FUSE_SENT, FUSE_ORPHANED, FUSE_DONE };

struct fuse_request {
    struct list_node node;              // QUEUED: in the queue; SENT, ORPHANED: in the table
    struct list_node interrupt_node;    // waits to be told as an INTERRUPT
    uint64_t unique;
    uint64_t epoch;                     // whose driver's numbers are in it; FUSE_ANY_EPOCH: none
    uint32_t opcode;
    uint8_t state;                      // enum fuse_request_state
    bool replays;                       // may be asked of the next driver again
    bool abandoned;                     // nobody waits any more: frees itself when it is over
    bool detached;                      // nobody ever did (fuse_send)
    int error;                          // DONE: 0 or negative
    bool late;                          // DONE, ORPHANED before: the driver did it after all
    nanos_t sent;
    struct thread *waiter;              // blocked for it
    // When it is over, before it is freed: without locks. May be NULL.
    void (*done)(struct fuse_connection *c, struct fuse_request *r);
    void *context;                      // for done
    // Data behind the arguments: of WRITE to the driver, of READ from it. The caller's: pages, where `start` is the first byte in
    // the first one, or memory of its address space as it is mapped when it is copied.
    struct page *const *pages;
    struct aspace *space;
    uint64_t address;                   // in the space; of NOTIFY_REPLY the driver's own number for it, in place of `unique`
    uint32_t start, bytes;
    bool absent;                        // DONE: memory of the space could not be had at once
    uint32_t in_bytes;                  // of body, header included
    uint32_t out_least, out_most;       // of the reply's body, without pages
    uint32_t out_bytes;                 // that came, in pages too
    uint8_t *out;                       // out_most bytes, in body
    uint8_t body[] __attribute__((aligned(8)));
};

// A node that the kernel forgets: made beforehand, so that forgetting cannot fail. A driver that forgot a node does not know any
// more what was open on it: the message waits until nobody holds it, the node itself and each FLUSH and RELEASE of it.
struct fuse_forget {
    struct fuse_forget *next;
    struct fuse_forget_one one;
    uint64_t epoch;                     // whose node it is
    uint32_t holds;                     // atomic
};

enum fuse_connection_state { FUSE_STARTING, FUSE_READY, FUSE_GONE, FUSE_ENDED };

struct fuse_statistics {
    uint64_t requests, replies, failed, timeouts, interrupts, forgets, drivers, latency_ns, longest_ns;
    uint32_t queued, sent;
};

struct fuse_connection {
    struct wait_queue idle;             // drivers' threads that wait for work; its lock is the connection's
    struct list queue, interrupts;      // requests by node, by interrupt_node
    struct list table[FUSE_TABLE];      // by unique
    struct list starting;               // callers that wait until it is READY, by wait.node
    struct list callers;                // that wait for replies, by wait.node
    struct fuse_forget *forgets, **forgets_end;
    uint64_t unique;                    // the last one given
    uint64_t driver;                    // process that received last; 0: none
    uint64_t epoch;                     // counts drivers: what an earlier one gave names nothing any more, unless stateless
    uint64_t missing;                   // operations that the driver does not have, by opcode; atomic
    uint32_t turns;                     // requests taken since forgets were
    uint8_t state;                      // enum fuse_connection_state
    bool stateless;
    bool announced;                     // INIT is queued or was answered
    bool told;                          // the log, that an answer was none
    bool closed;                        // no other driver can come
    bool single_forgets;                // the driver knows no BATCH_FORGET
    nanos_t timeout;
    nanos_t heard;                      // the last reply
    struct fuse_request *(*make_init)(struct fuse_connection *c);  // for each driver. NULL: no memory
    void (*changed)(struct fuse_connection *c);  // there may be work; without the lock. May be NULL
    // A driver did what its caller had left: what the answer gave, in r->out, is nobody's. Without the lock; must not block. May be NULL.
    void (*late)(struct fuse_connection *c, const struct fuse_request *r);
    void (*lost)(struct fuse_connection *c);     // the driver is; without the lock. May be NULL
    bool (*watched)(const struct fuse_connection *c);  // whether anybody wants to know; with the lock
    struct fuse_statistics counts;
};

void fuse_connection_init(struct fuse_connection *c);
// The next driver of a GONE one; also the first. Its INIT is queued.
void fuse_connection_start(struct fuse_connection *c);
// Its driver is lost, or not to be trusted any more. What waits ends with -ENOTCONN, unless the next driver can be asked. why: for
// the log; NULL: nothing is said.
void fuse_connection_lose(struct fuse_connection *c, const char *why);
// No other driver will come.
void fuse_connection_close(struct fuse_connection *c);
// The mount ends. Nobody calls any more.
void fuse_connection_end(struct fuse_connection *c);
// INIT was answered.
void fuse_connection_ready(struct fuse_connection *c);

// ---- for the mount ----------------------------------------------------------------------------------------------------
// A request with room for arguments (without the header) and for the reply's body. Zeroed. NULL: no memory.
struct fuse_request *fuse_request_alloc(uint32_t opcode, uint64_t nodeid, uint32_t arguments, uint32_t reply);
static inline void *fuse_arguments(struct fuse_request *r) { return r->body + sizeof(struct fuse_in_header); }
void fuse_request_free(struct fuse_connection *c, struct fuse_request *r);  // after fuse_call, or instead of fuse_send
// Waits for the answer: 0, the driver's error, -EIO (it answers what is none), -EDEADLK (the caller is the driver), -ESTALE (it is about
// another driver's node), -EBUSY (FUSE_REQUESTS_MAX), -ENOTCONN, -ETIMEDOUT, -EINTR (killed). The request stays the caller's, to be
// freed, and the pages are its again in every case.
[[nodiscard]] int fuse_call(struct fuse_connection *c, struct fuse_request *r);
// The same for what may take a driver as long as it likes. An interruption of the thread is told to the driver, whose answer is then
// waited for, killably; the deadline (-ETIMEDOUT) is the caller's, and says nothing of the driver. -ECANCELED: killed, or the running
// process's handle of that value went.
[[nodiscard]] int fuse_call_patiently(struct fuse_connection *c, struct fuse_request *r, kpio_handle via, nanos_t deadline);
void fuse_cancel_calls(struct fuse_connection *c, const struct handle *via);  // those through that handle
// Nobody waits; takes the request over. Does not block.
void fuse_send(struct fuse_connection *c, struct fuse_request *r);
void fuse_send_forget(struct fuse_connection *c, struct fuse_forget *f);  // takes it over
static inline void fuse_forget_hold(struct fuse_forget *f) { __atomic_fetch_add(&f->holds, 1, __ATOMIC_RELAXED); }
// The last one sends it.
static inline void fuse_forget_put(struct fuse_connection *c, struct fuse_forget *f) {
    if (__atomic_sub_fetch(&f->holds, 1, __ATOMIC_ACQ_REL) == 0) fuse_send_forget(c, f);
}

// ---- for the transport ---------------------------------------------------------------------------------------------------
// Memory of the driver, in up to several pieces. copy: bytes that were NOT copied as memory is not there, without blocking.
// fault_in: makes it be there, may block: 0 or an error.
struct fuse_user {
    const struct fuse_user_ops *ops;
    uint64_t bytes;
};
// copy_space: as copy, with memory of another address space, which is *absent where it cannot be had at once.
struct fuse_user_ops {
    size_t (*copy)(struct fuse_user *u, uint64_t offset, void *kernel, size_t bytes);
    size_t (*copy_space)(struct fuse_user *u, uint64_t offset, struct aspace *space, uint64_t address, size_t bytes, bool *absent);
    int (*fault_in)(struct fuse_user *u, uint64_t offset, size_t bytes);
};
// The next message into the driver's memory: its bytes, -EAGAIN when there is none, -EINVAL (less room than
// FUSE_READ_BUFFER_MIN), -EFAULT, -ENOTCONN (no driver is wanted). `who`: the driver's process.
[[nodiscard]] int64_t fuse_take(struct fuse_connection *c, struct fuse_user *to, uint64_t who);
// Whether there is something to be taken. The lock is held.
bool fuse_has_work_locked(const struct fuse_connection *c);
// A message from the driver: 0; -EINVAL (none that can be: the request it answers ends with -EIO), -ENOENT (nobody waits for it),
// -EFAULT. A notice goes to `notify`, with at most FUSE_NOTICE_MAX bytes of body. `next` NULL: who waited is woken. Else, if
// that one gave its CPU for this and there is nothing else to do, it is *next, and to be woken by whoever called.
[[nodiscard]] int fuse_reply(struct fuse_connection *c, struct fuse_user *from,
                             int (*notify)(struct fuse_connection *c, int code, const uint8_t *body, uint32_t bytes),
                             struct thread **next);

// Provided by whoever knows processes: the caller's, 0 for a kernel thread; and its handle of that value, NULL where it has none.
uint64_t fuse_current_process(void);
struct handle *fuse_current_handle(kpio_handle value);
