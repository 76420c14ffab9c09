#include "user/libkpio/ipc.h"

kpio_handle message_handle_taken(uint32_t index, uint16_t kind) {
    const struct kpio_message_handle *taken = &thread_self()->handles[index];
    if (taken->handle <= 0) return KPIO_HANDLE_NONE;
    if (taken->kind == kind) return taken->handle;
    (void)kpio_handle_close((uint64_t)taken->handle);
    return KPIO_HANDLE_NONE;
}

uint64_t message_error(uint64_t header, uint32_t error) {
    for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES(header) && i < KPIO_MESSAGE_HANDLES_MAX; i++)
        if (thread_self()->handles[i].handle > 0) (void)kpio_handle_close((uint64_t)thread_self()->handles[i].handle);
    return KPIO_MESSAGE(error, 0, 0);
}
