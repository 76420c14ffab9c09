#include "user/libkpio/netif.h"

#include "lib/string.h"
#include "protocols/gen/net.h"
#include "user/libkpio/startup.h"

static struct net_ring *ring_of(struct netif *net, unsigned which) { return &net->shared->ring[which]; }

static void push(struct netif *net, unsigned which, uint32_t buffer, uint32_t length) {
    ring_of(net, which)->entry[net->head[which]++ % NET_RING] = (struct net_entry){buffer, length};
}
static void publish(struct netif *net, unsigned which) {
    __atomic_store_n(&ring_of(net, which)->head, net->head[which], __ATOMIC_RELEASE);
}

// How many entries wait in a ring that the driver writes.
static uint32_t waiting(struct netif *net, unsigned which) {
    uint32_t count = __atomic_load_n(&ring_of(net, which)->head, __ATOMIC_ACQUIRE) - net->tail[which];
    return count <= NET_RING ? count : NET_RING;
}
static struct net_entry pop(struct netif *net, unsigned which) {
    return ring_of(net, which)->entry[net->tail[which]++ % NET_RING];
}
static void consumed(struct netif *net, unsigned which) {
    __atomic_store_n(&ring_of(net, which)->tail, net->tail[which], __ATOMIC_RELEASE);
}

static void forget(struct netif *net) {
    if (net->shared) (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)net->shared, sizeof(struct net_shared));
    if (net->memory > 0) (void)kpio_handle_close((uint64_t)net->memory);
    net->shared = NULL;
    net->memory = KPIO_HANDLE_NONE;
}

static void rings_start(struct netif *net) {
    memset(net->head, 0, sizeof(net->head));
    memset(net->tail, 0, sizeof(net->tail));
    net->free_count = 0;
    for (uint32_t i = 0; i < NET_RING / 2; i++) net->free[net->free_count++] = (uint16_t)i;
    for (uint32_t i = NET_RING / 2; i < NET_RING; i++) push(net, NET_FILL, i, 0);
    publish(net, NET_FILL);
}

int netif_open(struct netif *net, const char *name) {
    struct net_open_request request;
    struct net_open_reply reply;
    forget(net);
    if (name) net->client.name = name;
    int64_t error = net_open(&net->client, &request, &reply);
    if (error) return (int)error;
    if (reply.shared <= 0) return -EMFILE;
    int64_t at = kpio_aspace_map(startup_handle("aspace"), reply.shared, 0, sizeof(struct net_shared),
                                 KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    net->memory = reply.shared;
    net->session = reply.session;
    if (at < 0) {
        forget(net);
        return (int)at;
    }
    net->shared = (struct net_shared *)at;
    for (unsigned i = 0; i < 6; i++) net->mac[i] = (uint8_t)(reply.mac >> 8 * i);
    rings_start(net);
    return (int)(netif_kick(net) < 0 ? -EPIPE : 0);
}

void netif_close(struct netif *net) {
    forget(net);
    client_close(&net->client);
}

int64_t netif_kick(struct netif *net) {
    struct net_kick_request request = {.session = net->session};
    struct net_kick_reply reply;
    if (net->shared == NULL || net->client.endpoint <= 0) return -EPIPE;
    return net_kick(&net->client, &request, &reply);
}

static void take_sent(struct netif *net) {
    uint32_t count = waiting(net, NET_SENT);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t buffer = pop(net, NET_SENT).buffer;
        if (buffer < NET_RING && net->free_count < NET_RING) net->free[net->free_count++] = (uint16_t)buffer;
    }
    if (count) consumed(net, NET_SENT);
}

int netif_get_buffer(struct netif *net, struct net_frame *f) {
    if (net->shared == NULL) return -EPIPE;
    if (net->free_count == 0) take_sent(net);
    if (net->free_count == 0) {
        int64_t error = netif_kick(net);
        if (error < 0) return (int)error;
        take_sent(net);
    }
    if (net->free_count == 0) return -EAGAIN;
    f->buffer = net->free[--net->free_count];
    f->data = net->shared->buffer[f->buffer] + NET_FRAME_OFFSET;
    return 0;
}

void netif_put_buffers(struct netif *net, const struct net_frame *frames, uint32_t count) {
    for (uint32_t i = 0; i < count && net->free_count < NET_RING; i++) net->free[net->free_count++] = (uint16_t)frames[i].buffer;
}

int64_t netif_send_batch(struct netif *net, const struct net_frame *frames, uint32_t count) {
    if (net->shared == NULL) return -EPIPE;
    for (uint32_t i = 0; i < count; i++)
        if (frames[i].length < NET_FRAME_MIN || frames[i].length > NET_FRAME_MAX) return -EINVAL;
    for (uint32_t i = 0; i < count; i++) push(net, NET_SEND, frames[i].buffer, frames[i].length);
    publish(net, NET_SEND);
    int64_t error = netif_kick(net);
    return error < 0 ? error : count;
}

// Entries that make no sense are skipped: their buffers are lost, which only the driver's own mistakes cost.
static uint32_t take_received(struct netif *net, struct net_frame *frames, uint32_t count) {
    uint32_t ready = waiting(net, NET_RECEIVED), n = 0, seen = 0;
    for (; seen < ready && n < count; seen++) {
        struct net_entry e = pop(net, NET_RECEIVED);
        if (e.buffer >= NET_RING || e.length > NET_BUFFER_SIZE - NET_FRAME_OFFSET) continue;
        frames[n++] = (struct net_frame){net->shared->buffer[e.buffer] + NET_FRAME_OFFSET, e.length, e.buffer};
    }
    if (seen) consumed(net, NET_RECEIVED);
    return n;
}

int64_t netif_recv_batch(struct netif *net, struct net_frame *frames, uint32_t count, uint64_t timeout_ns) {
    struct net_wait_request request = {.session = net->session, .timeout_ns = timeout_ns};
    struct net_wait_reply reply;
    if (net->shared == NULL || net->client.endpoint <= 0) return -EPIPE;
    uint32_t n = take_received(net, frames, count);
    if (n > 0) return n;
    uint64_t hang = net->client.timeout_ns;
    net->client.timeout_ns = timeout_ns + (hang != 0 ? hang : CLIENT_TIMEOUT_DEFAULT);  // the driver keeps the time
    int64_t error = timeout_ns ? net_wait(&net->client, &request, &reply) : netif_kick(net);
    net->client.timeout_ns = hang;
    if (error < 0) return error;
    n = take_received(net, frames, count);
    return n ? (int64_t)n : -ETIMEDOUT;
}

void netif_release(struct netif *net, const struct net_frame *frames, uint32_t count) {
    if (net->shared == NULL) return;
    for (uint32_t i = 0; i < count; i++) push(net, NET_FILL, frames[i].buffer, 0);
    publish(net, NET_FILL);
}
