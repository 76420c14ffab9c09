// The WASM pool: accounts with limits, memories that are reserved before they are used.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define PAGE 4096ul
#define MIB (1ul << 20)
enum { CURRENT, PEAK, LIMIT, TOTAL, FREE, FIELDS };

static uint64_t field(kpio_handle pool, unsigned which) {
    uint64_t info[FIELDS] = {0};
    KT_EQUAL(kpio_wasm_pool_info(pool, info, FIELDS), FIELDS);
    return info[which];
}

// What a process that has ended held may come back a little later.
static void comes_to(kpio_handle pool, unsigned which, uint64_t value) {
    for (uint64_t until = kt_soon(); field(pool, which) != value && time_now() < until;) time_sleep_ms(1);
    KT_EQUAL(field(pool, which), value);
}

static kpio_handle open_pool(uint64_t limit) {
    kpio_handle pool = KT_HANDLE(kpio_wasm_pool_open(limit, (const uint8_t *)"test", 4));
    if (field(pool, TOTAL) < 4 * MIB) {
        kt_close(pool);
        kt_skip("this machine's WASM pool is smaller than 4 MiB");
    }
    return pool;
}

static volatile uint8_t *map(kpio_handle vmo, uint64_t size) {
    return (uint8_t *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, size, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
}
static void unmap(volatile void *at, uint64_t size) { KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, size), 0); }

KT_TEST(reserved_then_taken) {
    kpio_handle pool = open_pool(MIB);
    uint64_t free_before = field(pool, FREE);
    kpio_handle vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 16 * PAGE, 64 * PAGE));
    KT_EQUAL(field(pool, CURRENT), 0);
    KT_EQUAL(field(pool, FREE), free_before - 16 * PAGE);
    volatile uint8_t *at = map(vmo, 16 * PAGE);
    for (unsigned i = 0; i < 10; i++) {
        KT_EQUAL(at[i * PAGE], 0);
        at[i * PAGE] = 0xa5;
    }
    KT_EQUAL(field(pool, CURRENT), 10 * PAGE);
    KT_EQUAL(field(pool, FREE), free_before - 16 * PAGE);
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_DECOMMIT, 0, 4 * PAGE), 0);
    KT_EQUAL(field(pool, CURRENT), 6 * PAGE);
    KT_EQUAL(field(pool, PEAK), 10 * PAGE);
    KT_EQUAL(at[0], 0);  // again a page, and zero
    KT_EQUAL(at[4 * PAGE], 0xa5);
    unmap(at, 16 * PAGE);
    kt_close(vmo);
    KT_EQUAL(field(pool, CURRENT), 0);
    KT_EQUAL(field(pool, PEAK), 10 * PAGE);
    KT_EQUAL(field(pool, FREE), free_before);
    kt_close(pool);
}

KT_TEST(grows_up_to_its_maximum) {
    kpio_handle pool = open_pool(MIB), vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 0, 8 * PAGE));
    struct kpio_vmo_info info;
    KT_EQUAL(kpio_vmo_resize(vmo, 3 * PAGE), 0);
    KT_EQUAL(kpio_vmo_resize(vmo, 8 * PAGE), 0);
    KT_ERROR(kpio_vmo_resize(vmo, 9 * PAGE), EINVAL);
    KT_ERROR(kpio_vmo_resize(vmo, 4 * PAGE), EINVAL);  // a linear memory never shrinks
    KT_EQUAL(kpio_vmo_info(vmo, &info), 0);
    KT_EQUAL(info.size, 8 * PAGE);
    KT_CHECK(info.flags & KPIO_VMO_POOL);
    kt_close(vmo);
    kt_close(pool);
}

