#include "user/libkpio/wait.h"

int wait_signal(kpio_handle object, uint32_t signals, uint64_t deadline, uint32_t *value) {
    struct kpio_wait_item item = {.handle = object, .signals = signals};
    int64_t found = kpio_handle_wait_many(&item, 1, deadline);
    if (found < 0) return (int)found;
    if (found == 0) return -ETIMEDOUT;
    if ((item.asserted & signals) == 0) return -EDESTROYED;
    if (value != NULL) *value = item.value;
    return 0;
}

int wait_terminated(kpio_handle object, uint64_t deadline, int64_t *status) {
    uint32_t value = 0;
    int error = wait_signal(object, KPIO_SIGNAL_TERMINATED, deadline, &value);
    if (error == 0 && status != NULL) *status = (int32_t)value;
    return error;
}

void time_sleep_ms(uint64_t ms) {
    uint32_t word = 0;
    (void)kpio_futex_wait((uint64_t)&word, 0, UINT32_MAX, time_after_ms(ms), 0);
}
