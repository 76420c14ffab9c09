// Memory to exhaustion and back: every call that allocates says so, changes nothing, and works again afterwards.
#include "lib/util.h"
#include "tests/guest/kt/kt.h"

static const struct kpio_job_limits no_limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
static kpio_handle port, event, vmo, process, space;  // what the calls below need

static int64_t close_result(int64_t h) { return h < 0 ? h : kpio_handle_close((uint64_t)h); }

static int64_t try_vmo(void) { return close_result(kpio_vmo_create(4096, 0)); }
static int64_t try_contiguous(void) { return close_result(kpio_vmo_create(65536, KPIO_VMO_CONTIGUOUS)); }
static int64_t try_commit(void) {
    int64_t result = kpio_vmo_op(vmo, KPIO_VMO_OP_COMMIT, 0, 16 * 4096);
    return result < 0 ? result : kpio_vmo_op(vmo, KPIO_VMO_OP_DECOMMIT, 0, 16 * 4096);
}
static int64_t try_clone(void) { return close_result(kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, 0, 4096)); }
static int64_t try_map(void) {
    int64_t at = kpio_aspace_map(space, vmo, 0, 16 * 4096, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_POPULATE, 0);
    return at < 0 ? at : kpio_aspace_unmap(space, (uint64_t)at, 16 * 4096);
}
static int64_t try_anonymous(void) {
    uint32_t flags = KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_POPULATE | KPIO_MAP_ANONYMOUS;
    int64_t at = kpio_aspace_map(space, 0, 0, 16 * 4096, flags, 0);
    return at < 0 ? at : kpio_aspace_unmap(space, (uint64_t)at, 16 * 4096);
}
// Out of the middle: boundaries, a mapping, memory that can grow. Nothing is touched.
static int64_t try_move(void) {
    int64_t at = kpio_aspace_map(kt_aspace(), 0, 0, 8 * 4096, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_ANONYMOUS, 0);
    if (at < 0) return at;
    int64_t moved = kpio_aspace_move(kt_aspace(), (uint64_t)at + 4096, 4096, 4 * 4096, KPIO_MOVE_MAYMOVE, 0);
    if (moved >= 0) (void)kpio_aspace_unmap(kt_aspace(), (uint64_t)moved, 4 * 4096);
    int64_t result = kpio_aspace_unmap(kt_aspace(), (uint64_t)at, 8 * 4096);
    return moved < 0 ? moved : result;
}
static int64_t try_event(void) { return close_result(kpio_event_create()); }
static int64_t try_timer(void) { return close_result(kpio_timer_create()); }
static int64_t try_port(void) { return close_result(kpio_port_create()); }
static int64_t try_bind(void) {
    int64_t result = kpio_port_bind(port, event, 1, 9, 0);
    return result < 0 ? result : kpio_port_unbind(port, event, 9);
}
static int64_t try_post(void) {
    kpio_handle fresh = (kpio_handle)kpio_port_create();
    if (fresh < 0) return fresh;
    int64_t result = kpio_port_post(fresh, 1, 1);
    (void)kpio_handle_close((uint64_t)fresh);
    return result == -ENOSPC ? -ENOMEM : result;
}
static int64_t try_endpoint(void) { return close_result(kpio_endpoint_create()); }
static int64_t try_pipe(void) {
    kpio_handle other = 0;
    int64_t reader = kpio_pipe_create(0, 65536, &other);
    if (reader > 0) (void)kpio_handle_close((uint64_t)other);
    return close_result(reader);
}
static int64_t try_job(void) { return close_result(kpio_job_create(kt_job(), &no_limits, (const uint8_t *)"try", 3)); }
static int64_t try_process(void) {
    kpio_handle fresh = 0;
    int64_t made = kpio_process_create(kt_job(), 0, (const uint8_t *)"try", 3, &fresh);
    if (made > 0) (void)kpio_handle_close((uint64_t)fresh);
    return close_result(made);
}
static int64_t try_thread(void) { return close_result(kpio_thread_create(process, (const uint8_t *)"try", 3)); }
static int64_t try_dup(void) { return close_result(kpio_handle_dup(event, KPIO_RIGHTS_SAME)); }
static int64_t try_expire(void) {
    int64_t copy = kpio_handle_dup(event, KPIO_RIGHTS_SAME);
    if (copy < 0) return copy;
    int64_t result = kpio_handle_expire((kpio_handle)copy, time_after_ms(100000));
    (void)kpio_handle_close((uint64_t)copy);
    return result;
}

