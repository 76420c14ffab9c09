// Messages on their way: out to the driver's memory, and in from it. A message is copied in one go without a fault, under
// FUSE_BUSY; where memory of the driver's is missing the request goes back to the state it was in, the fault is served, and all
// is looked up anew. A reply's header and body are read once, and checked in the kernel's copy.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/fs/fuse/internal.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define FORGETS_MAX 64u    // in one message
#define FORGET_TURNS 16u   // requests go first, but not for ever
#define FAULTS_MAX 1000u   // in one message: memory that is taken away again and again

// ---- copying ----------------------------------------------------------------------------------------------------------

// Bytes that were not copied.
static size_t copy_pages(struct fuse_user *u, uint64_t offset, struct page *const *pages, uint32_t start, size_t bytes) {
    while (bytes > 0) {
        size_t n = MIN(PAGE_SIZE - start, bytes);
        size_t left = u->ops->copy(u, offset, (uint8_t *)page_to_virt(*pages++) + start, n);
        if (left != 0) return bytes - n + left;
        offset += n;
        bytes -= n;
        start = 0;
    }
    return 0;
}

static size_t copy_data(struct fuse_user *u, uint64_t offset, struct fuse_request *r, uint32_t bytes) {
    if (r->space != NULL) return u->ops->copy_space(u, offset, r->space, r->address, bytes, &r->absent);
    return copy_pages(u, offset, r->pages, r->start, bytes);
}

// Between two tries, with nothing held.
static int serve_fault(struct fuse_user *u, uint64_t total, size_t left, unsigned *faults) {
    if (++*faults > FAULTS_MAX) return -EFAULT;
    return u->ops->fault_in(u, total - left, left);
}

// ---- out --------------------------------------------------------------------------------------------------------------

bool fuse_has_work_locked(const struct fuse_connection *c) {
    bool over = c->state == FUSE_ENDED || c->state == FUSE_GONE;
    return over || !list_is_empty(&c->queue) || !list_is_empty(&c->interrupts) || c->forgets != NULL;
}

// A message of the kernel's own: what it was made of is gone whether or not it arrives, as nobody waits for it.
static int64_t put_small(struct fuse_user *to, void *message, size_t bytes) {
    unsigned faults = 0;
    for (size_t left; (left = to->ops->copy(to, 0, message, bytes)) != 0;) {
        int error = serve_fault(to, bytes, left, &faults);
        if (error != 0) return error;
    }
    return (int64_t)bytes;
}

static int64_t take_interrupt_unlock(struct fuse_connection *c, struct fuse_user *to) {
    struct fuse_request *r = list_pop_front_entry(&c->interrupts, struct fuse_request, interrupt_node);
    struct {
        struct fuse_in_header header;
        struct fuse_interrupt_in in;
    } message = {{sizeof message, FUSE_INTERRUPT, r->unique | 1, 0, 0, 0, 0, 0}, {r->unique}};
    spin_unlock(&c->idle.lock);
    return put_small(to, &message, sizeof message);
}

// To a driver of old.
static int64_t take_forget_unlock(struct fuse_connection *c, struct fuse_user *to) {
    struct fuse_forget *gone = c->forgets;
    struct {
        struct fuse_in_header header;
        struct fuse_forget_in in;
    } message = {{sizeof message, FUSE_FORGET, c->unique += 2, gone->one.nodeid, 0, 0, 0, 0}, {gone->one.nlookup}};
    c->forgets = gone->next;
    if (c->forgets == NULL) c->forgets_end = &c->forgets;
    c->turns = 0;
    c->counts.forgets++;
    spin_unlock(&c->idle.lock);
    kfree(gone);
    return put_small(to, &message, sizeof message);
}

