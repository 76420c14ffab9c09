// Address spaces: mappings, protection, and that nothing else changes them.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define PAGE 4096u
#define READ_WRITE (KPIO_MAP_READ | KPIO_MAP_WRITE)

static uint64_t map(kpio_handle vmo, uint64_t size, uint32_t flags) {
    return (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, size, flags, 0));
}
static void unmap(uint64_t address, uint64_t size) { KT_EQUAL(kpio_aspace_unmap(kt_aspace(), address, size), 0); }

KT_TEST(mapping_shows_the_vmo) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(2 * PAGE, 0));
    char *at = (char *)map(vmo, 2 * PAGE, READ_WRITE), text[6] = "";
    KT_EQUAL(at[PAGE], 0);
    memcpy(at + PAGE - 2, "hello", 5);
    KT_EQUAL(kpio_vmo_read(vmo, PAGE - 2, text, 5), 5);
    KT_EQUAL(memcmp(text, "hello", 5), 0);
    KT_EQUAL(kpio_vmo_write(vmo, 10, "kernel", 6), 6);
    KT_EQUAL(memcmp(at + 10, "kernel", 6), 0);
    unmap((uint64_t)at, 2 * PAGE);
    kt_close(vmo);
}

KT_TEST(two_mappings_agree) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    volatile char *a = (char *)map(vmo, PAGE, READ_WRITE), *b = (char *)map(vmo, PAGE, KPIO_MAP_READ);
    KT_CHECK(a != b);
    *a = 42;
    KT_EQUAL(*b, 42);
    unmap((uint64_t)a, PAGE);
    unmap((uint64_t)b, PAGE);
    kt_close(vmo);
}

KT_TEST(mapping_outlives_the_handle) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    volatile char *at = (char *)map(vmo, PAGE, READ_WRITE);
    kt_close(vmo);
    *at = 1;
    KT_EQUAL(*at, 1);
    unmap((uint64_t)at, PAGE);
}

KT_TEST(map_arguments) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(2 * PAGE, 0));
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, 0, READ_WRITE, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 1, PAGE, READ_WRITE, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE + 1, READ_WRITE, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, 1u << 30, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, READ_WRITE | KPIO_MAP_FIXED, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, READ_WRITE | KPIO_MAP_FIXED, 0xffff800000000000ull), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, READ_WRITE | KPIO_MAP_FIXED, 0x7ffffffff000ull), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_job(), vmo, 0, PAGE, READ_WRITE, 0), EWRONGTYPE);
    KT_ERROR(kpio_aspace_unmap(kt_aspace(), 1, PAGE), EINVAL);
    KT_ERROR(kpio_aspace_unmap(kt_aspace(), 0x10000, UINT64_MAX & ~0xfffull), EINVAL);
    kt_close(vmo);
}

KT_TEST(rights_bound_the_protection) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(vmo, KPIO_RIGHT_READ | KPIO_RIGHT_MAP));
    KT_ERROR(kpio_aspace_map(kt_aspace(), reader, 0, PAGE, READ_WRITE, 0), EACCES);
    uint64_t at = map(reader, PAGE, KPIO_MAP_READ);
    int64_t result = kpio_aspace_protect(kt_aspace(), at, PAGE, READ_WRITE);
    KT_CHECK(result == -EPERM || result == -EACCES);
    unmap(at, PAGE);
    kt_close(reader);
    kt_close(vmo);
}

KT_TEST(anonymous_memory_is_not_executable) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    int64_t result = kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_EXECUTE, 0);
    KT_CHECK(result == -EACCES || result == -EPERM);
    kt_close(vmo);
}

// ---- faults, seen through an exception handler --------------------------------------------------------------------------
static char exception_stack[32768] __attribute__((aligned(64)));
static volatile uint64_t fault_address, fault_kind;
static struct probe {
    uint64_t resume;
} probe;

static bool on_fault(struct kpio_exception_frame *frame, void *context) {
    fault_address = frame->address;
    fault_kind = frame->kind;
    frame->rip = probe.resume;
    return true;
}