static const struct {
    const char *name;
    int64_t (*run)(void);
} tries[] = {
    {"vmo_create", try_vmo},      {"contiguous", try_contiguous}, {"commit", try_commit},     {"vmo_clone", try_clone},
    {"anonymous", try_anonymous}, {"aspace_move", try_move},
    {"aspace_map", try_map},      {"event_create", try_event},    {"timer_create", try_timer}, {"port_create", try_port},
    {"port_bind", try_bind},      {"port_post", try_post},        {"endpoint_create", try_endpoint}, {"pipe_create", try_pipe},
    {"job_create", try_job},      {"process_create", try_process}, {"thread_create", try_thread}, {"handle_dup", try_dup},
    {"handle_expire", try_expire},
};

static void make_needed(void) {
    port = KT_HANDLE(kpio_port_create());
    event = KT_HANDLE(kpio_event_create());
    vmo = KT_HANDLE(kpio_vmo_create(16 * 4096, 0));
    process = KT_HANDLE(kpio_process_create(kt_job(), 0, (const uint8_t *)"needed", 6, &space));
}

static void close_needed(void) {
    kt_close(port);
    kt_close(event);
    kt_close(vmo);
    kt_close(space);
    kt_close(process);
}

// What was taken comes back in steps.
static void all_work(void) {
    uint64_t hang = kt_soon();
    for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
        int64_t result;
        while (((result = tries[i].run()) == -ENOMEM || result == -ENFILE) && time_now() < hang) time_sleep_ms(5);
        if (result != 0) kt_fail(__FILE__, __LINE__, "%s: %s", tries[i].name, error_name(result));
    }
}

// ---- all the machine's memory --------------------------------------------------------------------------------------------

enum { GIVE_BACK = 1, GIVEN = 2, END = 4, FULL = 8 };

static kpio_handle hog_bits;

// Takes all memory there is, in ever smaller pieces; gives a piece back when asked to.
KT_CHILD(takes_all_memory) {
    static kpio_handle piece[4096];
    unsigned count = 0;
    kpio_handle bits = startup_handle("bits");
    (void)kpio_event_signal(bits, 0, 0);
    for (uint64_t pages = 1024; pages > 0 && count < ARRAY_SIZE(piece);) {
        int64_t fresh = kpio_vmo_create(pages * 4096, 0);
        if (fresh > 0 && kpio_vmo_op((kpio_handle)fresh, KPIO_VMO_OP_COMMIT, 0, pages * 4096) == 0) {
            piece[count++] = (kpio_handle)fresh;
            continue;
        }
        if (fresh > 0) (void)kpio_handle_close((uint64_t)fresh);
        pages /= 2;
    }
    (void)kpio_event_signal(bits, 0, FULL);
    for (;;) {
        int64_t asked = kpio_event_wait(bits, GIVE_BACK | END, 0, KPIO_TIME_NEVER);
        if (asked < 0 || asked & END) return 0;
        if (count > 0) (void)kpio_handle_close((uint64_t)piece[--count]);
        (void)kpio_event_signal(bits, GIVE_BACK, GIVEN);
    }
}

// A page of the suite's own that cannot be had: the hog gives some back.
static bool ask_for_some(struct kpio_exception_frame *frame, void *context) {
    if (frame->kind != KPIO_EXC_NO_MEMORY) return false;
    (void)kpio_event_signal(hog_bits, GIVEN, GIVE_BACK);
    (void)kpio_event_wait(hog_bits, GIVEN, 0, kt_soon());
    return true;
}