static int64_t take_forgets_unlock(struct fuse_connection *c, struct fuse_user *to) {
    struct {
        struct fuse_in_header header;
        struct fuse_batch_forget_in in;
        struct fuse_forget_one one[FORGETS_MAX];
    } message;
    struct fuse_forget *gone = c->forgets, **end = &gone;
    uint32_t count = 0;
    for (; *end != NULL && count < FORGETS_MAX; end = &(*end)->next) message.one[count++] = (*end)->one;
    c->forgets = *end;
    if (c->forgets == NULL) c->forgets_end = &c->forgets;
    *end = NULL;
    c->turns = 0;
    c->counts.forgets += count;
    uint64_t unique = c->unique += 2;
    spin_unlock(&c->idle.lock);
    for (struct fuse_forget *next; gone != NULL; gone = next) {
        next = gone->next;
        kfree(gone);
    }
    uint32_t bytes = (uint32_t)(offsetof(typeof(message), one) + count * sizeof message.one[0]);
    message.header = (struct fuse_in_header){bytes, FUSE_BATCH_FORGET, unique, 0, 0, 0, 0, 0};
    message.in = (struct fuse_batch_forget_in){count, 0};
    return put_small(to, &message, bytes);
}

static struct list *row_of(struct fuse_connection *c, uint64_t unique) { return &c->table[unique / 2 % FUSE_TABLE]; }

// Whether the copier of a BUSY request finds the connection as it was.
static bool is_current(const struct fuse_connection *c, uint64_t epoch) {
    return c->epoch == epoch && (c->state == FUSE_READY || c->state == FUSE_STARTING);
}

// The lock is held. What nobody answers is over when it is taken.
static void taken_unlock(struct fuse_connection *c, struct fuse_request *r, uint64_t epoch) {
    bool current = is_current(c, epoch);
    if (!current || r->opcode == FUSE_NOTIFY_REPLY) {
        fuse_finish_unlock(c, r, current ? 0 : -ENOTCONN);
        return;
    }
    r->state = FUSE_SENT;
    r->sent = arch_now();
    list_push_back(row_of(c, r->unique), &r->node);
    c->counts.sent++;
    spin_unlock(&c->idle.lock);
}

static size_t copy_out(struct fuse_user *to, struct fuse_request *r, uint32_t data) {
    size_t left = to->ops->copy(to, 0, r->body, r->in_bytes);
    if (left != 0) return left + data;
    return data != 0 ? copy_data(to, r->in_bytes, r, data) : 0;
}

// The first request in the queue. 1: it did not fit, look again.
static int64_t take_request_unlock(struct fuse_connection *c, struct fuse_user *to, unsigned *faults) {
    struct fuse_request *r = list_pop_front_entry(&c->queue, struct fuse_request, node);
    uint32_t data = r->opcode == FUSE_WRITE ? r->bytes : 0, bytes = r->in_bytes + data;
    uint64_t epoch = c->epoch;
    c->counts.queued--;
    if (bytes > to->bytes) {
        fuse_finish_unlock(c, r, r->opcode == FUSE_SETXATTR ? -E2BIG : -EIO);
        return 1;
    }
    r->state = FUSE_BUSY;
    c->turns++;
    spin_unlock(&c->idle.lock);
    size_t left = copy_out(to, r, data);
    spin_lock(&c->idle.lock);
    if (left == 0) {
        taken_unlock(c, r, epoch);
        return (int64_t)bytes;
    }
    if (r->absent) {
        fuse_finish_unlock(c, r, -EFAULT);
        return 1;
    }
    if (is_current(c, epoch)) {
        r->state = FUSE_QUEUED;
        list_push_front(&c->queue, &r->node);
        c->counts.queued++;
        spin_unlock(&c->idle.lock);
    } else {
        fuse_finish_unlock(c, r, -ENOTCONN);
    }
    int error = serve_fault(to, bytes, left, faults);
    return error != 0 ? error : 1;
}

