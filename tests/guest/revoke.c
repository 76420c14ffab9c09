// Revocation and expiry across processes: mappings go, copies die wherever they are, blocked calls end; and races with
// duplication, transfer and exit on all CPUs.
#include "tests/guest/kt/kt.h"

#define NEVER KPIO_TIME_NEVER
#define PAGE 4096ul

// ---- mappings ---------------------------------------------------------------------------------------------------------------

// Maps what it is given, says so through the event, and touches it until that faults.
KT_CHILD(mapper) {
    kpio_handle vmo = startup_handle("vmo"), event = startup_handle("event");
    int64_t address = kpio_aspace_map(startup_handle("aspace"), vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (address < 0) return address;
    volatile uint64_t *memory = (volatile uint64_t *)address;
    memory[1] = 7;
    (void)kpio_event_signal(event, 0, 1);
    for (;;) {
        memory[0]++;
        (void)kpio_thread_yield();
    }
}

static void mapping_goes(bool by_expiry) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    kpio_handle event = KT_HANDLE(kpio_event_create());
    kpio_handle lent = KT_HANDLE(kpio_handle_dup(vmo, KPIO_RIGHTS_SAME));
    struct process_grant grants[] = {
        {"vmo", lent, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"event", event, KPIO_RIGHT_WRITE, KPIO_SEND_COPY},
    };
    kpio_handle child = kt_spawn("mapper", grants, 2);
    KT_EQUAL(kpio_event_wait(event, 1, 0, kt_soon()), 1);
    if (by_expiry) KT_EQUAL(kpio_handle_expire(lent, time_after_ms(5)), 0);
    else KT_CHECK(KT_OK(kpio_handle_revoke(lent, 1)) >= 3);  // the handle, its copy, the mapping
    KT_CHECK(kt_wait(child) < 0);                            // the next touch ended it
    uint64_t value;
    KT_EQUAL(kpio_vmo_read(vmo, 8, &value, 8), 8);           // the memory itself stays
    KT_EQUAL(value, 7);
    kt_close(event);
    kt_close(vmo);
}
KT_TEST(mapping_in_another_process_goes_with_its_handle) { mapping_goes(false); }
KT_TEST(mapping_in_another_process_goes_when_its_handle_expires) { mapping_goes(true); }

KT_TEST(own_mapping_outlives_a_closed_handle_but_not_a_revoked_one) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    kpio_handle copy = KT_HANDLE(kpio_handle_dup(vmo, KPIO_RIGHTS_SAME));
    volatile uint64_t *memory =
        (volatile uint64_t *)KT_OK(kpio_aspace_map(kt_aspace(), copy, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    kt_close(copy);
    memory[0] = 5;
    KT_EQUAL(memory[0], 5);
    KT_EQUAL(kpio_handle_revoke(vmo, 0), 1);
    KT_ERROR(kpio_clock_get(99), EINVAL);
    KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)memory, PAGE), 0);
    kt_close(vmo);
}

// ---- copies in other processes ------------------------------------------------------------------------------------------------

// Waits on the event it is given until that ends, with the errno as status.
KT_CHILD(waiter) {
    kpio_handle event = startup_handle("event"), ready = startup_handle("ready");
    (void)kpio_event_signal(ready, 0, 1);
    int64_t result = kpio_event_wait(event, 2, 0, kt_soon());
    int64_t again = kpio_event_signal(event, 0, 1);
    return result == -ECANCELED && again == -EBADF ? 42 : result;
}