// Touches a byte; whether that faulted.
static bool faults(volatile char *at, bool write) {
    fault_address = fault_kind = 0;
    KT_EQUAL(exception_set(on_fault, NULL, exception_stack, sizeof(exception_stack)), 0);
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\ttestb %2, %2\n\tjz 2f\n\tmovb $1, (%1)\n\tjmp 1f\n"
                     "2:\tmovb (%1), %%al\n1:"
                     : "=m"(probe.resume) : "r"(at), "q"((char)write) : "rax", "memory", "cc");
    KT_EQUAL(exception_set(NULL, NULL, NULL, 0), 0);
    if (fault_kind != 0) KT_EQUAL(fault_address, (uint64_t)at);
    return fault_kind != 0;
}

KT_TEST(unmapped_memory_is_gone) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(3 * PAGE, 0));
    char *at = (char *)map(vmo, 3 * PAGE, READ_WRITE);
    KT_CHECK(!faults(at + PAGE, true));
    unmap((uint64_t)at + PAGE, PAGE);  // a hole in the middle
    KT_CHECK(!faults(at, true) && !faults(at + 2 * PAGE, true));
    KT_CHECK(faults(at + PAGE, false));
    KT_EQUAL(fault_kind, 14);
    unmap((uint64_t)at, 3 * PAGE);
    kt_close(vmo);
}

KT_TEST(protect_changes_access) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(2 * PAGE, 0));
    char *at = (char *)map(vmo, 2 * PAGE, READ_WRITE);
    KT_CHECK(!faults(at, true));
    KT_EQUAL(kpio_aspace_protect(kt_aspace(), (uint64_t)at, PAGE, KPIO_MAP_READ), 0);
    KT_CHECK(faults(at, true) && !faults(at, false) && !faults(at + PAGE, true));
    KT_EQUAL(kpio_aspace_protect(kt_aspace(), (uint64_t)at, PAGE, 0), 0);
    KT_CHECK(faults(at, false));
    KT_EQUAL(kpio_aspace_protect(kt_aspace(), (uint64_t)at, PAGE, READ_WRITE), 0);
    KT_CHECK(!faults(at, true));
    unmap((uint64_t)at, 2 * PAGE);
    kt_close(vmo);
}

KT_TEST(revoking_takes_the_mapping) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    kpio_handle copy = KT_HANDLE(kpio_handle_dup(vmo, KPIO_RIGHTS_SAME));
    char *at = (char *)map(copy, PAGE, READ_WRITE);
    KT_CHECK(!faults(at, true));
    KT_OK(kpio_handle_revoke(vmo, 0));
    KT_CHECK(faults(at, false));
    unmap((uint64_t)at, PAGE);
    kt_close(vmo);
}

KT_TEST(reservations_cost_nothing) {
    const uint64_t size = 1ull << 42;  // 4 TiB
    struct kpio_system_info before, after;
    KT_EQUAL(kpio_system_info(kt_system(), &before), 0);
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), 0, 0, size, KPIO_MAP_RESERVE, 0));
    KT_EQUAL(kpio_system_info(kt_system(), &after), 0);
    KT_CHECK(before.memory_free < after.memory_free + 64 * PAGE);
    KT_CHECK(faults((char *)at + size / 2, false));
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, READ_WRITE | KPIO_MAP_FIXED_NOREPLACE, at + PAGE), EEXIST);
    KT_EQUAL(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, READ_WRITE | KPIO_MAP_FIXED, at + PAGE), at + PAGE);
    KT_CHECK(!faults((char *)at + PAGE, true));
    unmap(at, size);
    kt_close(vmo);
}

