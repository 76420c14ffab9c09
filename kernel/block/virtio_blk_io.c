// Requests of a virtio disk, from block_submit to block_finish.
#include "kernel/block/virtio_blk.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/log.h"

enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_DISCARD = 11, TYPE_WRITE_ZEROES = 13 };
enum { STATUS_OK = 0, STATUS_UNSUPPORTED = 2, STATUS_NONE = 0xff };

// request->driver[0]: the sectors that a discard or zeroing has with the device now; STEP_FLUSH: the flush behind a write
// that is to be durable. driver[1]: bytes of a read.
#define STEP_FLUSH UINT64_MAX

// ---- to the device ----------------------------------------------------------------------------------------------------------

// Fills descriptors from `at` on with the data. Neighbours in memory become one. Returns the descriptor behind them.
static struct virtio_desc *add_data(const struct virtio_blk *disk, struct block_request *r, struct virtio_desc *at, uint32_t *room) {
    uint16_t flags = VIRTIO_DESC_NEXT | (r->op == BLOCK_READ ? VIRTIO_DESC_WRITE : 0);
    uint64_t end = 0;
    uint32_t bytes = 0;
    struct virtio_desc *first = at;
    for (unsigned i = 0; i < r->vector_count; i++) {
        const struct block_vector *v = &r->vectors[i];
        uint64_t address = virt_to_phys(v->data).v;
        bytes += v->bytes;
        if (at > first && address == end && at[-1].length + v->bytes <= disk->segment_most) at[-1].length += v->bytes;
        else virtio_desc_set(at++, address, v->bytes, flags);
        end = address + v->bytes;
    }
    r->driver[1] = bytes;
    if (r->op == BLOCK_READ) *room += bytes;
    return at;
}

static struct virtio_desc *add_range(const struct virtio_blk *disk, struct virtio_blk_queue *q, unsigned slot, struct block_request *r,
                                     struct virtio_desc *at) {
    struct virtio_blk_slot *s = &q->slots[slot];
    uint32_t most = r->op == BLOCK_DISCARD ? disk->discard_most : disk->zeroes_most;
    s->range.sector = r->sector;
    s->range.sectors = (uint32_t)MIN(r->sectors, (uint64_t)most);
    s->range.flags = 0;
    s->sector = 0;
    r->driver[0] = s->range.sectors;
    virtio_desc_set(at, q->slots_address + slot * sizeof *s + offsetof(struct virtio_blk_slot, range), sizeof s->range,
                    VIRTIO_DESC_NEXT);
    return at + 1;
}

// Puts the request, or its next step, into a slot. q->lock is held, a slot is free.
static void place(struct virtio_blk_queue *q, struct block_request *r) {
    static const uint8_t types[] = {TYPE_IN, TYPE_OUT, TYPE_FLUSH, TYPE_DISCARD, TYPE_WRITE_ZEROES};
    unsigned slot = virtio_queue_slot(&q->ring);
    struct virtio_blk_slot *s = &q->slots[slot];
    struct virtio_desc *chain = virtio_queue_chain(&q->ring, slot), *at = chain + 1;
    uint64_t address = q->slots_address + slot * sizeof *s;
    uint32_t room = 1;
    bool flush = r->op == BLOCK_FLUSH || r->driver[0] == STEP_FLUSH;
    s->type = flush ? TYPE_FLUSH : types[r->op];
    s->sector = flush ? 0 : r->sector;
    s->status = STATUS_NONE;
    virtio_desc_set(chain, address, 16, VIRTIO_DESC_NEXT);
    if (!flush) at = r->op <= BLOCK_WRITE ? add_data(q->disk, r, at, &room) : add_range(q->disk, q, slot, r, at);
    virtio_desc_set(at, address + offsetof(struct virtio_blk_slot, status), 1, VIRTIO_DESC_WRITE);
    q->requests[slot] = r;
    q->age[slot] = 0;
    q->placed++;
    virtio_queue_add(&q->ring, slot, (unsigned)(at - chain) + 1, room);
}

static void tell_others(struct virtio_blk *disk) {
    uint64_t untold = __atomic_exchange_n(&disk->untold, 0, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; untold != 0; i++, untold >>= 1) {
        if ((untold & 1) == 0) continue;
        spin_lock(&disk->queue[i].lock);
        if (likely(virtio_blk_state(disk) == VIRTIO_BLK_RUNS)) virtio_queue_tell(&disk->queue[i].ring);
        spin_unlock(&disk->queue[i].lock);
    }
}

static void tell(struct block_device *block) { tell_others(container_of(block, struct virtio_blk, block)); }

// The disk does not run: the request waits for the end of the reset, or fails. q->lock is held, and released.
static coldpath void submit_later_unlock(struct virtio_blk_queue *q, struct block_request *r) {
    bool dead = virtio_blk_state(q->disk) == VIRTIO_BLK_DEAD;
    if (!dead) list_push_back(&q->waiting, &r->node);
    spin_unlock(&q->lock);
    if (dead) block_finish(&q->disk->block, r, -EIO);
}