int64_t fuse_take(struct fuse_connection *c, struct fuse_user *to, uint64_t who) {
    unsigned faults = 0;
    if (to->bytes < FUSE_READ_BUFFER_MIN) return -EINVAL;
    for (;;) {
        spin_lock(&c->idle.lock);
        if (c->state == FUSE_ENDED || c->state == FUSE_GONE) {
            spin_unlock(&c->idle.lock);
            return -ENOTCONN;
        }
        c->driver = who;
        bool forgets = c->forgets != NULL && (list_is_empty(&c->queue) || c->turns >= FORGET_TURNS);
        int64_t bytes = 1;
        if (!list_is_empty(&c->interrupts)) return take_interrupt_unlock(c, to);
        else if (forgets) return c->single_forgets ? take_forget_unlock(c, to) : take_forgets_unlock(c, to);
        else if (list_is_empty(&c->queue)) bytes = 0;
        else bytes = take_request_unlock(c, to, &faults);
        if (bytes == 0) {
            spin_unlock(&c->idle.lock);
            return -EAGAIN;
        }
        if (bytes != 1) return bytes;
    }
}

// ---- in ---------------------------------------------------------------------------------------------------------------

static int copy_in(struct fuse_user *from, uint64_t offset, void *to, size_t bytes) {
    unsigned faults = 0;
    for (size_t left; (left = from->ops->copy(from, offset, to, bytes)) != 0;) {
        int error = serve_fault(from, offset + bytes, left, &faults);
        if (error != 0) return error;
    }
    return 0;
}

static int reply_notice(struct fuse_connection *c, struct fuse_user *from, const struct fuse_out_header *h,
                        int (*notify)(struct fuse_connection *c, int code, const uint8_t *body, uint32_t bytes)) {
    uint32_t bytes = h->len - (uint32_t)sizeof *h;
    if (h->error <= 0 || bytes > FUSE_NOTICE_MAX || notify == NULL) return -EINVAL;
    uint8_t *body = kmalloc(bytes + 1);
    if (body == NULL) return -ENOMEM;
    int error = copy_in(from, sizeof *h, body, bytes);
    if (error == 0) error = notify(c, h->error, body, bytes);
    kfree(body);
    return error;
}

// The lock is held.
static struct fuse_request *find_locked(struct fuse_connection *c, uint64_t unique) {
    list_for_each_entry(r, row_of(c, unique), struct fuse_request, node)
        if (r->unique == unique) return r;
    return NULL;
}

// Whether a body of so many bytes answers the request. An error has none.
static bool fits(const struct fuse_request *r, const struct fuse_out_header *h, uint32_t bytes) {
    if (h->error > 0 || h->error <= -512) return false;
    if (h->error != 0) return bytes == 0;
    if (r->opcode == FUSE_READ && r->bytes != 0) return bytes <= r->bytes;
    return bytes >= r->out_least && bytes <= r->out_most;
}

static size_t copy_body(struct fuse_user *from, struct fuse_request *r, uint32_t bytes) {
    if (bytes == 0) return 0;
    if (r->opcode == FUSE_READ && r->bytes != 0) return copy_data(from, sizeof(struct fuse_out_header), r, bytes);
    return from->ops->copy(from, sizeof(struct fuse_out_header), r->out, bytes);
}

static void count_reply_locked(struct fuse_connection *c, const struct fuse_request *r) {
    c->heard = arch_now();
    uint64_t took = c->heard - r->sent;
    c->counts.sent--;
    c->counts.replies++;
    c->counts.latency_ns += took;
    if (took > c->counts.longest_ns) c->counts.longest_ns = took;
}

// The lock is held and released. The body was copied, or memory of who asked was absent.
static void answered_unlock(struct fuse_connection *c, struct fuse_request *r, int error, struct thread **next) {
    bool only = next != NULL && !fuse_has_work_locked(c);
    count_reply_locked(c, r);
    struct thread *waiter = fuse_finish_unlock_quietly(c, r, error);
    if (only && waiter != NULL && waiter == current_thread()->lender) *next = waiter;
    else if (waiter != NULL) sched_wake(waiter);
}

// The lock is held and released. It is no answer to what was asked.
static int refuse_unlock(struct fuse_connection *c, struct fuse_request *r, const struct fuse_out_header *h, uint32_t bytes) {
    bool tell = !c->told;  // once: it may be doing so all day
    uint32_t opcode = r->opcode;
    c->told = true;
    count_reply_locked(c, r);
    fuse_finish_unlock(c, r, -EIO);
    if (tell) log_warn("fuse: a driver answered operation %u with error %d and %u bytes", opcode, h->error, bytes);
    return -EINVAL;
}

