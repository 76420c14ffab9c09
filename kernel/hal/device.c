#include "kernel/hal/device.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/hal/dma.h"
#include "kernel/hal/irq.h"
#include "kernel/hal/mmio.h"
#include "lib/fmt.h"

#define OPEN_PATIENCE 60000000000ull

static struct {
    struct wait_queue queue;  // the reaper, asleep
    struct list devices;      // to be taken back; guarded by queue.lock
} reaper;
static uint64_t quarantined_pages;

void device_init(struct device *device, const char *name, const struct device_ops *ops) {
    device->ops = ops;
    fmt_print(device->name, sizeof device->name, "%s", name);
    wait_queue_init(&device->queue, "device");
    device->state = DEVICE_IDLE;
    list_init(&device->irqs);
    list_init(&device->dmas);
    list_init(&device->mmios);
}

uint64_t device_quarantined_pages(void) { return __atomic_load_n(&quarantined_pages, __ATOMIC_RELAXED); }

int device_open(struct device *device) {
    nanos_t deadline = arch_now() + OPEN_PATIENCE;
    for (;;) {
        spin_lock(&device->queue.lock);
        if (device->state != DEVICE_CLOSING) break;
        wait_queue_join_unlock(&device->queue, NULL, NULL);
        int64_t error = wait_block(deadline);
        if (error == -ETIMEDOUT) return -EBUSY;
        if (error < 0) return (int)error;
    }
    int error = device->state == DEVICE_IDLE ? 0 : device->state == DEVICE_BROKEN ? -ENODEV : -EBUSY;
    if (error == 0) device->state = DEVICE_OPEN;
    spin_unlock(&device->queue.lock);
    return error;
}

bool device_take(struct device *device) {
    spin_lock(&device->queue.lock);
    bool taken = device->state == DEVICE_IDLE || device->state == DEVICE_KERNEL;
    if (taken) device->state = DEVICE_KERNEL;
    spin_unlock(&device->queue.lock);
    return taken;
}

static void reaper_hand_over(struct device *device) {
    spin_lock(&reaper.queue.lock);
    list_push_back(&reaper.devices, &device->closing);
    wait_queue_wake_locked(&reaper.queue, 1, 0);
    spin_unlock(&reaper.queue.lock);
}

void device_close(struct device *device) {
    device->ops->stop(device);
    spin_lock(&device->queue.lock);
    bool with_reaper = device->state == DEVICE_RESETTING;
    verify(with_reaper || device->state == DEVICE_OPEN || device->state == DEVICE_BROKEN);
    if (device->state != DEVICE_BROKEN) device->state = DEVICE_CLOSING;
    wait_queue_wake_locked(&device->queue, UINT32_MAX, 0);
    spin_unlock(&device->queue.lock);
    if (!with_reaper) reaper_hand_over(device);
}

static void state_set(struct device *device, enum device_state state) {
    spin_lock(&device->queue.lock);
    device->state = (uint8_t)state;
    wait_queue_wake_locked(&device->queue, UINT32_MAX, 0);
    spin_unlock(&device->queue.lock);
}

static void quarantine(struct device *device, int error) {
    irq_abandon_all(device);
    uint64_t pages = dma_quarantine_all(device);
    uint64_t sum = __atomic_add_fetch(&quarantined_pages, pages, __ATOMIC_RELAXED);
    log_error("hal: %s cannot be reset (error %d): %lu pages of its DMA memory are set aside for good, %lu in all",
              device->name, -error, pages, sum);
}

// Steps 2 to 4 of the head of device.h.
static void take_back(struct device *device) {
    bool stopped = device->ops->stop(device);
    mmio_cut_all(device);
    if (device->state == DEVICE_BROKEN) return;  // a reset that the driver asked for has failed
    int error = device->ops->reset(device);
    if (!error && !stopped && !device->ops->stop(device)) error = -EIO;
    if (error) {
        quarantine(device, error);
        state_set(device, DEVICE_BROKEN);
        return;
    }
    irq_free_all(device);
    dma_release_all(device);
    state_set(device, DEVICE_IDLE);
}

// A reset that the driver asked for. Should the driver end meanwhile, the device is taken back right after.
static void reset_alive(struct device *device) {
    device->ops->stop(device);
    int error = device->ops->reset(device);
    if (error) quarantine(device, error);
    else dma_release_dead(device);

    spin_lock(&device->queue.lock);
    bool closed = device->state == DEVICE_CLOSING;
    if (!closed) device->state = error ? DEVICE_BROKEN : DEVICE_OPEN;
    device->reset_error = error;
    spin_unlock(&device->queue.lock);
    if (!closed && !error) irq_reprogram_all(device);
    if (closed) take_back(device);
    spin_lock(&device->queue.lock);
    wait_queue_wake_locked(&device->queue, UINT32_MAX, 0);
    spin_unlock(&device->queue.lock);
}

// The reaper does it, as the caller may be killed half-way through.
int device_reset(struct device *device) {
    spin_lock(&device->queue.lock);
    bool open = device->state == DEVICE_OPEN;
    if (open) device->state = DEVICE_RESETTING;
    device->reset_error = -EBUSY;
    spin_unlock(&device->queue.lock);
    if (!open) return -EBUSY;
    reaper_hand_over(device);
    for (;;) {
        spin_lock(&device->queue.lock);
        if (device->state != DEVICE_RESETTING) break;
        wait_queue_join_unlock(&device->queue, NULL, NULL);
        int64_t error = wait_block(TIME_NEVER);
        if (error < 0) return (int)error;
    }
    int error = device->reset_error;
    spin_unlock(&device->queue.lock);
    return error;
}

static void reaper_main(void *unused) {
    for (;;) {
        spin_lock(&reaper.queue.lock);
        struct device *device = list_pop_front_entry(&reaper.devices, struct device, closing);
        if (device == NULL) {
            wait_queue_join_unlock(&reaper.queue, NULL, NULL);
            (void)wait_block(TIME_NEVER);
            continue;
        }
        spin_unlock(&reaper.queue.lock);
        if (__atomic_load_n(&device->state, __ATOMIC_RELAXED) == DEVICE_RESETTING) reset_alive(device);
        else take_back(device);
    }
}

void device_init_reaper(void) {
    wait_queue_init(&reaper.queue, "reaper");
    list_init(&reaper.devices);
    if (sched_kthread_create("device-reaper", reaper_main, NULL) == NULL) panic("hal: no memory for the reaper");
}
