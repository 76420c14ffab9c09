// A machine for kernel code under test: physical memory, several CPUs, calls between them.
#pragma once
#include <stdint.h>

// Physical addresses [0, size) become memory (direct_map_base), zero-filled, backed where touched. Anew with each call.
void host_memory_init(uint64_t size);

// `count` CPUs with fresh blocks; the calling thread is CPU 0. unit_become_cpu plays another one.
void host_cpus_init(uint32_t count);

// fn(id) on every CPU at once, each a thread; returns when all are done. A CPU serves arch_call_cpus when it waits in
// cpu_relax, polls, or is done.
void host_cpus_run(void (*fn)(uint32_t id));
void host_cpu_poll(void);

// Pseudo-random numbers of a thread's own: the same sequence for the same start.
struct host_random {
    uint64_t state;
};
uint64_t host_random(struct host_random *random);
uint64_t host_random_below(struct host_random *random, uint64_t bound);
