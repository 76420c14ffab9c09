#include "drivers/fs/virtio_fs/driver.h"
#include "lib/string.h"
#include "lib/util.h"

#define REQUEST_QUEUE_SIZE 128u
#define URGENT_QUEUE_SIZE 64u
#define PROBE_UNIQUE (UINT64_MAX - 1)  // the kernel counts from 2
#define SLOTS_LEAST 2u                 // where memory is short: one that waits for a request, one that is with the device

// ---- slots -----------------------------------------------------------------------------------------------------------------------

uint32_t device_slot_take(struct driver *d) {
    for (;;) {
        uint32_t free = __atomic_load_n(&d->free, __ATOMIC_RELAXED);
        if (free == 0) {
            (void)kpio_futex_wait((uint64_t)&d->free, 0, UINT32_MAX, KPIO_TIME_NEVER, 0);
            continue;
        }
        uint32_t slot = (uint32_t)__builtin_ctz(free);
        if (__atomic_compare_exchange_n(&d->free, &free, free & (free - 1), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return slot;
    }
}

void device_slot_free(struct driver *d, uint32_t slot) {
    if (slot == FS_PROBE) return;
    if (__atomic_fetch_or(&d->free, 1u << slot, __ATOMIC_RELEASE) == 0) (void)kpio_futex_wake((uint64_t)&d->free, 1, UINT32_MAX, 0);
}

static int slot_make(struct driver *d, uint32_t slot, uint32_t bytes) {
    struct fs_slot *s = &d->ring.slot[slot];
    void *memory;
    int64_t handle = virtio_memory(&d->device, bytes, &memory, &s->address);
    if (handle < 0) return (int)handle;
    s->memory = memory;
    s->bytes = bytes;
    return 0;
}

static int slots_make(struct driver *d) {
    int error = slot_make(d, FS_PROBE, FS_PROBE_BYTES);
    for (uint32_t i = 0; i < FS_SLOTS && error == 0; i++) {
        error = slot_make(d, i, FS_SLOT_BYTES);
        if (error == 0) d->free |= 1u << i;
        else if (i >= SLOTS_LEAST) return 0;
    }
    return error;
}

// ---- starting ----------------------------------------------------------------------------------------------------------------

static void read_tag(struct driver *d) {
    for (unsigned i = 0; i < FS_TAG_MAX; i++) d->tag[i] = (char)d->device.transport->config_byte(&d->device, i);
}

int device_open(struct driver *d) {
    uint64_t features;
    int error = virtio_open(&d->device, VIRTIO_FS);
    if (error == 0) error = virtio_negotiate(&d->device, 0, &features);
    if (error == 0) error = virtio_queue(&d->device, FS_QUEUE_URGENT, URGENT_QUEUE_SIZE, &d->ring.queue[FS_QUEUE_URGENT]);
    if (error == 0) error = virtio_queue(&d->device, FS_QUEUE_REQUEST, REQUEST_QUEUE_SIZE, &d->ring.queue[FS_QUEUE_REQUEST]);
    if (error == 0) error = slots_make(d);
    if (error != 0) return error;
    read_tag(d);
    d->heard = time_now();
    virtio_start(&d->device);
    return 0;
}

// ---- messages ------------------------------------------------------------------------------------------------------------------

int device_send(struct driver *d, uint32_t slot, uint32_t bytes) {
    mutex_lock(&d->lock);
    if (fs_ring_in_flight(&d->ring) == 0) d->heard = time_now();
    int queue = fs_ring_add(&d->ring, slot, bytes);
    bool tell = queue >= 0 && virtq_publish(&d->ring.queue[queue]);
    if (tell) virtio_notify(&d->device, (unsigned)queue);
    mutex_unlock(&d->lock);
    return queue < 0 ? queue : 0;
}

void device_probe(struct driver *d) {
    const struct fuse_in_header h = {.len = sizeof h, .opcode = FUSE_STATFS, .unique = PROBE_UNIQUE, .nodeid = FUSE_ROOT};
    if (d->probing) return;
    d->probing = true;
    memcpy(d->ring.slot[FS_PROBE].memory, &h, sizeof h);
    d->probe_error = device_send(d, FS_PROBE, sizeof h);
}

static void probe_done(struct driver *d, const struct fs_answer *answer) {
    struct fuse_out_header h = {.error = -EIO};
    if (answer->reply != NULL) memcpy(&h, answer->reply, sizeof h);
    d->probe_error = h.error;
    d->probing = false;
}

// The next one that the device is done with: as fs_ring_take.
static int take(struct driver *d, struct fs_answer *answer) {
    int taken = 0;
    mutex_lock(&d->lock);
    for (unsigned queue = 0; queue < FS_QUEUES && taken == 0; queue++) taken = fs_ring_take(&d->ring, queue, answer);
    if (taken > 0) d->heard = time_now();
    mutex_unlock(&d->lock);
    return taken;
}

int device_wait(struct driver *d, uint64_t deadline, device_done_fn *done) {
    struct fs_answer answer;
    int taken;
    int64_t fired = kpio_irq_wait(d->device.irq, deadline);
    if (fired < 0 && fired != -ETIMEDOUT && fired != -EINTR) return (int)fired;
    if (fired > 0 && d->device.transport->interrupt_ack != NULL) d->device.transport->interrupt_ack(&d->device);
    while ((taken = take(d, &answer)) > 0) {
        if (answer.slot == FS_PROBE) probe_done(d, &answer);
        else done(d, &answer);
    }
    return taken < 0 ? taken : fired == -ETIMEDOUT ? -ETIMEDOUT : 0;
}
