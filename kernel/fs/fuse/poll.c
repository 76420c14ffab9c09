// Events of open files that the driver tells. Who wants to know asks by POLL, with a number that the driver keeps; when something
// has changed it says NOTIFY_POLL with that number, and who waits is told to ask again:
//
//     file's signals    the events that were answered last, for all who wait for the file, and
//     POLL_AGAIN        the driver has told of others since it was asked, or it is another driver
//
// All ask for what anybody has asked for of that open file, so that one's answer is good for the others.
#include "abi/fs.h"
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"
#include "kernel/object/object.h"

#define ALWAYS (uint32_t)(KPIO_POLL_ERROR | KPIO_POLL_HANGUP)

struct fuse_polled {
    struct list_node node;       // in the row of its number
    uint64_t number;
    struct object *file;         // there as long as this is
    uint32_t events;             // that anybody asked for
    uint32_t signals;
    uint32_t ends;               // drivers that it was told are gone
};

static struct list *row_of(struct fuse_fs *f, uint64_t number) { return &f->polled[number % FUSE_POLLED_ROWS]; }

// A place for what the open file is asked for. NULL: no memory.
static struct fuse_polled *polled_of(struct fuse_fs *f, struct fuse_handle *h, struct object *file) {
    struct fuse_polled *p = __atomic_load_n(&h->polled, __ATOMIC_ACQUIRE), *fresh;
    if (p != NULL || (fresh = kzalloc(sizeof *fresh)) == NULL) return p;
    spin_lock(&f->lock);
    p = h->polled;
    if (p == NULL) {
        *fresh = (struct fuse_polled){.number = ++f->polls, .file = file, .ends = f->poll_ends};
        list_push_back(row_of(f, fresh->number), &fresh->node);
        __atomic_store_n(&h->polled, fresh, __ATOMIC_RELEASE);
        p = fresh;
        fresh = NULL;
    }
    spin_unlock(&f->lock);
    kfree(fresh);
    return p;
}

// Who waits is told of what was not so before: what is asked for and still holds is no edge.
static void change(struct fuse_fs *f, struct fuse_polled *p, uint32_t clear, uint32_t set) {
    spin_lock(&f->lock);
    bool more = set & ~p->signals;
    p->signals = (p->signals & ~clear) | set;
    spin_unlock(&f->lock);
    if (more) object_signal(p->file);
}

static uint32_t want(struct fuse_fs *f, struct fuse_polled *p, uint32_t events) {
    spin_lock(&f->lock);
    p->signals &= ~KPIO_SIGNAL_POLL_AGAIN;
    p->events |= events & KPIO_POLL_ALL;
    events = p->events;
    spin_unlock(&f->lock);
    return events;
}

static int64_t ask(struct fuse_node *node, struct fuse_handle *h, const struct fuse_polled *p, uint32_t events) {
    const struct fuse_poll_in in = {.fh = h->fh, .kh = p->number, .flags = FUSE_POLL_SCHEDULE_NOTIFY, .events = events};
    struct fuse_poll_out out;
    const struct fuse_question q = {
        .opcode = FUSE_POLL, .node = node, .handle = h, .in = &in, .in_bytes = sizeof in, .out = &out, .out_least = sizeof out,
        .out_most = sizeof out};
    int64_t result = fuse_handle_check(h, node);
    if (result == 0) result = fuse_ask(fuse_of_node(node), &q);
    return result < 0 ? result : (int64_t)(out.revents & (events | ALWAYS));
}

int64_t fuse_poll(struct inode *inode, void *opened, struct object *file, uint32_t events) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_polled *p = fuse_is_missing(f, FUSE_POLL) ? NULL : polled_of(f, opened, file);
    if (p == NULL) return fuse_is_missing(f, FUSE_POLL) ? -EOPNOTSUPP : -ENOMEM;
    int64_t result = ask(node, opened, p, want(f, p, events));
    if (result == -EINTR || result == -ENOMEM) {  // it is not known, and the next is to ask
        change(f, p, 0, KPIO_SIGNAL_POLL_AGAIN);
        return result;
    }
    if (result == -ENOSYS) return -EOPNOTSUPP;
    if (result < 0) result = KPIO_POLL_ERROR;
    change(f, p, KPIO_POLL_ALL, (uint32_t)result);
    return result & (int64_t)(events | ALWAYS);
}

uint32_t fuse_poll_signals(struct inode *inode, void *opened) {
    struct fuse_fs *f = fuse_of(inode->fs);
    const struct fuse_handle *h = opened;
    const struct fuse_polled *p = __atomic_load_n(&h->polled, __ATOMIC_ACQUIRE);
    if (p == NULL || fuse_is_missing(f, FUSE_POLL)) return KPIO_SIGNAL_READABLE | KPIO_SIGNAL_WRITABLE;
    spin_lock(&f->lock);
    uint32_t signals = p->signals;
    spin_unlock(&f->lock);
    return signals;
}

void fuse_poll_leave(struct fuse_fs *f, struct fuse_handle *h) {
    if (likely(h->polled == NULL)) return;
    spin_lock(&f->lock);
    list_remove(&h->polled->node);
    spin_unlock(&f->lock);
    kfree(h->polled);
    h->polled = NULL;
}

// ---- told ---------------------------------------------------------------------------------------------------------------------

// The lock is held and released.
static void tell_unlock(struct fuse_fs *f, struct fuse_polled *p) {
    struct object *file = object_tryget(p->file) ? p->file : NULL;
    p->signals |= KPIO_SIGNAL_POLL_AGAIN;
    spin_unlock(&f->lock);
    if (file == NULL) return;
    object_signal(file);
    object_put(file);
}

int fuse_poll_wake(struct fuse_fs *f, uint64_t number) {
    spin_lock(&f->lock);
    list_for_each_entry(p, row_of(f, number), struct fuse_polled, node) {
        if (p->number != number) continue;
        tell_unlock(f, p);
        return 0;
    }
    spin_unlock(&f->lock);
    return 0;  // it was closed meanwhile, which the driver need not know yet
}

// Who was not told yet; the lock is held.
static struct fuse_polled *next_to_tell(struct fuse_fs *f, struct list *row) {
    list_for_each_entry(p, row, struct fuse_polled, node)
        if (p->ends != f->poll_ends) return p;
    return NULL;
}

void fuse_poll_end(struct fuse_fs *f) {
    spin_lock(&f->lock);
    f->poll_ends++;
    for (unsigned i = 0; i < FUSE_POLLED_ROWS; i++)
        for (struct fuse_polled *p; (p = next_to_tell(f, &f->polled[i])) != NULL; spin_lock(&f->lock)) {
            p->ends = f->poll_ends;
            tell_unlock(f, p);
        }
    spin_unlock(&f->lock);
}