KT_TEST(private_mapping_keeps_its_writes) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    char byte = 0;
    KT_EQUAL(kpio_vmo_write(vmo, 0, "a", 1), 1);
    volatile char *at = (char *)map(vmo, PAGE, READ_WRITE | KPIO_MAP_PRIVATE);
    KT_EQUAL(*at, 'a');
    *at = 'b';
    KT_EQUAL(kpio_vmo_read(vmo, 0, &byte, 1), 1);
    KT_EQUAL(byte, 'a');
    KT_EQUAL(*at, 'b');
    unmap((uint64_t)at, PAGE);
    kt_close(vmo);
}

KT_TEST(query_tells_the_mapping) {
    uint64_t info[6] = {0};
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(4 * PAGE, 0));
    uint64_t at = map(vmo, 4 * PAGE, READ_WRITE);
    KT_OK(kpio_aspace_query(kt_aspace(), at + PAGE, info, 6));
    KT_EQUAL(info[0], at);
    KT_EQUAL(info[1], 4 * PAGE);
    KT_ERROR(kpio_aspace_query(kt_aspace(), 0x7fffffffe000ull, info, 6), ENOENT);
    unmap(at, 4 * PAGE);
    kt_close(vmo);
}

KT_TEST(many_mappings_come_and_go) {
    enum { COUNT = 300 };
    static uint64_t at[COUNT];
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    for (unsigned i = 0; i < COUNT; i++) at[i] = map(vmo, PAGE, KPIO_MAP_READ | KPIO_MAP_POPULATE);
    for (unsigned i = 0; i < COUNT; i++) unmap(at[i * 7 % COUNT], PAGE);
    kt_close(vmo);
}

// A thread puts mappings in place of others, parts of which were written, while two more read there and ask for just these
// places: a hint is taken where there is room, and there never is.
enum { PLACE_PAGES = 24, ROUNDS = 100 };
static volatile uint8_t *place;
static volatile bool replacing;

static int64_t read_the_place(void *arg) {
    uint64_t sum = 0;
    for (uint64_t i = 0; replacing; i++) sum += place[i * 7 % PLACE_PAGES * PAGE];
    return (int64_t)(sum & 0xff);
}

static int64_t ask_for_the_place(void *arg) {
    kpio_handle vmo = *(const kpio_handle *)arg;
    for (uint64_t i = 0; replacing; i++) {
        uint64_t wanted = (uint64_t)place + i * 5 % PLACE_PAGES * PAGE;
        int64_t at = kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ, wanted);
        if (at < 0) return at;
        if ((uint64_t)at - (uint64_t)place < PLACE_PAGES * PAGE) return 1;
        if (kpio_aspace_unmap(kt_aspace(), (uint64_t)at, PAGE) != 0) return 2;
    }
    return 0;
}

KT_TEST(what_is_replaced_is_never_free) {
    struct thread reader, asker;
    int64_t result;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PLACE_PAGES * PAGE, 0)), other = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    place = (volatile uint8_t *)map(vmo, PLACE_PAGES * PAGE, READ_WRITE);
    replacing = true;
    KT_EQUAL(thread_spawn(&reader, "reader", read_the_place, NULL, NULL, 0), 0);
    KT_EQUAL(thread_spawn(&asker, "asker", ask_for_the_place, &other, NULL, 0), 0);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t first = i * 11 % PLACE_PAGES, count = 1 + i * 3 % (PLACE_PAGES - first);
        uint64_t at = (uint64_t)place + first * PAGE;
        KT_EQUAL(kpio_aspace_map(kt_aspace(), vmo, first * PAGE, count * PAGE, READ_WRITE | KPIO_MAP_FIXED, at), at);
        for (uint64_t page = first; page < first + count; page += 2) place[page * PAGE] = (uint8_t)i;
        KT_EQUAL(place[first * PAGE], (uint8_t)i);
    }
    replacing = false;
    KT_EQUAL(thread_join(&asker, &result), 0);
    KT_EQUAL(result, 0);
    KT_EQUAL(thread_join(&reader, &result), 0);
    unmap((uint64_t)place, PLACE_PAGES * PAGE);
    kt_close(other);
    kt_close(vmo);
}