static void submit(struct block_device *block, struct block_request *r) {
    struct virtio_blk *disk = container_of(block, struct virtio_blk, block);
    unsigned index = cpu_id();
    if (unlikely(index >= disk->queues)) index %= disk->queues;
    struct virtio_blk_queue *q = &disk->queue[index];
    bool more = r->flags & BLOCK_MORE;
    if (r->op == BLOCK_FLUSH && !disk->cache) {
        block_finish(block, r, 0);
        return;
    }
    r->driver[0] = 0;
    spin_lock(&q->lock);
    if (unlikely(virtio_blk_state(disk) != VIRTIO_BLK_RUNS)) {
        submit_later_unlock(q, r);
        return;
    }
    if (likely(q->ring.free_count > 0)) place(q, r);
    else list_push_back(&q->waiting, &r->node);
    if (more) __atomic_fetch_or(&disk->untold, 1ull << index, __ATOMIC_RELEASE);
    else virtio_queue_tell(&q->ring);
    spin_unlock(&q->lock);
    if (!more && unlikely(__atomic_load_n(&disk->untold, __ATOMIC_RELAXED) != 0)) tell_others(disk);
}

static void count(const struct block_device *block, uint64_t *requests, uint64_t *interrupts) {
    const struct virtio_blk *disk = container_of((struct block_device *)block, struct virtio_blk, block);
    for (unsigned i = 0; i < disk->queues; i++) {
        *requests += __atomic_load_n(&disk->queue[i].placed, __ATOMIC_RELAXED);
        *interrupts += __atomic_load_n(&disk->queue[i].fired, __ATOMIC_RELAXED);
    }
}

const struct block_ops virtio_blk_ops = {.submit = submit, .tell = tell, .count = count};

// ---- from the device --------------------------------------------------------------------------------------------------------

static int result(const struct virtio_blk_queue *q, unsigned slot, const struct block_request *r, uint32_t written) {
    uint8_t status = __atomic_load_n(&q->slots[slot].status, __ATOMIC_RELAXED);
    if (likely(status == STATUS_OK)) return r->op == BLOCK_READ && written <= r->driver[1] ? -EIO : 0;
    return status == STATUS_UNSUPPORTED && r->op == BLOCK_WRITE_ZEROES ? -EOPNOTSUPP : -EIO;
}

// Whether the request goes to the device once more.
static bool next_step(const struct virtio_blk *disk, struct block_request *r) {
    if (r->op == BLOCK_WRITE) {
        if (!(r->flags & BLOCK_FUA) || !disk->cache || r->driver[0] == STEP_FLUSH) return false;
        r->driver[0] = STEP_FLUSH;
        return true;
    }
    if (r->op < BLOCK_DISCARD || r->driver[0] >= r->sectors) return false;
    r->sector += r->driver[0];
    r->sectors -= r->driver[0];
    return true;
}

// Takes what the device is done with. q->lock is held. -EIO: it lied.
static int collect(struct virtio_blk_queue *q, struct list *finished) {
    int got;
    do {
        unsigned slot;
        uint32_t written;
        while ((got = virtio_queue_take(&q->ring, &slot, &written)) > 0) {
            struct block_request *r = q->requests[slot];
            r->error = result(q, slot, r, written);
            bool again = r->error == 0 && r->op != BLOCK_READ && next_step(q->disk, r);
            list_push_back(again ? &q->waiting : finished, &r->node);
        }
    } while (got == 0 && virtio_queue_arm(&q->ring));
    return got;
}

void virtio_blk_finish_all(struct virtio_blk *disk, struct list *finished) {
    struct block_request *r;
    while ((r = list_pop_front_entry(finished, struct block_request, node)) != NULL) block_finish(&disk->block, r, r->error);
}

void virtio_blk_refill(struct virtio_blk_queue *q) {
    struct block_request *r;
    while (q->ring.free_count > 0 && (r = list_pop_front_entry(&q->waiting, struct block_request, node)) != NULL) place(q, r);
    virtio_queue_tell(&q->ring);
}

void virtio_blk_queue_fired(struct virtio_device *v, unsigned index) {
    struct virtio_blk *disk = container_of(v, struct virtio_blk, virtio);
    struct virtio_blk_queue *q = &disk->queue[index];
    struct list finished = LIST_INIT(finished);
    spin_lock(&q->lock);
    q->fired++;
    bool runs = virtio_blk_state(disk) == VIRTIO_BLK_RUNS;
    int error = runs ? collect(q, &finished) : 0;
    if (runs && !error) virtio_blk_refill(q);
    spin_unlock(&q->lock);
    if (unlikely(error)) virtio_blk_give_up(disk, "it answered what it was not asked");
    virtio_blk_finish_all(disk, &finished);
}
