// What a host test may ask of the kernel's stand-ins in kernel_host.c.
#pragma once
#include <stdint.h>

// Makes the calling thread CPU `id` (its block behind %gs). The main thread is CPU 0 from the start.
void unit_become_cpu(uint32_t id);
