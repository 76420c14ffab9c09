// Drivers under test: the programs of /drv with a device of this machine, started and killed by the suite instead of init.
// The suite answers what they ask of init. Functions return 0 or a negative errno, and need nothing of the framework:
// benchmarks use them too.
#pragma once
#include "tests/guest/kt/kt.h"

struct kt_driver {
    const char *program;       // "/drv/virtio_rng"
    uint32_t device;           // PCI ids: vendor | device << 16
    unsigned nth;              // which of the machine's devices with that id, from 0
    const char *const *settings;
    kpio_handle process;       // 0: does not run
    kpio_handle endpoint;      // to call it
    kpio_handle state;         // given to the next one, or 0
};

// The PCI address of the device, or -ENODEV.
int64_t kt_device_find(uint32_t device, unsigned nth);
// On PCI, or a virtio device with memory-mapped registers.
bool kt_device_exists(uint32_t device, unsigned nth);
// Skips the case when the machine lacks it.
static inline void kt_device_need(uint32_t device, unsigned nth) {
    if (!kt_device_exists(device, nth)) kt_skip("this machine has no such device");
}

// Opens it for a driver: how many of `grants` that is, or a negative errno.
[[nodiscard]] int64_t kt_device_open(uint32_t device, unsigned nth, struct process_grant grants[2]);

// Before the first start: a thread that plays init. Ends with kt_init_stop.
[[nodiscard]] int64_t kt_init_start(void);
[[nodiscard]] int64_t kt_init_stop(void);
// For services that the suite starts by itself: whom they ask, how often one was ready so far, and a wait for one more.
kpio_handle kt_init_endpoint(void);
uint32_t kt_init_readies(void);
[[nodiscard]] int64_t kt_init_wait(uint32_t before);

// For drivers of file systems: the channel of which they get their end, how many of them began it anew, and what they had kept last,
// the caller's now, or 0.
void kt_init_mount(kpio_handle channel);
uint32_t kt_init_fresh(void);
kpio_handle kt_init_kept(void);

// Starts it and waits until it takes calls.
[[nodiscard]] int64_t kt_driver_start(struct kt_driver *driver);
// Kills it and waits until the process is gone.
[[nodiscard]] int64_t kt_driver_kill(struct kt_driver *driver);
// Asks it to hand its state over and end; the next start gets that.
[[nodiscard]] int64_t kt_driver_retire(struct kt_driver *driver);