KT_TEST(all_memory_and_back) {
    static uint8_t stack[32768] __attribute__((aligned(64)));
    for (unsigned i = 0; i < sizeof(stack); i += 4096) ((volatile uint8_t *)stack)[i] = 1;
    make_needed();
    all_work();
    KT_EQUAL(exception_set(ask_for_some, NULL, stack, sizeof(stack)), 0);
    unsigned refused = 0, worked = 0;
    uint64_t hang = kt_soon();
    for (unsigned round = 0; round < (kt_long() ? 20u : 2u) || (refused == 0 && time_now() < hang); round++) {
        hog_bits = KT_HANDLE(kpio_event_create());
        struct process_grant grant = {"bits", hog_bits, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
        kpio_handle hog = kt_spawn("takes_all_memory", &grant, 1);
        KT_CHECK(kpio_event_wait(hog_bits, FULL, 0, kt_soon()) > 0);
        for (unsigned i = 0; i < 20 * ARRAY_SIZE(tries); i++) {
            unsigned which = i % ARRAY_SIZE(tries);
            int64_t result = tries[which].run();
            if (result == 0) worked++;
            else if (result == -ENOMEM || result == -ENFILE) refused++;
            else kt_fail(__FILE__, __LINE__, "%s without memory: %s", tries[which].name, error_name(result));
        }
        KT_CHECK(kpio_event_signal(hog_bits, 0, END) > 0);
        KT_EQUAL(kt_wait(hog), 0);
        kt_close(hog_bits);
        all_work();
    }
    KT_EQUAL(exception_set(NULL, NULL, NULL, 0), 0);
    close_needed();
    kt_note("%u calls refused, %u that found something", refused, worked);
    KT_CHECK(refused > 0);
}

// ---- a job's memory --------------------------------------------------------------------------------------------------------

// With each limit from nothing to enough, a call works or is refused; what the job uses is the same before and after.
KT_CHILD(tries_within_limits) {
    kpio_handle job = startup_handle("limited");
    struct kpio_job_info before, after;
    unsigned refused = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
        if (tries[i].run == try_job || tries[i].run == try_process || tries[i].run == try_thread || tries[i].run == try_map ||
            tries[i].run == try_anonymous || tries[i].run == try_bind || tries[i].run == try_dup || tries[i].run == try_expire)
            continue;  // these need what the suite's own process has
        if (i == 0) vmo = (kpio_handle)kpio_vmo_create(16 * 4096, 0);
        if (kpio_job_info(job, &before) != 0) return 1;
        struct kpio_job_limits limits = no_limits;
        for (uint64_t more = 0;; more += more < 4096 ? 64 : more) {
            limits.kernel_bytes = before.used.kernel_bytes + more;
            limits.pages = before.used.pages + more / 256;
            if (kpio_job_set_limits(job, &limits) != 0) return 2;
            int64_t result = tries[i].run();
            if (kpio_job_info(job, &after) != 0) return 3;
            if (result != 0 && result != -ENOMEM && result != -ENFILE) return result;
            if (after.used.handles != before.used.handles || after.used.pages > before.used.pages + 1) return 4;
            if (result == 0) break;
            refused++;
            if (more > 1 << 22) return 5;
        }
        limits = no_limits;
        if (kpio_job_set_limits(job, &limits) != 0) return 6;
    }
    return refused > 20 ? 0 : 7;
}

KT_TEST(each_limit_of_a_job) {
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &no_limits, (const uint8_t *)"limited", 7));
    struct process_grant grant = {"limited", job, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle child = kt_spawn_in(job, "tries_within_limits", &grant, 1);
    int64_t status = 0;
    KT_EQUAL(wait_terminated(child, kt_soon(), &status), 0);
    KT_EQUAL(status, 0);
    kt_close(child);
    kt_close(job);
}

// ---- memory on its way back ------------------------------------------------------------------------------------------------
// What dying processes held is there for whoever asks for it next, though not at once: calls and faults wait for it.

static unsigned refusals;  // faults that found no memory

static bool count_refusal(struct kpio_exception_frame *frame, void *context) {
    if (frame->kind != KPIO_EXC_NO_MEMORY) return false;
    refusals++;
    time_sleep_ms(1);
    return true;
}

enum { PIECE = 2 << 20 };

