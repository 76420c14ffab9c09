// The rings on both sides: the client's (shared memory, which it may change at any time) and the device's (virtqueues).
#include "drivers/net/virtio_net/driver.h"
#include "lib/string.h"

#define F_MAC (1ull << 5)
#define QUEUE_SIZE 256

static struct net_ring *ring_of(const struct driver *d, unsigned which) { return &d->shared->ring[which]; }

static uint64_t address_of(const struct driver *d, uint32_t buffer, uint32_t offset) {
    return d->shared_address + offsetof(struct net_shared, buffer) + (uint64_t)buffer * NET_BUFFER_SIZE + offset;
}

// How many entries the client has put into a ring; a counter that makes no sense counts as none.
static uint32_t entries(const struct driver *d, unsigned which) {
    uint32_t count = __atomic_load_n(&ring_of(d, which)->head, __ATOMIC_ACQUIRE) - d->tail[which];
    return count <= NET_RING ? count : 0;
}

// Read once: the client may change it meanwhile.
static struct net_entry entry_read(struct driver *d, unsigned which) {
    const volatile struct net_entry *at = &ring_of(d, which)->entry[d->tail[which]++ % NET_RING];
    return (struct net_entry){at->buffer, at->length};
}

static void entry_write(struct driver *d, unsigned which, uint32_t buffer, uint32_t length) {
    ring_of(d, which)->entry[d->head[which]++ % NET_RING] = (struct net_entry){buffer, length};
}

static bool buffer_is_free(const struct driver *d, uint32_t buffer) {
    return buffer < NET_RING && d->owner[buffer] == OWNER_CLIENT;
}

static void send_new(struct driver *d) {
    uint32_t count = entries(d, NET_SEND), added = 0, seen = 0;
    for (; seen < count && d->send.free_count >= 2; seen++) {
        struct net_entry e = entry_read(d, NET_SEND);
        if (!buffer_is_free(d, e.buffer) || e.length < NET_FRAME_MIN || e.length > NET_FRAME_MAX) {
            d->counters.dropped++;
            continue;
        }
        struct virtq_buffer parts[2] = {
            {d->headers_address, HEADER_SIZE, false},
            {address_of(d, e.buffer, NET_FRAME_OFFSET), e.length, false},
        };
        if (virtq_add(&d->send, parts, 2, e.buffer) != 0) break;
        d->owner[e.buffer] = OWNER_SEND;
        added++;
    }
    if (seen) __atomic_store_n(&ring_of(d, NET_SEND)->tail, d->tail[NET_SEND], __ATOMIC_RELEASE);
    d->counters.sent += added;
    if (added && virtq_publish(&d->send)) virtio_notify(&d->device, QUEUE_SEND);
}

static void fill_new(struct driver *d) {
    uint32_t count = entries(d, NET_FILL), added = 0, seen = 0;
    for (; seen < count && d->receive.free_count > 0; seen++) {
        struct net_entry e = entry_read(d, NET_FILL);
        if (!buffer_is_free(d, e.buffer)) {
            d->counters.dropped++;
            continue;
        }
        struct virtq_buffer part = {address_of(d, e.buffer, RECEIVE_OFFSET), NET_BUFFER_SIZE - RECEIVE_OFFSET, true};
        if (virtq_add(&d->receive, &part, 1, e.buffer) != 0) break;
        d->owner[e.buffer] = OWNER_RECEIVE;
        added++;
    }
    if (seen) __atomic_store_n(&ring_of(d, NET_FILL)->tail, d->tail[NET_FILL], __ATOMIC_RELEASE);
    if (added && virtq_publish(&d->receive)) virtio_notify(&d->device, QUEUE_RECEIVE);
}

static int sent_back(struct driver *d) {
    uint32_t buffer, written, count = 0;
    int taken;
    while ((taken = virtq_take(&d->send, &buffer, &written)) > 0) {
        d->owner[buffer] = OWNER_CLIENT;
        entry_write(d, NET_SENT, buffer, 0);
        count++;
    }
    if (count) __atomic_store_n(&ring_of(d, NET_SENT)->head, d->head[NET_SENT], __ATOMIC_RELEASE);
    return taken;
}

static int received_back(struct driver *d) {
    uint32_t buffer, written, count = 0;
    int taken;
    while ((taken = virtq_take(&d->receive, &buffer, &written)) > 0) {
        d->owner[buffer] = OWNER_CLIENT;
        entry_write(d, NET_RECEIVED, buffer, written > HEADER_SIZE ? written - HEADER_SIZE : 0);
        count++;
    }
    d->counters.received += count;
    if (count) __atomic_store_n(&ring_of(d, NET_RECEIVED)->head, d->head[NET_RECEIVED], __ATOMIC_RELEASE);
    return taken;
}

int device_work(struct driver *d) {
    int error = sent_back(d);  // first: makes room in the queue
    send_new(d);
    if (!error) error = received_back(d);
    fill_new(d);
    if (!error) error = sent_back(d);
    return error;
}

uint32_t device_received(const struct driver *d) {
    uint32_t count = d->head[NET_RECEIVED] - __atomic_load_n(&ring_of(d, NET_RECEIVED)->tail, __ATOMIC_ACQUIRE);
    return count <= NET_RING ? count : NET_RING;
}

// ---- starting ----------------------------------------------------------------------------------------------------------

static int queues_start(struct driver *d) {
    uint64_t features;
    int error = virtio_negotiate(&d->device, F_MAC, &features);
    if (!error) error = virtio_queue(&d->device, QUEUE_RECEIVE, QUEUE_SIZE, &d->receive);
    if (!error) error = virtio_queue(&d->device, QUEUE_SEND, QUEUE_SIZE, &d->send);
    if (error) return error;
    d->mac = 0x02;  // 02:00:00:00:00:00, locally administered, unless the device has one
    if (features & F_MAC) {
        d->mac = 0;
        for (unsigned i = 0; i < 6; i++) d->mac |= (uint64_t)d->device.transport->config_byte(&d->device, i) << 8 * i;
    }
    virtq_interrupts(&d->send, false);     // looked at with every message
    virtq_interrupts(&d->receive, false);  // wanted only while a client waits
    virtio_start(&d->device);
    return 0;
}

int device_open(struct driver *d) {
    int error = virtio_open(&d->device, VIRTIO_NET);
    if (error) return error;
    int64_t headers = virtio_memory(&d->device, HEADER_SIZE, &d->headers, &d->headers_address);
    if (headers < 0) return (int)headers;
    d->headers_memory = (kpio_handle)headers;
    return queues_start(d);
}

int device_restart(struct driver *d) {
    void *memory;
    if (d->shared) virtio_memory_free(d->shared_memory, d->shared, sizeof(struct net_shared));
    d->shared = NULL;
    int error = virtio_restart(&d->device);  // after it the kernel frees the memory that nobody holds any more
    if (!error) error = queues_start(d);
    if (error) return error;
    int64_t handle = virtio_memory(&d->device, sizeof(struct net_shared), &memory, &d->shared_address);
    if (handle < 0) return (int)handle;
    d->shared_memory = (kpio_handle)handle;
    d->shared = memory;
    memset(d->owner, OWNER_CLIENT, sizeof(d->owner));
    memset(d->head, 0, sizeof(d->head));
    memset(d->tail, 0, sizeof(d->tail));
    return 0;
}