// What the waiter said: -EBADF when the revocation came before its wait.
static int64_t revoke_under_waiter(void) {
    kpio_handle event = KT_HANDLE(kpio_event_create()), ready = KT_HANDLE(kpio_event_create());
    kpio_handle lent = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    struct process_grant grants[] = {
        {"event", lent, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"ready", ready, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
    };
    kpio_handle child = kt_spawn("waiter", grants, 2);
    KT_EQUAL(kpio_event_wait(ready, 1, 0, kt_soon()), 1);
    time_sleep_ms(5);
    KT_CHECK(KT_OK(kpio_handle_revoke(lent, 1)) >= 2);
    int64_t status = kt_wait(child);
    kt_close(event);
    kt_close(ready);
    return status;
}

KT_TEST(blocked_call_in_another_process_ends) {
    int64_t status = -EBADF;
    for (uint64_t deadline = kt_soon(); status == -EBADF && time_now() < deadline;) status = revoke_under_waiter();
    KT_EQUAL(status, 42);
}

// ---- in flight -----------------------------------------------------------------------------------------------------------------

static kpio_handle flight_endpoint, flight_event;
static int64_t send_event(void *arg) {
    message_handle(0, flight_event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    return kpio_ipc_send(flight_endpoint, KPIO_MESSAGE(1, 0, 1), kt_soon());
}

KT_TEST(what_waits_to_be_received_is_not_yet_sent) {
    struct thread sender;
    int64_t result;
    flight_endpoint = KT_HANDLE(kpio_endpoint_create());
    flight_event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(thread_spawn(&sender, "sender", send_event, NULL, NULL, 0), 0);
    KT_EQUAL(kt_wait_queued(flight_endpoint), 0);  // its handle was checked: revoked before, it would not be sent
    KT_EQUAL(kpio_handle_revoke(flight_event, 1), 1);
    KT_EQUAL(kpio_ipc_receive(flight_endpoint, kt_soon()), KPIO_MESSAGE(1, 0, 1));
    KT_EQUAL(thread_self()->handles[0].handle, 0);  // arrives as nothing
    KT_EQUAL(thread_join(&sender, &result), 0);
    KT_EQUAL(result, 0);
    kt_close(flight_endpoint);
}

// ---- races -----------------------------------------------------------------------------------------------------------------------

static kpio_handle race_root;
static uint32_t race_stop;

// Duplicates and closes below the root as fast as it can.
static int64_t duplicator(void *arg) {
    kpio_handle mine[16] = {0};
    for (uint32_t i = 0; !__atomic_load_n(&race_stop, __ATOMIC_RELAXED); i++) {
        kpio_handle from = mine[(i * 7) % 16] > 0 ? mine[(i * 7) % 16] : race_root;
        int64_t h = kpio_handle_dup(from, KPIO_RIGHTS_SAME);
        if (mine[i % 16] > 0) (void)kpio_handle_close((uint64_t)mine[i % 16]);
        mine[i % 16] = h > 0 ? (kpio_handle)h : 0;
    }
    for (unsigned i = 0; i < 16; i++)
        if (mine[i] > 0) (void)kpio_handle_close((uint64_t)mine[i]);
    return 0;
}

KT_TEST(revoke_against_duplication) {
    struct thread threads[3];
    race_root = KT_HANDLE(kpio_event_create());
    race_stop = 0;
    for (unsigned i = 0; i < 3; i++) KT_EQUAL(thread_spawn(&threads[i], "duplicator", duplicator, NULL, NULL, 0), 0);
    for (unsigned round = 0; round < (kt_long() ? 20000u : 150u); round++) {
        KT_OK(kpio_handle_revoke(race_root, 0));
        if (round % 16 == 0) (void)kpio_thread_yield();
    }
    __atomic_store_n(&race_stop, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 3; i++) KT_EQUAL(thread_join(&threads[i], NULL), 0);
    struct kpio_handle_info info;
    KT_EQUAL(kpio_handle_info(race_root, &info), 0);
    KT_EQUAL(info.children, 0);
    kt_close(race_root);
}

// Takes whatever comes on its endpoint, duplicates it, ends at random.
KT_CHILD(taker) {
    kpio_handle in = startup_handle("in");
    for (unsigned i = 0; i < 8; i++) {
        int64_t header = kpio_ipc_receive(in, kt_soon());
        if (header < 0) return 0;
        kpio_handle h = thread_self()->handles[0].handle;
        if (h > 0) (void)kpio_handle_dup(h, KPIO_RIGHTS_SAME);
        (void)kpio_ipc_reply(0);
    }
    return 0;
}

static int64_t revoker(void *arg) {
    while (!__atomic_load_n(&race_stop, __ATOMIC_RELAXED)) {
        (void)kpio_handle_revoke(race_root, 0);
        (void)kpio_thread_yield();
    }
    return 0;
}

KT_TEST(revoke_against_transfer_and_exit) {
    struct thread revokers[2];
    race_root = KT_HANDLE(kpio_event_create());
    race_stop = 0;
    for (unsigned i = 0; i < 2; i++) KT_EQUAL(thread_spawn(&revokers[i], "revoker", revoker, NULL, NULL, 0), 0);
    for (unsigned round = 0; round < (kt_long() ? 500u : 30u); round++) {
        kpio_handle e = KT_HANDLE(kpio_endpoint_create());
        struct process_grant grant = {"in", e, KPIO_RIGHT_RECEIVE, KPIO_SEND_COPY};
        kpio_handle child = kt_spawn("taker", &grant, 1);
        for (unsigned i = 0; i < 8; i++) {
            int64_t copy = kpio_handle_dup(race_root, KPIO_RIGHTS_SAME);
            bool have = copy > 0;
            if (have) message_handle(0, (kpio_handle)copy, KPIO_RIGHTS_SAME, i % 2 ? KPIO_SEND_MOVE : KPIO_SEND_COPY);
            // One that was revoked before it was sent fails the call: the child still gets its message.
            if (kpio_ipc_call(e, KPIO_MESSAGE(1, 0, have), kt_soon()) == -EBADF && have)
                (void)kpio_ipc_call(e, KPIO_MESSAGE(1, 0, 0), kt_soon());
            if (have) (void)kpio_handle_close((uint64_t)copy);
            if (round % 3 == 0 && i == 4) (void)kpio_process_kill(child, 1);
            if (round % 3 == 0 && i == 4) break;
        }
        (void)kt_wait(child);
        kt_close(e);
    }
    __atomic_store_n(&race_stop, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 2; i++) KT_EQUAL(thread_join(&revokers[i], NULL), 0);
    KT_OK(kpio_handle_revoke(race_root, 0));
    kt_close(race_root);
}

// A thousand handles over ten processes die with one call.
KT_CHILD(holder) {
    kpio_handle h = startup_handle("event"), ready = startup_handle("ready");
    for (unsigned i = 0; i < 99; i++)
        if (kpio_handle_dup(h, KPIO_RIGHTS_SAME) < 0) return 1;
    (void)kpio_event_signal(ready, 0, 1);
    (void)kpio_event_wait(h, 2, 0, kt_soon());
    return kpio_event_signal(h, 0, 1) == -EBADF ? 0 : 2;
}

KT_TEST(thousand_handles_over_ten_processes) {
    kpio_handle event = KT_HANDLE(kpio_event_create()), children[10];
    for (unsigned i = 0; i < 10; i++) {
        kpio_handle ready = KT_HANDLE(kpio_event_create());
        struct process_grant grants[] = {
            {"event", event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
            {"ready", ready, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        };
        children[i] = kt_spawn("holder", grants, 2);
        KT_EQUAL(kpio_event_wait(ready, 1, 0, kt_soon()), 1);
        kt_close(ready);
    }
    KT_EQUAL(kpio_handle_revoke(event, 0), 1000);
    for (unsigned i = 0; i < 10; i++) KT_EQUAL(kt_wait(children[i]), 0);
    kt_close(event);
}

// ---- expiry against everything else that ends a handle ---------------------------------------------------------------------------

#define EXPIRY_SLOTS 8
static kpio_handle expiry_slots[EXPIRY_SLOTS];

static void expiry_slot_fill(kpio_handle *slot, int64_t fresh) {
    kpio_handle old = __atomic_exchange_n(slot, fresh > 0 ? (kpio_handle)fresh : 0, __ATOMIC_ACQ_REL);
    if (old > 0) (void)kpio_handle_close((uint64_t)old);
}

// Handles in shared slots are made, expire, are given other times, move, are closed and revoked by all at once.
static int64_t expiry_racer(void *arg) {
    uint64_t random = (uint64_t)arg * 0x9e3779b97f4a7c15ull | 1;
    for (unsigned round = 0; round < (kt_long() ? 200000u : 4000u); round++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        kpio_handle *slot = &expiry_slots[(random >> 33) % EXPIRY_SLOTS];
        kpio_handle h = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        uint64_t soon = time_now() + (random >> 40) % 200000;
        switch ((random >> 60) % 8) {
        case 0: (void)kpio_handle_close((uint64_t)h); break;
        case 1: (void)kpio_handle_revoke(h, 1); break;
        case 2: (void)kpio_handle_revoke(h, 0); break;
        case 3: (void)kpio_handle_expire(h, KPIO_TIME_NEVER); break;
        case 4: expiry_slot_fill(slot, kpio_handle_give(kt_process(), h, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE)); break;
        case 5: expiry_slot_fill(slot, kpio_handle_dup(race_root, KPIO_RIGHTS_SAME)); break;
        default: (void)kpio_handle_expire(h, soon);
        }
    }
    return 0;
}

KT_TEST(expiry_against_close_revoke_and_move) {
    struct thread threads[4];
    struct kpio_handle_info info;
    race_root = KT_HANDLE(kpio_event_create());
    for (unsigned i = 0; i < EXPIRY_SLOTS; i++) expiry_slots[i] = 0;
    for (uint64_t i = 0; i < 4; i++)
        KT_EQUAL(thread_spawn(&threads[i], "racer", expiry_racer, (void *)(i + 1), NULL, 0), 0);
    for (unsigned i = 0; i < 4; i++) KT_EQUAL(thread_join(&threads[i], NULL), 0);
    KT_OK(kpio_handle_revoke(race_root, 0));
    KT_EQUAL(kpio_handle_info(race_root, &info), 0);
    KT_EQUAL(info.children, 0);
    kt_close(race_root);
}

// One that is always on its way somewhere must not escape its time.
KT_TEST(a_handle_on_the_move_expires) {
    kpio_handle root = KT_HANDLE(kpio_event_create());
    for (unsigned round = 0; round < (kt_long() ? 2000u : 100u); round++) {
        int64_t h = KT_OK(kpio_handle_dup(root, KPIO_RIGHTS_SAME));
        KT_EQUAL(kpio_handle_expire((kpio_handle)h, time_now() + 200000), 0);
        uint64_t deadline = kt_soon();
        while (h > 0 && time_now() < deadline) h = kpio_handle_give(kt_process(), (kpio_handle)h, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
        KT_EQUAL(h, -EBADF);
    }
    kt_close(root);
}