KT_TEST(limit_of_the_account) {
    kpio_handle pool = open_pool(16 * PAGE), vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 10 * PAGE, 100 * PAGE));
    uint64_t free_before = field(pool, FREE);
    KT_EQUAL(field(pool, LIMIT), 16 * PAGE);
    KT_ERROR(kpio_vmo_resize(vmo, 17 * PAGE), ENOMEM);
    KT_ERROR(kpio_wasm_pool_vmo(pool, 7 * PAGE, 7 * PAGE), ENOMEM);
    KT_EQUAL(field(pool, FREE), free_before);  // what failed changed nothing
    kpio_handle second = KT_HANDLE(kpio_wasm_pool_vmo(pool, 6 * PAGE, 6 * PAGE));
    KT_ERROR(kpio_vmo_resize(vmo, 11 * PAGE), ENOMEM);
    kt_close(second);
    KT_EQUAL(kpio_vmo_resize(vmo, 16 * PAGE), 0);
    volatile uint8_t *at = map(vmo, 16 * PAGE);
    for (unsigned i = 0; i < 16; i++) at[i * PAGE] = 1;  // all that was granted is there
    KT_EQUAL(field(pool, CURRENT), 16 * PAGE);
    unmap(at, 16 * PAGE);
    kt_close(vmo);
    kt_close(pool);
}

// The whole pool: a grow that cannot be backed fails at once, and what was granted before can be touched to the last byte.
KT_TEST(exhaustion_is_an_error_not_a_later_fault) {
    kpio_handle pool = open_pool(UINT64_MAX);
    uint64_t rest = field(pool, FREE);
    kpio_handle vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, rest - 8 * PAGE, UINT64_MAX >> 20)), other = open_pool(UINT64_MAX);
    KT_EQUAL(field(pool, FREE), 8 * PAGE);
    KT_ERROR(kpio_vmo_resize(vmo, rest + PAGE), ENOMEM);
    KT_ERROR(kpio_wasm_pool_vmo(other, 9 * PAGE, 9 * PAGE), ENOMEM);
    kpio_handle last = KT_HANDLE(kpio_wasm_pool_vmo(other, 8 * PAGE, 9 * PAGE));
    KT_ERROR(kpio_vmo_resize(last, 9 * PAGE), ENOMEM);
    volatile uint8_t *at = map(last, 8 * PAGE), *all = map(vmo, rest - 8 * PAGE);
    for (unsigned i = 0; i < 8; i++) at[i * PAGE] = 1;
    for (uint64_t i = 0; i < rest - 8 * PAGE; i += PAGE) {
        KT_EQUAL(all[i], 0);
        all[i] = 1;
    }
    KT_EQUAL(field(pool, CURRENT), rest - 8 * PAGE);
    unmap(at, 8 * PAGE);
    unmap(all, rest - 8 * PAGE);
    kt_close(last);
    kt_close(vmo);
    for (uint64_t until = kt_soon(); field(pool, FREE) != rest && time_now() < until;) time_sleep_ms(2);  // many pages
    KT_EQUAL(field(pool, FREE), rest);
    kt_close(other);
    kt_close(pool);
}

KT_TEST(arguments) {
    kpio_handle pool = open_pool(MIB), weak = KT_HANDLE(kpio_handle_dup(pool, KPIO_RIGHT_READ));
    uint64_t info[FIELDS] = {0}, none[1] = {7};
    KT_ERROR(kpio_wasm_pool_open(1, KT_UNMAPPED_ADDRESS, 4), EFAULT);
    KT_ERROR(kpio_wasm_pool_open(1, (const uint8_t *)"a name that is longer than any name", 35), EINVAL);
    KT_ERROR(kpio_wasm_pool_vmo(kt_system(), PAGE, PAGE), EWRONGTYPE);
    KT_ERROR(kpio_wasm_pool_vmo(weak, PAGE, PAGE), EACCES);
    KT_ERROR(kpio_wasm_pool_vmo(pool, 2 * PAGE, PAGE), EINVAL);
    KT_ERROR(kpio_wasm_pool_vmo(pool, PAGE, UINT64_MAX), EINVAL);
    KT_ERROR(kpio_wasm_pool_vmo(pool, UINT64_MAX, UINT64_MAX), EINVAL);
    KT_ERROR(kpio_wasm_pool_info(pool, KT_KERNEL_ADDRESS, FIELDS), EFAULT);
    KT_ERROR(kpio_wasm_pool_info(pool, KT_UNMAPPED_ADDRESS, FIELDS), EFAULT);
    KT_EQUAL(kpio_wasm_pool_info(weak, info, 1), FIELDS);
    KT_EQUAL(info[PEAK], 0);
    KT_EQUAL(kpio_wasm_pool_info(weak, none, 0), FIELDS);
    KT_EQUAL(none[0], 7);
    KT_EQUAL(kpio_wasm_pool_info(weak, info, UINT64_MAX), FIELDS);
    kpio_handle vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, PAGE, PAGE));
    KT_ERROR(kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, 0, PAGE), EINVAL);
    KT_ERROR(kpio_vmo_clone(vmo, KPIO_CLONE_OVERLAY, 0, PAGE), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_EXECUTE, 0), EACCES);
    kt_close(vmo);
    kt_close(weak);
    kt_close(pool);
}

