// What calls do with much memory in one go. Beside what is checked here, tests/system/test_stretches.py looks at how long the kernel
// takes no interrupt meanwhile.
#include "lib/string.h"
#include "tests/guest/kt/fork.h"
#include "tests/guest/kt/kt.h"

#define PAGE 4096ul
#define MIB (1ul << 20)
#define LARGE (2 * MIB)
enum { READ_WRITE = KPIO_MAP_READ | KPIO_MAP_WRITE };

static volatile uint8_t *map(kpio_handle vmo, uint64_t size, uint32_t flags) {
    return (uint8_t *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, size, READ_WRITE | flags, 0));
}
static void unmap(volatile void *at, uint64_t size) { KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, size), 0); }

// A word of every `step` bytes is zero, and then not any more.
static void touch(volatile uint8_t *at, uint64_t size, uint64_t step) {
    for (uint64_t i = 0; i < size; i += step) {
        KT_EQUAL(at[i], 0);
        at[i] = (uint8_t)(i / step % 251 + 1);
    }
}
static void expect(const volatile uint8_t *at, uint64_t size, uint64_t step) {
    for (uint64_t i = 0; i < size; i += step) KT_EQUAL(at[i], i / step % 251 + 1);
}

KT_TEST(large_pages) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(4 * LARGE, KPIO_VMO_LARGE));
    volatile uint8_t *at = map(vmo, 4 * LARGE, 0);
    KT_EQUAL((uint64_t)at % LARGE, 0);
    touch(at, 2 * LARGE, 512);
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_COMMIT, 2 * LARGE, 2 * LARGE), 0);
    touch(at + 2 * LARGE, 2 * LARGE, PAGE);
    expect(at, 2 * LARGE, 512);
    kpio_handle copy = KT_HANDLE(kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, 0, 4 * LARGE));
    at[PAGE] = 77;
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_ZERO, LARGE, LARGE), 0);
    KT_EQUAL(at[LARGE], 0);
    kt_close(copy);
    unmap(at, 4 * LARGE);
    kt_close(vmo);
    at = map(0, 4 * LARGE, KPIO_MAP_ANONYMOUS | KPIO_MAP_POPULATE);
    touch(at, 4 * LARGE, PAGE);
    unmap(at, 4 * LARGE);
}

// More than idle CPUs keep zeroed.
KT_TEST(linear_memory) {
    uint64_t size = 96 * MIB, info[5];
    kpio_handle pool = KT_HANDLE(kpio_wasm_pool_open(UINT64_MAX, (const uint8_t *)"test", 4));
    KT_EQUAL(kpio_wasm_pool_info(pool, info, 5), 5);
    if (info[4] < 2 * size) {  // the first may be on its way back yet when the second is made
        kt_close(pool);
        kt_skip("this machine's WASM pool is smaller than 192 MiB");
    }
    for (unsigned round = 0; round < 2; round++) {
        kpio_handle vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, MIB, size));
        KT_EQUAL(kpio_vmo_resize(vmo, size), 0);
        volatile uint8_t *at = map(vmo, size, 0);
        touch(at, size, 2 * PAGE);
        if (round == 1) KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_DECOMMIT, LARGE, 16 * LARGE), 0);
        unmap(at, size);
        kt_close(vmo);
    }
    kt_close(pool);
}

// A page here and there, each in a page table of its own.
KT_TEST(sparse_memory) {
    uint64_t size = 512 * LARGE;
    for (unsigned round = 0; round < 3; round++) {
        volatile uint8_t *at = map(0, size, KPIO_MAP_ANONYMOUS);
        touch(at, size, LARGE);
        KT_EQUAL(kpio_aspace_protect(kt_aspace(), (uint64_t)at, size, KPIO_MAP_READ), 0);
        expect(at, size, LARGE);
        if (round == 1) KT_EQUAL(kpio_aspace_advise(kt_aspace(), (uint64_t)at, size, KPIO_ADVISE_DONTNEED), 0);
        if (round == 2) {
            at = (uint8_t *)KT_OK(kpio_aspace_move(kt_aspace(), (uint64_t)at, size, size + PAGE, KPIO_MOVE_MAYMOVE, 0));
            expect(at, size, LARGE);
        }
        unmap(at, size + (round == 2 ? PAGE : 0));
    }
}

static int64_t change(void *arg) {
    volatile uint8_t *at = arg;
    for (uint64_t i = 0; i < 8 * MIB; i += PAGE) at[i]++;
    return at[0];
}

KT_TEST(copies_and_ends) {
    volatile uint8_t *at = map(0, 16 * MIB, KPIO_MAP_ANONYMOUS);
    touch(at, 16 * MIB, PAGE);
    for (unsigned i = 0; i < 2; i++) {
        kpio_handle child = kt_fork(change, (void *)at);
        KT_EQUAL(kt_wait(child), 2);
    }
    expect(at, 16 * MIB, PAGE);
    for (uint64_t i = 0; i < 16 * MIB; i += 64 * PAGE) unmap(at + i, 64 * PAGE);
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(32 * MIB, KPIO_VMO_RESIZABLE));
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_COMMIT, 0, 32 * MIB), 0);
    KT_EQUAL(kpio_vmo_resize(vmo, 16 * MIB), 0);
    kt_close(vmo);
}
