// The driver of virtio's entropy device, and the example to copy: open, negotiate, one queue, serve a protocol.
//
// A request is answered in the order of its arrival: the device fills a page, the bytes are copied into the reply. When
// anything about the device is odd the driver ends; init resets the device and starts a new driver, and clients, whose
// messages are marked `retry` in protocols/rng.def, do not notice.
//
// Settings: patience_ms=N  for the device, before it counts as odd.
//           hang_after=N   for tests: stops answering after N requests, as a driver with a bug would.
#include "drivers/virtio.h"
#include "lib/string.h"
#include "protocols/gen/rng.h"
#include "user/libkpio/kpio.h"

#define PAGE 4096
#define DEVICE_PATIENCE_MS 1000
#define STATE_VERSION 1

struct state {  // handed to the next version
    uint64_t version, requests, bytes;
};

static struct {
    struct virtio device;
    struct virtq queue;
    uint8_t *page;            // where the device writes
    uint64_t page_address;    // the same, as the device sees it
    struct state state;
    uint64_t served, hang_after;  // since its start
    uint64_t patience_ms;
} rng;

// The device writes up to `size` bytes into the page: how many, or a negative errno.
static int64_t fill(uint32_t size) {
    struct virtq_buffer buffer = {rng.page_address, size, true};
    uint64_t deadline = time_after_ms(rng.patience_ms);
    uint32_t cookie, written;
    int error = virtq_add(&rng.queue, &buffer, 1, 0);
    if (error) return error;
    if (virtq_publish(&rng.queue)) virtio_notify(&rng.device, 0);
    for (;;) {
        int taken = virtq_take(&rng.queue, &cookie, &written);
        if (taken < 0) return taken;
        if (taken) return written;
        if (time_now() >= deadline) return -ETIMEDOUT;
        int64_t fired = kpio_irq_wait(rng.device.irq, deadline);
        if (fired < 0 && fired != -ETIMEDOUT && fired != -EINTR) return fired;
        if (rng.device.transport->interrupt_ack) rng.device.transport->interrupt_ack(&rng.device);
    }
}

static int64_t serve_read(void *context, uint64_t badge, const struct rng_read_request *request,
                          struct rng_read_reply *reply) {
    uint32_t size = request->size, done = 0;
    if (size == 0 || size > sizeof(reply->data)) return -EINVAL;
    while (done < size) {
        int64_t got = fill(size - done);
        if (got <= 0) {
            print("rng: the device failed: %s\n", error_name(got));
            process_exit(1);  // a page that it may still write to is safe only after a reset
        }
        memcpy(reply->data + done, rng.page, (size_t)got);
        done += (uint32_t)got;
    }
    reply->data_size = size;
    rng.state.requests++;
    rng.state.bytes += size;
    rng.served++;
    while (rng.hang_after && rng.served >= rng.hang_after) time_sleep_ms(1000);
    return 0;
}

static int64_t serve_stats(void *context, uint64_t badge, const struct rng_stats_request *request,
                           struct rng_stats_reply *reply) {
    reply->requests = rng.state.requests;
    reply->bytes = rng.state.bytes;
    return 0;
}

static const struct rng_server server = {.read = serve_read, .stats = serve_stats};

static uint64_t dispatch(void *context, uint64_t header, uint64_t badge) {
    return rng_dispatch(&server, context, header, badge);
}

static kpio_handle retire(void *context) {
    int64_t vmo = kpio_vmo_create(PAGE, 0);
    if (vmo > 0 && kpio_vmo_write((kpio_handle)vmo, 0, &rng.state, sizeof(rng.state)) > 0) return (kpio_handle)vmo;
    return KPIO_HANDLE_NONE;
}

static void state_take(void) {
    struct state old;
    kpio_handle vmo = startup_handle("state");
    if (vmo <= 0 || kpio_vmo_read(vmo, 0, &old, sizeof(old)) != sizeof(old)) return;
    if (old.version == STATE_VERSION) rng.state = old;
}

static int device_start(void) {
    uint64_t features;
    void *page;
    int error = virtio_open(&rng.device, VIRTIO_RNG);
    if (!error) error = virtio_negotiate(&rng.device, 0, &features);
    if (!error) error = virtio_queue(&rng.device, 0, 8, &rng.queue);
    if (error) return error;
    int64_t memory = virtio_memory(&rng.device, PAGE, &page, &rng.page_address);
    if (memory < 0) return (int)memory;
    rng.page = page;
    virtio_start(&rng.device);
    return 0;
}

int main(int argc, char **argv) {
    const struct service service = {.dispatch = dispatch, .retire = retire};
    rng.state.version = STATE_VERSION;
    rng.hang_after = startup_number("hang_after", 0);
    rng.patience_ms = startup_number("patience_ms", DEVICE_PATIENCE_MS);
    state_take();
    int error = device_start();
    if (error) {
        print("rng: no device: %s\n", error_name(error));
        return 1;
    }
    return service_run(&service) == 0 ? 0 : 1;
}
