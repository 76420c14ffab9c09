// A network interface, from the side of who sends and receives: batches of frames in buffers shared with the driver.
//
//   struct net_frame f[64];
//   for (n = 0; n < 64 && netif_get_buffer(&net, &f[n]) == 0; n++) { fill f[n].data; f[n].length = ...; }
//   netif_send_batch(&net, f, n);
//   n = netif_recv_batch(&net, f, 64, deadline);  ... use f[i].data ...;  netif_release(&net, f, n);
//
// Nothing is copied. One thread at a time per struct netif. When the driver is lost a call returns -EPIPE, once: buffers and
// frames got before are gone (their memory stays readable until netif_open), and netif_open connects again.
#pragma once
#include "user/libkpio/client.h"
#include "user/libkpio/net_ring.h"

struct net_frame {
    uint8_t *data;
    uint32_t length;   // bytes, NET_FRAME_MIN to NET_FRAME_MAX
    uint32_t buffer;
};

struct netif {
    struct client client;
    struct net_shared *shared;
    kpio_handle memory;
    uint32_t session;
    uint8_t mac[6];
    uint32_t head[4], tail[4];      // of the rings, as this side counts
    uint32_t free_count;
    uint16_t free[NET_RING];        // buffers at hand
};

// Connects to the service of that name (NULL: to the endpoint in net->client). The first time *net is zeroed.
// 0 or a negative errno. Half of the buffers are given to the device for frames to come.
[[nodiscard]] int netif_open(struct netif *net, const char *name);
void netif_close(struct netif *net);
// A buffer to write a frame into: NET_FRAME_MAX bytes at f->data. 0; -EAGAIN when all are on their way; -EPIPE.
[[nodiscard]] int netif_get_buffer(struct netif *net, struct net_frame *f);
// Gives back buffers that were got and not sent.
void netif_put_buffers(struct netif *net, const struct net_frame *frames, uint32_t count);
// Sends frames, one doorbell for all: how many (all of them), or -EPIPE, -EBUSY (another client opened the interface),
// -EINVAL (a length: none was sent).
[[nodiscard]] int64_t netif_send_batch(struct netif *net, const struct net_frame *frames, uint32_t count);
// Takes up to count frames, waiting for the first: how many, -ETIMEDOUT, -EPIPE, -EBUSY. timeout 0: does not wait.
[[nodiscard]] int64_t netif_recv_batch(struct netif *net, struct net_frame *frames, uint32_t count, uint64_t timeout_ns);
// Gives the buffers of received frames back, to be filled again; the device learns of them with the next doorbell.
void netif_release(struct netif *net, const struct net_frame *frames, uint32_t count);
// Rings the doorbell for what was released.
[[nodiscard]] int64_t netif_kick(struct netif *net);
