// The end of a disk that lies, and the watchdog over disks that do not answer.
//
//   a request is too old ─▶ RESETS ─▶ status 0, and the device says so? ─ no ──────────────────────────▶ give up
//                                        │ yes: it writes to no memory any more                           ▲
//                                        ▼                                                                │ no
//                                     requests leave the slots ─▶ negotiated, queues started as before? ──┘
//                                                                    │ yes
//                                                                    ▼
//                                     RUNS: too old ones fail, the others are placed again
//
// Placing again is harmless: a block that is written twice holds the same, and only finished requests count for a flush.
#include "abi/gen/errors.h"
#include "kernel/block/virtio_blk.h"
#include "kernel/core/log.h"

#define RESETS_MOST 3  // in a row, without an answer between them

// ---- given up ---------------------------------------------------------------------------------------------------------------

// Takes out of the slots what the device cannot do harm with: everything, or what it does not write to.
static void take_all(struct virtio_blk_queue *q, bool quiet, struct list *out) {
    for (unsigned slot = 0; slot < q->ring.slots; slot++) {
        if (q->ring.room[slot] == 0 || (!quiet && q->requests[slot]->op == BLOCK_READ)) continue;
        q->ring.room[slot] = 0;
        list_push_back(out, &q->requests[slot]->node);
    }
}

static void fail_all(struct virtio_blk *disk, bool quiet) {
    struct list failed = LIST_INIT(failed);
    for (unsigned i = 0; i < disk->queues; i++) {
        struct virtio_blk_queue *q = &disk->queue[i];
        spin_lock(&q->lock);
        take_all(q, quiet, &failed);
        list_splice_back(&failed, &q->waiting);
        spin_unlock(&q->lock);
    }
    list_for_each_entry(r, &failed, struct block_request, node) r->error = -EIO;
    virtio_blk_finish_all(disk, &failed);
}

void virtio_blk_give_up(struct virtio_blk *disk, const char *why) {
    if (__atomic_exchange_n(&disk->state, VIRTIO_BLK_DEAD, __ATOMIC_SEQ_CST) == VIRTIO_BLK_DEAD) return;
    bool quiet = virtio_switch_off(&disk->virtio);
    log_error("%s: switched off: %s", disk->block.name, why);
    if (!quiet) log_error("%s: it may still write to memory: what was being read waits for it", disk->block.name);
    fail_all(disk, quiet);
    __atomic_store_n(&disk->may_write, !quiet, __ATOMIC_RELEASE);
}

// ---- reset ------------------------------------------------------------------------------------------------------------------

// The device was reset. Its requests, as if not yet placed: `late`, or to be placed again.
static void empty_queue(struct virtio_blk_queue *q, unsigned rounds, struct list *late) {
    struct list again = LIST_INIT(again);
    for (unsigned slot = 0; slot < q->ring.slots; slot++) {
        if (q->ring.room[slot] == 0) continue;
        struct block_request *r = q->requests[slot];
        r->error = q->age[slot] >= rounds ? -EIO : 0;
        list_push_back(r->error ? late : &again, &r->node);
    }
    list_splice_back(&again, &q->waiting);
    list_splice_back(&q->waiting, &again);
    virtio_queue_clear(&q->ring);
    q->used_seen = 0;
}

// Whether it is again what it was.
static bool start_again(struct virtio_blk *disk) {
    struct virtio_device *v = &disk->virtio;
    uint64_t features = v->features;
    int error = virtio_negotiate(v, features);
    for (unsigned i = 0; i < disk->queues && !error; i++) error = v->transport->queue_start(v, i, &disk->queue[i].ring);
    if (!error && v->transport->vectors != NULL) error = v->transport->vectors(v);
    if (error || v->features != features) return false;
    virtio_ready(v);
    return true;
}

// Lets what waits go on. False: somebody has given the disk up meanwhile.
static bool run_again(struct virtio_blk *disk) {
    uint8_t resets = VIRTIO_BLK_RESETS;
    if (!__atomic_compare_exchange_n(&disk->state, &resets, VIRTIO_BLK_RUNS, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) return false;
    for (unsigned i = 0; i < disk->queues; i++) {
        struct virtio_blk_queue *q = &disk->queue[i];
        spin_lock(&q->lock);
        if (virtio_blk_state(disk) == VIRTIO_BLK_RUNS) virtio_blk_refill(q);
        spin_unlock(&q->lock);
    }
    return true;
}

static void reset_disk(struct virtio_blk *disk, unsigned rounds) {
    struct list late = LIST_INIT(late);
    uint8_t runs = VIRTIO_BLK_RUNS;
    if (!__atomic_compare_exchange_n(&disk->state, &runs, VIRTIO_BLK_RESETS, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) return;
    for (unsigned i = 0; i < disk->queues; i++) {  // whoever looked at the state before is done with the queue
        spin_lock(&disk->queue[i].lock);
        spin_unlock(&disk->queue[i].lock);
    }
    if (++disk->resets > RESETS_MOST || !virtio_reset(&disk->virtio)) {
        virtio_blk_give_up(disk, disk->resets > RESETS_MOST ? "it never answers" : "it does not answer, and cannot be reset");
        return;
    }
    for (unsigned i = 0; i < disk->queues; i++) {
        spin_lock(&disk->queue[i].lock);
        empty_queue(&disk->queue[i], rounds, &late);
        spin_unlock(&disk->queue[i].lock);
    }
    if (!start_again(disk)) virtio_blk_give_up(disk, "it does not start after a reset");
    else if (!run_again(disk)) fail_all(disk, true);
    else log_warn("%s: runs again", disk->block.name);
    virtio_blk_finish_all(disk, &late);
}

// ---- the watchdog -----------------------------------------------------------------------------------------------------------

// One round older. Whether one of them is too old.
static bool grow_older(struct virtio_blk *disk, struct virtio_blk_queue *q, unsigned rounds) {
    bool late = false;
    spin_lock(&q->lock);
    if (q->ring.used_next != q->used_seen) disk->resets = 0;
    q->used_seen = q->ring.used_next;
    for (unsigned slot = 0; slot < q->ring.slots; slot++) {
        if (q->ring.room[slot] == 0) continue;
        if (q->age[slot] < UINT16_MAX) q->age[slot]++;
        late |= q->age[slot] >= rounds;
    }
    spin_unlock(&q->lock);
    return late;
}

void virtio_blk_watch(struct virtio_blk *disk, unsigned rounds) {
    bool late = false;
    if (virtio_blk_state(disk) == VIRTIO_BLK_DEAD) {
        if (!__atomic_load_n(&disk->may_write, __ATOMIC_ACQUIRE) || !virtio_switch_off(&disk->virtio)) return;
        disk->may_write = false;
        fail_all(disk, true);
        return;
    }
    for (unsigned i = 0; i < disk->queues; i++) late |= grow_older(disk, &disk->queue[i], rounds);
    if (!late) return;
    log_error("%s: no answer within disk_timeout: it is reset", disk->block.name);
    reset_disk(disk, rounds);
}
