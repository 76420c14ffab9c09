#include "user/libkpio/wait.h"

#include <stdbool.h>

// A port that nobody waits at just now, or 0: making one for each wait would cost more than the wait.
static kpio_handle idle_port;

static int64_t port_take(void) {
    kpio_handle port = __atomic_exchange_n(&idle_port, 0, __ATOMIC_ACQUIRE);
    return port != 0 ? port : kpio_port_create();
}

static void port_give(kpio_handle port) {
    kpio_handle none = 0;
    if (!__atomic_compare_exchange_n(&idle_port, &none, port, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        (void)kpio_handle_close((uint64_t)port);
}

void wait_warm_up(void) {
    int64_t port = port_take();
    if (port > 0) port_give((kpio_handle)port);
}

void wait_forget(void) {
    kpio_handle port = __atomic_exchange_n(&idle_port, 0, __ATOMIC_ACQUIRE);
    if (port != 0) (void)kpio_handle_close((uint64_t)port);
}

int wait_signal(kpio_handle object, uint32_t signals, uint64_t deadline, struct kpio_port_packet *packet) {
    struct kpio_port_packet taken = {0};
    int64_t port = port_take();
    if (port < 0) return (int)port;
    int64_t result = kpio_port_bind((kpio_handle)port, object, signals, 0, 0);
    if (result == 0) {
        result = kpio_port_wait((kpio_handle)port, &taken, 1, deadline);
        // Gone already where the object is; what it left behind must not reach the next to wait here.
        if (kpio_port_unbind((kpio_handle)port, object, 0) < 0) (void)kpio_handle_close((uint64_t)port);
        else port_give((kpio_handle)port);
    } else {
        port_give((kpio_handle)port);
    }
    if (result < 0) return (int)result;
    if (packet != NULL) *packet = taken;
    return 0;
}

int wait_terminated(kpio_handle object, uint64_t deadline, int64_t *status) {
    struct kpio_port_packet packet = {0};
    int error = wait_signal(object, KPIO_SIGNAL_TERMINATED, deadline, &packet);
    if (error == 0 && status != NULL) *status = (int32_t)packet.value;  // a process has 32 bits of status
    return error;
}

void time_sleep_ms(uint64_t ms) {
    uint32_t word = 0;
    (void)kpio_futex_wait((uint64_t)&word, 0, UINT32_MAX, time_after_ms(ms), 0);
}