// Whether an account of that name is listed, and what it tells.
static bool find_account(const char *name, struct kpio_wasm_account *out) {
    int64_t number = 0;
    while ((number = kpio_wasm_pool_list(kt_system(), (uint64_t)number, out)) > 0)
        if (strcmp(out->name, name) == 0) return true;
    KT_EQUAL(number, -ENOENT);
    return false;
}

KT_TEST(accounts_are_listed) {
    static const uint8_t name[] = "listed";
    struct kpio_wasm_account found;
    KT_CHECK(!find_account("listed", &found));
    kpio_handle pool = KT_HANDLE(kpio_wasm_pool_open(MIB, name, 6)), vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 3 * PAGE, 8 * PAGE));
    volatile uint8_t *at = map(vmo, 3 * PAGE);
    at[0] = at[PAGE] = 1;
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_DECOMMIT, 0, PAGE), 0);
    KT_CHECK(find_account("listed", &found));
    KT_EQUAL(found.current, PAGE);
    KT_EQUAL(found.peak, 2 * PAGE);
    KT_EQUAL(found.reserved, 3 * PAGE);
    KT_EQUAL(found.limit, MIB);
    KT_CHECK(found.process != 0);
    kt_close(pool);
    KT_CHECK(find_account("listed", &found));  // while its memory is there
    kt_close(vmo);
    unmap(at, 3 * PAGE);
    for (uint64_t until = kt_soon(); find_account("listed", &found) && time_now() < until;) time_sleep_ms(2);
    KT_CHECK(!find_account("listed", &found));
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_LOG));
    KT_ERROR(kpio_wasm_pool_list(weak, 0, &found), EACCES);
    KT_ERROR(kpio_wasm_pool_list(kt_system(), UINT64_MAX, &found), ENOENT);
    kt_close(weak);
}

static uint64_t pages_used(void) {
    struct kpio_job_info info;
    KT_EQUAL(kpio_job_info(kt_job(), &info), 0);
    return info.used.pages;
}

// What is reserved is paid for by the job, touched or not: its quota bounds it.
KT_TEST(reserving_is_charged) {
    struct kpio_job_info info;
    kpio_handle pool = open_pool(UINT64_MAX);
    uint64_t before = pages_used();
    kpio_handle vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 100 * PAGE, 1000 * PAGE));
    KT_CHECK(pages_used() >= before + 100);
    KT_EQUAL(kpio_job_info(kt_job(), &info), 0);
    struct kpio_job_limits limits = info.limit, tight = limits;
    tight.pages = info.used.pages + 50;
    KT_EQUAL(kpio_job_set_limits(kt_job(), &tight), 0);
    int64_t too_much = kpio_vmo_resize(vmo, 900 * PAGE), another = kpio_wasm_pool_vmo(pool, 900 * PAGE, 900 * PAGE);
    KT_EQUAL(kpio_job_set_limits(kt_job(), &limits), 0);
    KT_EQUAL(too_much, -ENOMEM);
    KT_EQUAL(another, -ENOMEM);
    KT_EQUAL(kpio_vmo_resize(vmo, 900 * PAGE), 0);
    kt_close(vmo);
    kt_close(pool);
}

KT_TEST(beyond_its_size_is_nothing) {
    kpio_handle pool = open_pool(MIB), vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 2 * PAGE, 8 * PAGE));
    volatile uint8_t *at = map(vmo, 1ul << 32);
    at[2 * PAGE - 1] = 7;
    KT_ERROR(kpio_job_create(kt_job(), (const struct kpio_job_limits *)(at + 2 * PAGE), (const uint8_t *)"x", 1), EFAULT);
    KT_EQUAL(kpio_vmo_resize(vmo, 3 * PAGE), 0);
    KT_EQUAL(at[2 * PAGE], 0);
    at[3 * PAGE - 1] = 8;
    KT_EQUAL(at[2 * PAGE - 1], 7);
    unmap(at, 1ul << 32);
    kt_close(vmo);
    kt_close(pool);
}

