// Weak like kernel_host.c: a test may define its own.
#include "tests/unit/machine_host.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/spinlock.h"
#include "tests/unit/kernel_host.h"

#define weak __attribute__((weak))
#define ALIGNMENT (1ul << 30)

weak struct boot_info boot_info;
weak uint64_t direct_map_base;

static void *mapping;
static size_t mapping_size;

void host_memory_init(uint64_t size) {
    if (mapping != NULL) munmap(mapping, mapping_size);
    mapping_size = size + ALIGNMENT;
    mapping = mmap(NULL, mapping_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    direct_map_base = ((uint64_t)mapping + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

void host_cpus_init(uint32_t count) {
    memset(cpus, 0, sizeof(cpus));
    cpu_count = count;
    for (uint32_t i = count; i-- > 0;) unit_become_cpu(i);
}

// ---- calls between CPUs -----------------------------------------------------------------------------------------------

static struct {
    void (*fn)(void *arg);  // NULL: nothing to do
    void *arg;
    uint64_t pending;
} request;
static pthread_mutex_t request_lock = PTHREAD_MUTEX_INITIALIZER;
static bool threads_run;
static uint32_t threads_done;

void host_cpu_poll(void) {
    uint64_t mine = 1ul << cpu_id();

    if ((__atomic_load_n(&request.pending, __ATOMIC_ACQUIRE) & mine) == 0) return;
    request.fn(request.arg);
    __atomic_fetch_and(&request.pending, ~mine, __ATOMIC_ACQ_REL);
}

weak void cpu_relax(void) {
    host_cpu_poll();
    sched_yield();
}

static void call_as_others(uint64_t mask, void (*fn)(void *arg), void *arg) {
    uint32_t self = cpu_id();

    for (uint32_t i = 0; i < cpu_count; i++) {
        if (i == self || (mask >> i & 1) == 0) continue;
        unit_become_cpu(i);
        fn(arg);
    }
    unit_become_cpu(self);
}

weak void arch_call_cpus(uint64_t mask, void (*fn)(void *arg), void *arg) {
    if (!threads_run) {
        call_as_others(mask, fn, arg);
        return;
    }
    while (pthread_mutex_trylock(&request_lock) != 0) cpu_relax();
    request.fn = fn;
    request.arg = arg;
    __atomic_store_n(&request.pending, mask & ~(1ul << cpu_id()), __ATOMIC_RELEASE);
    while (__atomic_load_n(&request.pending, __ATOMIC_ACQUIRE) != 0) sched_yield();
    pthread_mutex_unlock(&request_lock);
}

struct thread_start {
    void (*fn)(uint32_t id);
    uint32_t id;
};

static void *thread_main(void *arg) {
    struct thread_start *start = arg;

    unit_become_cpu(start->id);
    start->fn(start->id);
    __atomic_fetch_add(&threads_done, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&threads_done, __ATOMIC_ACQUIRE) < cpu_count) cpu_relax();
    return NULL;
}

void host_cpus_run(void (*fn)(uint32_t id)) {
    pthread_t threads[CONFIG_MAX_CPUS];
    struct thread_start starts[CONFIG_MAX_CPUS];

    threads_done = 0;
    threads_run = true;
    for (uint32_t i = 0; i < cpu_count; i++) {
        starts[i] = (struct thread_start){fn, i};
        if (pthread_create(&threads[i], NULL, thread_main, &starts[i]) != 0) exit(1);
    }
    for (uint32_t i = 0; i < cpu_count; i++) pthread_join(threads[i], NULL);
    threads_run = false;
}

weak void spin_lock_wait(struct spinlock *lock) {
    while (!spin_take(lock)) cpu_relax();
}

weak bool arch_rdrand(uint64_t *out) {
    *out = 0x123456789abcdef0;
    return true;
}

uint64_t host_random(struct host_random *random) {
    uint64_t value = random->state += 0x9e3779b97f4a7c15u;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

uint64_t host_random_below(struct host_random *random, uint64_t bound) {
    return host_random(random) % bound;
}