// The same: nobody waits for it any more.
static int drop_unlock(struct fuse_connection *c, struct fuse_request *r, int error) {
    r->late = error == 0;
    count_reply_locked(c, r);
    fuse_finish_unlock(c, r, -EINTR);
    return -ENOENT;
}

// The lock is held and released. 1: a fault was served, look again.
static int put_back_unlock(struct fuse_connection *c, struct fuse_user *from, struct fuse_request *r, uint32_t total, size_t left,
                           uint8_t state, unsigned *faults) {
    r->state = state;
    list_push_back(row_of(c, r->unique), &r->node);
    spin_unlock(&c->idle.lock);
    int error = serve_fault(from, total, left, faults);
    return error != 0 ? error : 1;
}

// The same for one whose caller has gone, and whose answer names something that is to be given back.
static coldpath int reply_late_unlock(struct fuse_connection *c, struct fuse_user *from, struct fuse_request *r,
                                      const struct fuse_out_header *h, unsigned *faults) {
    uint32_t bytes = h->len - (uint32_t)sizeof *h;
    uint64_t epoch = c->epoch;
    if (h->error != 0 || c->late == NULL || !fits(r, h, bytes) || r->bytes != 0) return drop_unlock(c, r, h->error);
    r->state = FUSE_BUSY;
    spin_unlock(&c->idle.lock);
    size_t left = copy_body(from, r, bytes);
    if (left == 0) {
        r->out_bytes = bytes;
        c->late(c, r);
    }
    spin_lock(&c->idle.lock);
    if (left == 0 || !is_current(c, epoch)) return drop_unlock(c, r, h->error);
    return put_back_unlock(c, from, r, h->len, left, FUSE_ORPHANED, faults);
}

// The request found is out of the table, and the lock is released. 1: a fault was served, look again.
static int reply_found_unlock(struct fuse_connection *c, struct fuse_user *from, struct fuse_request *r,
                              const struct fuse_out_header *h, unsigned *faults, struct thread **next) {
    uint32_t bytes = h->len - (uint32_t)sizeof *h;
    uint64_t epoch = c->epoch;
    list_remove(&r->node);
    if (unlikely(r->state == FUSE_ORPHANED)) return reply_late_unlock(c, from, r, h, faults);
    if (unlikely(!fits(r, h, bytes))) return refuse_unlock(c, r, h, bytes);
    r->state = FUSE_BUSY;
    spin_unlock(&c->idle.lock);
    size_t left = copy_body(from, r, bytes);
    spin_lock(&c->idle.lock);
    if (left == 0 || r->absent) {
        r->out_bytes = bytes;
        answered_unlock(c, r, r->absent ? -EFAULT : h->error, next);
        return 0;
    }
    if (is_current(c, epoch)) return put_back_unlock(c, from, r, h->len, left, FUSE_SENT, faults);
    c->counts.sent--;
    fuse_finish_unlock(c, r, -ENOTCONN);
    return -ENOTCONN;
}

int fuse_reply(struct fuse_connection *c, struct fuse_user *from,
               int (*notify)(struct fuse_connection *c, int code, const uint8_t *body, uint32_t bytes), struct thread **next) {
    struct fuse_out_header h;
    unsigned faults = 0;
    if (from->bytes < sizeof h) return -EINVAL;
    int error = copy_in(from, 0, &h, sizeof h);
    if (error != 0) return error;
    if (h.len != from->bytes) return -EINVAL;
    if (h.unique == 0) return reply_notice(c, from, &h, notify);
    do {
        spin_lock(&c->idle.lock);
        struct fuse_request *r = find_locked(c, h.unique);
        if (r == NULL) {
            spin_unlock(&c->idle.lock);
            return -ENOENT;
        }
        error = reply_found_unlock(c, from, r, &h, &faults, next);
    } while (error == 1);
    return error;
}