KT_TEST(the_memory_outlives_its_account) {
    kpio_handle pool = open_pool(MIB), vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 4 * PAGE, 8 * PAGE));
    kt_close(pool);
    volatile uint8_t *at = map(vmo, 4 * PAGE);
    at[3 * PAGE] = 1;
    KT_EQUAL(kpio_vmo_resize(vmo, 8 * PAGE), 0);
    unmap(at, 4 * PAGE);
    kt_close(vmo);
}

// ---- across processes ----------------------------------------------------------------------------------------------------

KT_CHILD(fills_its_memory) {
    kpio_handle self = startup_handle("aspace"), vmo = startup_handle("memory"), go_on = startup_handle("go_on");
    int64_t at = kpio_aspace_map(self, vmo, 0, 32 * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    for (unsigned i = 0; i < 32; i++) *(volatile uint8_t *)(at + (int64_t)(i * PAGE)) = 1;
    (void)kpio_event_signal(go_on, 0, 1);
    return kpio_event_wait(go_on, 2, 0, kt_soon());  // and is killed here
}

KT_TEST(one_account_in_many_processes) {
    enum { CHILDREN = 3 };
    kpio_handle pool = open_pool(2 * MIB), child[CHILDREN], go_on[CHILDREN];
    uint64_t free_before = field(pool, FREE);
    for (unsigned i = 0; i < CHILDREN; i++) {
        kpio_handle vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, 32 * PAGE, 32 * PAGE));
        go_on[i] = KT_HANDLE(kpio_event_create());
        struct process_grant grants[] = {{"memory", vmo, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
                                         {"go_on", go_on[i], KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
        child[i] = kt_spawn("fills_its_memory", grants, 2);
    }
    for (unsigned i = 0; i < CHILDREN; i++) KT_EQUAL(kpio_event_wait(go_on[i], 1, 0, kt_soon()), 1);
    KT_EQUAL(field(pool, CURRENT), CHILDREN * 32 * PAGE);
    for (unsigned i = 0; i < CHILDREN; i++) {
        KT_EQUAL(kpio_process_kill(child[i], 5), 0);
        KT_EQUAL(kt_wait(child[i]), 5);
        kt_close(go_on[i]);
        comes_to(pool, CURRENT, (CHILDREN - 1 - i) * 32 * PAGE);
    }
    comes_to(pool, FREE, free_before);
    kt_close(pool);
}

// ---- threads at one memory -------------------------------------------------------------------------------------------------

#define RACED_PAGES 96ul
static volatile uint8_t *raced;
static volatile bool stop;

static int64_t touch_all(void *arg) {
    for (uint64_t i = 0; !stop; i++) raced[i * 37 % RACED_PAGES * PAGE] = 1;
    return 0;
}

// Pages go and come at the same places: at no time are there more of them than were reserved, which the kernel checks.
KT_TEST(decommit_against_faults) {
    enum { THREADS = 2 };
    static struct thread threads[THREADS];
    kpio_handle pool = open_pool(RACED_PAGES * PAGE), vmo = KT_HANDLE(kpio_wasm_pool_vmo(pool, RACED_PAGES * PAGE, MIB));
    raced = map(vmo, RACED_PAGES * PAGE);
    stop = false;
    for (unsigned i = 0; i < THREADS; i++) KT_EQUAL(thread_spawn(&threads[i], "touch", touch_all, NULL, NULL, 0), 0);
    uint64_t end = time_after_ms(kt_long() ? 60000 : 2000);
    for (unsigned i = 0; time_now() < end; i++) {
        while (field(pool, CURRENT) < RACED_PAGES * PAGE) (void)kpio_thread_yield();
        KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_DECOMMIT, i % 3 * PAGE, (RACED_PAGES - i % 3) * PAGE), 0);
    }
    stop = true;
    for (unsigned i = 0; i < THREADS; i++) KT_EQUAL(thread_join(&threads[i], NULL), 0);
    unmap(raced, RACED_PAGES * PAGE);
    kt_close(vmo);
    kt_close(pool);
}
