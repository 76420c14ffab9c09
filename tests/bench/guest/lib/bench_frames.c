// frames_batch_64: frames of 1,500 bytes sent through one card and received through another, which QEMU joins by a wire
// (Machine net="pair"); driver and client processes and the kernel between them are all counted. While both wait for the
// device a spinner of the idle class keeps the clock from jumping; what it runs is taken off.
#include "lib/string.h"
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"
#include "tests/guest/kt/driver.h"
#include "user/libkpio/netif.h"

#define NET (0x1af4u | 0x1041u << 16)
#define BATCH 64u
#define WINDOWS 32u
#define WARM_UP 4u
#define FRAME_LENGTH 1500u
#define PATIENCE_NS 1000000000ull

static struct kt_driver sender = {.program = "/drv/virtio_net", .device = NET, .nth = 0};
static struct kt_driver receiver = {.program = "/drv/virtio_net", .device = NET, .nth = 1};
static struct netif from, to;
static volatile uint64_t spins;
static volatile bool spinner_stop;

#define SPIN_INSTRUCTIONS 128u  // a turn of the loop below
static int64_t spinner_main(void *arg) {
    __asm__ volatile("1: incq %0\n\t.rept 125\n\tnop\n\t.endr\n\tcmpb $0, %1\n\tje 1b" : "+m"(spins) : "m"(spinner_stop) : "cc");
    return 0;
}

static void batch_send(void) {
    struct net_frame frames[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        (void)bench_check("get_buffer", netif_get_buffer(&from, &frames[i]));
        memcpy(frames[i].data, to.mac, 6);
        memcpy(frames[i].data + 6, from.mac, 6);
        frames[i].length = FRAME_LENGTH;
    }
    (void)bench_check("send_batch", netif_send_batch(&from, frames, BATCH));
}

static void batch_receive(void) {
    struct net_frame frames[BATCH];
    for (uint32_t got = 0; got < BATCH;) {
        int64_t n = bench_check("recv_batch", netif_recv_batch(&to, frames, BATCH, PATIENCE_NS));
        netif_release(&to, frames, (uint32_t)n);
        got += (uint32_t)n;
    }
}

static void measure(void) {
    uint64_t samples[WINDOWS];
    for (uint32_t i = 0; i < WARM_UP + WINDOWS; i++) {
        uint64_t idle = spins, start = bench_clock();
        batch_send();
        batch_receive();
        uint64_t took = bench_clock() - start - (spins - idle) * SPIN_INSTRUCTIONS;
        if (i >= WARM_UP) samples[i - WARM_UP] = (took + BATCH - 1) / BATCH;
    }
    bench_print("frames_batch_64", "insns", samples, WINDOWS);
}

void bench_frames(void) {
    static struct thread spinner;
    if (kt_device_find(NET, 1) < 0) return;  // a machine without a pair of cards
    (void)bench_check("frames: init", kt_init_start());
    (void)bench_check("frames: driver", kt_driver_start(&sender));
    (void)bench_check("frames: driver", kt_driver_start(&receiver));
    from.client.endpoint = sender.endpoint;
    to.client.endpoint = receiver.endpoint;
    (void)bench_check("frames: open", netif_open(&from, NULL));
    (void)bench_check("frames: open", netif_open(&to, NULL));
    (void)bench_check("frames: spinner", thread_spawn(&spinner, "spinner", spinner_main, NULL, NULL, 0));
    (void)bench_check("frames: spinner", kpio_thread_set_schedule(spinner.handle, KPIO_SCHED_IDLE, 0, 1));
    measure();
    spinner_stop = true;
    (void)bench_check("frames: spinner", thread_join(&spinner, NULL));
    from.client.endpoint = to.client.endpoint = KPIO_HANDLE_NONE;  // the drivers' own copies
    netif_close(&from);
    netif_close(&to);
    (void)bench_check("frames: end", kt_driver_kill(&sender));
    (void)bench_check("frames: end", kt_driver_kill(&receiver));
    (void)bench_check("frames: end", kt_init_stop());
}
