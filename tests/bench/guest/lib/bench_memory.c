// Memory: page faults, mappings, and the allocators inside the kernel.
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

#define FAULT_PAGES 256u
#define PAGE 4096u

struct region {
    kpio_handle vmo;
    uint64_t address;
};

static void region_make(void *arg) {
    struct region *r = arg;
    r->vmo = (kpio_handle)bench_check("page_fault_anon", kpio_vmo_create(FAULT_PAGES * PAGE, 0));
    r->address = (uint64_t)bench_check("page_fault_anon",
                                       kpio_aspace_map(startup_handle("aspace"), r->vmo, 0, FAULT_PAGES * PAGE,
                                                       KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
}

static void region_touch(void *arg, uint32_t batch) {
    volatile char *at = (volatile char *)((struct region *)arg)->address;
    for (uint32_t i = 0; i < batch; i++, at += PAGE) *at = 1;
}

static void region_drop(void *arg) {
    struct region *r = arg;
    (void)bench_check("page_fault_anon", kpio_aspace_unmap(startup_handle("aspace"), r->address, FAULT_PAGES * PAGE));
    (void)kpio_handle_close((uint64_t)r->vmo);
}

void bench_page_fault(void) {
    struct region region;
    bench_run(&(struct bench){.name = "page_fault_anon", .unit = "insns", .windows = 50, .batch = FAULT_PAGES,
                              .prepare = region_make, .operate = region_touch, .clean = region_drop,
                              .context = &region});
}

static void map_unmap(void *arg, uint32_t batch) {
    kpio_handle vmo = *(kpio_handle *)arg, aspace = startup_handle("aspace");
    for (uint32_t i = 0; i < batch; i++) {
        int64_t address = kpio_aspace_map(aspace, vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
        if (address < 0 || kpio_aspace_unmap(aspace, (uint64_t)address, PAGE) < 0)
            bench_fail("map_unmap", "map or unmap", address);
    }
}

void bench_map_unmap(void) {
    kpio_handle vmo = (kpio_handle)bench_check("map_unmap", kpio_vmo_create(PAGE, 0));
    bench_run(&(struct bench){.name = "map_unmap", .unit = "insns", .windows = 50, .batch = 64, .operate = map_unmap,
                              .context = &vmo});
    (void)kpio_handle_close((uint64_t)vmo);
}

static void map_unmap_anonymous(void *arg, uint32_t batch) {
    kpio_handle aspace = startup_handle("aspace");
    for (uint32_t i = 0; i < batch; i++) {
        int64_t address = kpio_aspace_map(aspace, 0, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_ANONYMOUS, 0);
        if (address < 0 || kpio_aspace_unmap(aspace, (uint64_t)address, PAGE) < 0)
            bench_fail("map_unmap_anon", "map or unmap", address);
    }
}

void bench_map_unmap_anonymous(void) {
    bench_run(&(struct bench){.name = "map_unmap_anon", .unit = "insns", .windows = 50, .batch = 64,
                              .operate = map_unmap_anonymous});
}

// The kernel times these itself: its loop of `rounds` operations is what is counted.
static void in_kernel(const char *name, uint32_t what) {
    enum { WINDOWS = 50, ROUNDS = 256 };
    uint64_t samples[WINDOWS];
    for (unsigned i = 0; i < WINDOWS; i++)
        samples[i] = ((uint64_t)bench_check(name, kpio_system_bench(startup_handle("system"), what, ROUNDS)) +
                      ROUNDS - 1) / ROUNDS;
    bench_print(name, "insns", samples, WINDOWS);
}

void bench_in_kernel(void) {
    in_kernel("slub_alloc_free", 0);
    in_kernel("page_alloc_free", 1);
}