static int64_t touch_piece(void) {
    int64_t at = kpio_aspace_map(kt_aspace(), 0, 0, PIECE, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_ANONYMOUS, 0);
    if (at < 0) return at;
    for (uint64_t i = 0; i < PIECE; i += 4096) *(volatile uint8_t *)(at + (int64_t)i) = 1;
    int64_t result = kpio_aspace_unmap(kt_aspace(), (uint64_t)at, PIECE);
    return refusals > 0 ? -EFAULT : result;
}
static int64_t commit_piece(void) {
    int64_t fresh = kpio_vmo_create(PIECE, 0);
    int64_t result = fresh < 0 ? fresh : kpio_vmo_op((kpio_handle)fresh, KPIO_VMO_OP_COMMIT, 0, PIECE);
    if (fresh > 0) (void)kpio_handle_close((uint64_t)fresh);
    return result;
}
static int64_t write_piece(void) {
    static const uint8_t page[4096] = {1};
    int64_t fresh = kpio_vmo_create(PIECE, 0), result = fresh < 0 ? fresh : 4096;
    for (uint64_t i = 0; i < PIECE && result == 4096; i += 4096) result = kpio_vmo_write((kpio_handle)fresh, i, page, 4096);
    if (fresh > 0) (void)kpio_handle_close((uint64_t)fresh);
    return result == 4096 ? 0 : result < 0 ? result : -EIO;
}
static int64_t grow_pipe(void) {
    kpio_handle other = 0;
    int64_t reader = kpio_pipe_create(0, 4096, &other);
    if (reader < 0) return reader;
    int64_t size = kpio_pipe_resize((kpio_handle)reader, 1 << 20);
    (void)kpio_handle_close((uint64_t)other);
    (void)kpio_handle_close((uint64_t)reader);
    return size < 0 ? size : 0;
}
static int64_t make_threads(void) {
    int64_t made[32], result = 0;
    unsigned count = 0;
    for (; count < ARRAY_SIZE(made) && result == 0; count++) {
        made[count] = kpio_thread_create(process, (const uint8_t *)"made", 4);
        if (made[count] < 0) result = made[count];
    }
    while (count-- > 0)
        if (made[count] > 0) (void)kpio_handle_close((uint64_t)made[count]);
    return result;
}
static int64_t make_objects(void) {
    int64_t result = 0;
    for (unsigned i = 0; i < 50 && result == 0; i++) {
        int64_t (*const makes[])(void) = {try_event, try_timer, try_port, try_endpoint, try_job, try_vmo, try_bind, try_clone};
        result = makes[i % ARRAY_SIZE(makes)]();
    }
    return result;
}

// The last ones take a block of pages, which there may be none of while others have pieces of all.
static const struct {
    const char *name;
    int64_t (*run)(void);
} needs[] = {
    {"touch", touch_piece},    {"commit", commit_piece}, {"write", write_piece}, {"map and populate", try_map}, {"threads", make_threads},
    {"a process", try_process}, {"objects", make_objects}, {"pipe", grow_pipe},    {"a block", try_contiguous},
};
enum { SINGLE_PAGES = 7 };

static int64_t status_of(kpio_handle child) {
    int64_t status = 0;
    KT_EQUAL(wait_terminated(child, time_after_ms(300000), &status), 0);
    kt_close(child);
    return status;
}

