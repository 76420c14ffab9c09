// What the buffer cache finds below it in a host test: the host's memory, no thread, no reclaimer.
#include "kernel/block/buffer.h"

#include <stdlib.h>

#define weak __attribute__((weak))

weak void *buffer_memory_alloc(uint32_t bytes)
{
    return aligned_alloc(bytes < PAGE_SIZE ? bytes : PAGE_SIZE, bytes);
}
weak void buffer_memory_free(void *memory, uint32_t bytes) { (void)bytes, free(memory); }
weak void buffer_kernel_start(void) {}