static kpio_handle start_hog(void) {
    hog_bits = KT_HANDLE(kpio_event_create());
    struct process_grant grant = {"bits", hog_bits, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle hog = kt_spawn("takes_all_memory", &grant, 1);
    KT_CHECK(kpio_event_wait(hog_bits, FULL, 0, time_after_ms(300000)) > 0);
    return hog;
}

KT_TEST(memory_of_the_dead_is_waited_for) {
    static uint8_t stack[32768] __attribute__((aligned(64)));
    for (unsigned i = 0; i < sizeof(stack); i += 4096) ((volatile uint8_t *)stack)[i] = 1;
    make_needed();
    for (unsigned i = 0; i < ARRAY_SIZE(needs); i++) KT_EQUAL(needs[i].run(), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(needs); i++) {
        KT_EQUAL(exception_set(ask_for_some, NULL, stack, sizeof(stack)), 0);
        kpio_handle hog = start_hog();
        KT_EQUAL(exception_set(count_refusal, NULL, stack, sizeof(stack)), 0);
        KT_EQUAL(kpio_process_kill(hog, 9), 0);
        int64_t result = needs[i].run();
        if (result != 0) kt_fail(__FILE__, __LINE__, "%s: %s", needs[i].name, error_name(result));
        KT_EQUAL(refusals, 0);
        KT_EQUAL(status_of(hog), 9);
        kt_close(hog_bits);
    }
    KT_EQUAL(exception_set(NULL, NULL, NULL, 0), 0);
    close_needed();
}

// ---- the same of the WASM pool -----------------------------------------------------------------------------------------------

static uint64_t pool_free(kpio_handle pool) {
    uint64_t info[5] = {0};
    return kpio_wasm_pool_info(pool, info, 5) == 5 ? info[4] : 0;
}

KT_CHILD(holds_the_pool) {
    kpio_handle bits = startup_handle("bits");
    int64_t pool = kpio_wasm_pool_open(UINT64_MAX, (const uint8_t *)"all", 3);
    uint64_t size = pool < 0 ? 0 : pool_free((kpio_handle)pool);
    int64_t held = pool < 0 ? pool : kpio_wasm_pool_vmo((kpio_handle)pool, size, size);
    int64_t at = held < 0 ? held : kpio_aspace_map(kt_aspace(), (kpio_handle)held, 0, size, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    for (uint64_t i = 0; i < size; i += 4096) *(volatile uint8_t *)(at + (int64_t)i) = 1;
    (void)kpio_event_signal(bits, 0, FULL);
    (void)kpio_event_wait(bits, END, 0, KPIO_TIME_NEVER);
    return 0;
}

KT_TEST(pool_of_the_dead_is_waited_for) {
    kpio_handle pool = KT_HANDLE(kpio_wasm_pool_open(UINT64_MAX, (const uint8_t *)"next", 4));
    uint64_t size = pool_free(pool);
    for (unsigned round = 0; round < 2; round++) {
        kpio_handle bits = KT_HANDLE(kpio_event_create());
        struct process_grant grant = {"bits", bits, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
        kpio_handle holder = kt_spawn("holds_the_pool", &grant, 1);
        KT_CHECK(kpio_event_wait(bits, FULL, 0, time_after_ms(300000)) > 0);
        kpio_handle memory = KT_HANDLE(kpio_wasm_pool_vmo(pool, 0, size));
        KT_ERROR(kpio_vmo_resize(memory, size), ENOMEM);  // it lives
        KT_EQUAL(kpio_process_kill(holder, 9), 0);
        KT_EQUAL(kpio_vmo_resize(memory, round == 0 ? size : 4096), 0);
        kt_close(memory);
        kt_close(KT_HANDLE(kpio_wasm_pool_vmo(pool, size, size)));
        KT_EQUAL(status_of(holder), 9);
        kt_close(bits);
    }
    kt_close(pool);
}

// ---- and with many at once -----------------------------------------------------------------------------------------------------

KT_CHILD(takes_a_share) {
    kpio_handle bits = startup_handle("bits");
    struct kpio_job_info info;
    if (kpio_job_info(startup_handle("share"), &info) != 0) return 1;
    int64_t fresh = kpio_vmo_create(info.limit.pages * 4096, 0);
    int64_t result = fresh < 0 ? fresh : kpio_vmo_op((kpio_handle)fresh, KPIO_VMO_OP_COMMIT, 0, info.limit.pages * 4096);
    if (result != 0) return result;
    (void)kpio_event_signal(bits, 0, FULL);
    time_sleep_ms(1000000);
    return 2;
}

KT_CHILD(goes_on) {
    kpio_handle bits = startup_handle("bits");
    make_needed();
    for (unsigned i = 0; !(kpio_event_wait(bits, END, 0, 0) > 0); i = (i + 1) % SINGLE_PAGES) {
        int64_t result = needs[i].run();
        if (result == 0) continue;
        print("goes_on: %s: %s\n", needs[i].name, error_name(result));
        return result;
    }
    return 0;
}

// Each takes more than half of what there is and is killed: the next one has to wait for its memory, as have those that go on.
KT_TEST(storm_of_the_dying) {
    struct kpio_system_info info;
    KT_EQUAL(kpio_system_info(kt_system(), &info), 0);
    struct kpio_job_limits limits = no_limits;
    limits.pages = info.memory_free / 4096 * 6 / 10;
    kpio_handle end = KT_HANDLE(kpio_event_create()), others[3];
    kpio_handle share = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"share", 5));
    struct process_grant lasting[] = {{"bits", end, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}, {"job", kt_job(), KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) others[i] = kt_spawn("goes_on", lasting, 2);
    for (unsigned round = 0; round < (kt_long() ? 60u : 6u); round++) {
        kpio_handle full = KT_HANDLE(kpio_event_create());
        struct process_grant grants[] = {{"bits", full, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
                                         {"share", share, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
        kpio_handle mortal = kt_spawn("takes_a_share", grants, 2);
        KT_CHECK(kpio_event_wait(full, FULL, 0, time_after_ms(300000)) > 0);
        KT_EQUAL(kpio_process_kill(mortal, 9), 0);
        kt_close(mortal);
        kt_close(full);
    }
    KT_CHECK(kpio_event_signal(end, 0, END) > 0);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) KT_EQUAL(status_of(others[i]), 0);
    kt_close(share);
    kt_close(end);
}
