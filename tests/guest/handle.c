// Handles: duplicating with fewer rights, closing, badges, revocation, expiry, giving to other processes.
#include "tests/guest/kt/fork.h"
#include "tests/guest/kt/kt.h"

static kpio_handle new_event(void) { return KT_HANDLE(kpio_event_create()); }

KT_TEST(close_twice) {
    kpio_handle event = new_event();
    kt_close(event);
    KT_ERROR(kpio_handle_close((uint64_t)event), EBADF);
}

KT_TEST(bad_values) {
    static const uint64_t bad[] = {0, 1u << 31, UINT32_MAX, 0x7fffffff, UINT64_MAX, 1ull << 32 | 1};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) KT_ERROR(kpio_handle_close(bad[i]), EBADF);
    KT_ERROR(kpio_handle_dup(0, KPIO_RIGHTS_SAME), EBADF);
    KT_ERROR(kpio_handle_revoke(-1, 0), EBADF);
}

KT_TEST(old_value_never_names_a_newer_object) {
    kpio_handle first = new_event();
    kt_close(first);
    for (unsigned i = 0; i < 100; i++) {
        kpio_handle next = new_event();
        KT_CHECK(next != first);
        KT_ERROR(kpio_event_signal(first, 0, 1), EBADF);
        kt_close(next);
    }
}

KT_TEST(dup_has_a_subset_of_rights) {
    struct kpio_handle_info info;
    kpio_handle event = new_event();
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT));
    KT_EQUAL(kpio_handle_info(reader, &info), 0);
    KT_EQUAL(info.kind, KPIO_KIND_EVENT);
    KT_EQUAL(info.rights, KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT);
    KT_ERROR(kpio_event_signal(reader, 0, 1), EACCES);
    KT_ERROR(kpio_handle_dup(reader, KPIO_RIGHTS_SAME), EACCES);
    kt_close(reader);
    kt_close(event);
}

KT_TEST(dup_cannot_add_rights) {
    kpio_handle event = new_event();
    kpio_handle narrow = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ | KPIO_RIGHT_DUPLICATE));
    KT_ERROR(kpio_handle_dup(narrow, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE), EINVAL);
    KT_ERROR(kpio_handle_dup(event, 1u << 30), EINVAL);
    kt_close(narrow);
    kt_close(event);
}

KT_TEST(wrong_type) {
    kpio_handle event = new_event();
    KT_ERROR(kpio_handle_dup_badged(event, KPIO_RIGHTS_SAME, 1), EWRONGTYPE);
    KT_ERROR(kpio_vmo_resize(event, 4096), EWRONGTYPE);
    KT_ERROR(kpio_port_wait(event, NULL, 1, 0), EWRONGTYPE);
    kt_close(event);
}

KT_TEST(info_bad_pointers) {
    kpio_handle event = new_event();
    KT_ERROR(kpio_handle_info(event, KT_KERNEL_ADDRESS), EFAULT);
    KT_ERROR(kpio_handle_info(event, KT_UNMAPPED_ADDRESS), EFAULT);
    KT_ERROR(kpio_handle_info(event, KT_NULL_PAGE), EFAULT);
    KT_ERROR(kpio_handle_info(event, (void *)UINT64_MAX), EFAULT);
    kt_close(event);
}

KT_TEST(badge_once) {
    struct kpio_handle_info info;
    kpio_handle endpoint = KT_HANDLE(kpio_endpoint_create());
    kpio_handle badged = KT_HANDLE(kpio_handle_dup_badged(endpoint, KPIO_RIGHTS_SAME, 0x1234567890abcdef));
    KT_EQUAL(kpio_handle_info(badged, &info), 0);
    KT_EQUAL(info.badge, 0x1234567890abcdef);
    KT_CHECK(!(info.rights & KPIO_RIGHT_BADGE));
    KT_ERROR(kpio_handle_dup_badged(badged, KPIO_RIGHTS_SAME, 2), EACCES);
    kpio_handle copy = KT_HANDLE(kpio_handle_dup(badged, KPIO_RIGHTS_SAME));
    KT_EQUAL(kpio_handle_info(copy, &info), 0);
    KT_EQUAL(info.badge, 0x1234567890abcdef);
    kt_close(copy);
    kt_close(badged);
    kt_close(endpoint);
}

KT_TEST(revoke_takes_the_subtree) {
    kpio_handle root = new_event();
    kpio_handle child = KT_HANDLE(kpio_handle_dup(root, KPIO_RIGHTS_SAME));
    kpio_handle grandchild = KT_HANDLE(kpio_handle_dup(child, KPIO_RIGHTS_SAME));
    kpio_handle sibling = KT_HANDLE(kpio_handle_dup(root, KPIO_RIGHTS_SAME));
    KT_EQUAL(kpio_handle_revoke(child, 0), 1);
    KT_ERROR(kpio_handle_close((uint64_t)grandchild), EBADF);
    KT_EQUAL(kpio_event_signal(child, 0, 1), 1);
    KT_EQUAL(kpio_handle_revoke(root, 1), 3);
    KT_ERROR(kpio_handle_close((uint64_t)child), EBADF);
    KT_ERROR(kpio_handle_close((uint64_t)sibling), EBADF);
    KT_ERROR(kpio_handle_close((uint64_t)root), EBADF);
}

KT_TEST(closing_hands_children_to_the_grandparent) {
    kpio_handle root = new_event();
    kpio_handle child = KT_HANDLE(kpio_handle_dup(root, KPIO_RIGHTS_SAME));
    kpio_handle a = KT_HANDLE(kpio_handle_dup(child, KPIO_RIGHTS_SAME));
    kpio_handle b = KT_HANDLE(kpio_handle_dup(child, KPIO_RIGHTS_SAME));
    kt_close(child);
    KT_EQUAL(kpio_event_signal(a, 0, 1), 1);
    KT_EQUAL(kpio_handle_revoke(root, 0), 2);
    KT_ERROR(kpio_handle_close((uint64_t)a), EBADF);
    KT_ERROR(kpio_handle_close((uint64_t)b), EBADF);
    kt_close(root);
}

KT_TEST(revoke_flag_is_checked) {
    kpio_handle event = new_event();
    KT_ERROR(kpio_handle_revoke(event, 2), EINVAL);
    KT_EQUAL(kpio_handle_revoke(event, 0), 0);
    kt_close(event);
}

KT_TEST(expiry) {
    struct kpio_handle_info info;
    kpio_handle root = new_event();
    kpio_handle child = KT_HANDLE(kpio_handle_dup(root, KPIO_RIGHTS_SAME));
    uint64_t far = kt_soon();
    KT_EQUAL(kpio_handle_expire(child, far), 0);
    KT_EQUAL(kpio_handle_info(child, &info), 0);
    KT_EQUAL(info.expiry, far);
    KT_EQUAL(kpio_handle_expire(child, time_after_ms(20)), 0);
    time_sleep_ms(60);
    KT_ERROR(kpio_event_signal(child, 0, 1), EBADF);
    KT_EQUAL(kpio_event_signal(root, 0, 1), 1);
    kt_close(root);
}

KT_TEST(expiry_taken_back) {
    kpio_handle event;
    int64_t taken_back = -EBADF;
    uint64_t ms = 20;
    for (; taken_back == -EBADF && ms < KT_HANG_MS; ms *= 3) {  // it may pass before
        event = new_event();
        KT_EQUAL(kpio_handle_expire(event, time_after_ms(ms)), 0);
        taken_back = kpio_handle_expire(event, KPIO_TIME_NEVER);
    }
    KT_EQUAL(taken_back, 0);
    time_sleep_ms(ms);
    KT_EQUAL(kpio_event_signal(event, 0, 4), 4);
    kt_close(event);
}

KT_TEST(dup_to_exhaustion) {
    // A job of its own bounds the handles, so that the suite keeps some.
    enum { LIMIT = 1000 };
    static kpio_handle made[LIMIT];
    kpio_handle event = new_event();
    unsigned count = 0;
    while (count < LIMIT) made[count++] = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    while (count > 0) kt_close(made[--count]);
    kt_close(event);
}

KT_CHILD(signals_event) {
    kpio_handle event = startup_handle("event");
    int64_t bits = kpio_event_signal(event, 0, 1);
    return bits == 1 ? 7 : bits;
}

KT_TEST(a_child_process_uses_a_granted_handle) {
    kpio_handle event = new_event();
    struct process_grant grant = {"event", event, KPIO_RIGHT_WRITE, KPIO_SEND_COPY};
    kpio_handle process = kt_spawn("signals_event", &grant, 1);
    KT_EQUAL(kt_wait(process), 7);
    KT_EQUAL(kpio_event_wait(event, 1, 0, 0), 1);
    kt_close(event);
}

KT_TEST(give_needs_transfer) {
    kpio_handle event = new_event();
    kpio_handle bound = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ));
    KT_ERROR(kpio_handle_give(kt_process(), bound, KPIO_RIGHTS_SAME, KPIO_SEND_COPY), EACCES);
    KT_ERROR(kpio_handle_give(event, event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY), EWRONGTYPE);
    KT_ERROR(kpio_handle_give(kt_process(), event, KPIO_RIGHTS_SAME, 7), EINVAL);
    kt_close(bound);
    kt_close(event);
}

// ---- no room for the handle of a new object ---------------------------------------------------------------------------------

static kpio_handle called;
static int64_t call_it(void *arg) { return kpio_ipc_call(called, KPIO_MESSAGE(1, 0, 0), kt_soon()); }
static int64_t nothing(void *arg) { return 0; }

// Makes what it can until there is room for no handle, then none of the calls that make something new leaves anything.
static int64_t make_in_vain(kpio_handle job, kpio_handle root, kpio_handle file, kpio_handle memory) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    kpio_handle other;
    const int64_t results[] = {
        kpio_thread_create(kt_process(), "t", 1),
        kpio_process_create(job, 0, "p", 1, &other),
        kt_fork_on(0, nothing, NULL, NULL, 0),
        kpio_job_create(job, &limits, (const uint8_t *)"j", 1),
        kpio_endpoint_create(),
        kpio_event_create(),
        kpio_port_create(),
        kpio_timer_create(),
        kpio_counter_create(0, 0),
        kpio_pipe_create(KPIO_PIPE_STREAM, 0, &other),
        kpio_vmo_create(4096, 0),
        kpio_vmo_clone(memory, KPIO_CLONE_SNAPSHOT, 0, 4096),
        kpio_aspace_create(),
        kpio_wasm_pool_open(1 << 20, (const uint8_t *)"handle", 6),
        kpio_fs_mount("tmpfs", 0, 0, NULL),
        file_open(root, "file", 0, KPIO_RIGHT_READ),
        file_open(root, "new", KPIO_OPEN_CREATE, KPIO_RIGHT_READ),
        file_open(root, "/", KPIO_OPEN_ROOT, KPIO_RIGHTS_SAME),
        kpio_file_vmo(file, KPIO_RIGHT_READ),
        kpio_handle_dup(root, KPIO_RIGHTS_SAME),
    };
    for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i] != -ENFILE) return (int64_t)i + 1;
    return 0;
}

KT_CHILD(makes_in_vain) {
    kpio_handle job = startup_handle("full");
    int64_t root = kpio_fs_mount("tmpfs", 0, 0, NULL), memory = kpio_vmo_create(4096, 0), last = 0, result;
    if (root < 0 || memory < 0 || file_save((kpio_handle)root, "file", "text", 4) < 0) return 100;
    int64_t file = file_open((kpio_handle)root, "file", 0, KPIO_RIGHT_READ);
    called = (kpio_handle)kpio_endpoint_create();
    struct thread caller;
    if (file < 0 || called <= 0 || thread_spawn(&caller, "caller", call_it, NULL, NULL, 0) != 0) return 101;
    if (kpio_ipc_receive(called, kt_soon()) < 0) return 102;
    while ((result = kpio_event_create()) > 0) last = result;
    if (result != -ENFILE || last == 0) return 103;
    for (unsigned round = 0; round < 3; round++) {
        result = make_in_vain(job, (kpio_handle)root, (kpio_handle)file, (kpio_handle)memory);
        if (result != 0) return result;
    }
    // Two of the calls need two handles: there is room for one now, and still is afterwards.
    (void)kpio_handle_close((uint64_t)last);
    for (unsigned round = 0; round < 3; round++) {
        kpio_handle other;
        if (kpio_process_create(job, 0, "p", 1, &other) != -ENFILE) return 104;
        if (kpio_pipe_create(KPIO_PIPE_STREAM, 0, &other) != -ENFILE) return 105;
    }
    if ((last = kpio_event_create()) < 0) return 106;
    // Nobody could answer the call that the reply was owed for.
    if (kpio_reply_save() != -ENFILE) return 107;
    if (thread_join(&caller, &result) != 0 || result != -EPIPE) return 108;
    return kpio_ipc_reply(KPIO_MESSAGE(0, 0, 0)) == -EINVAL ? 0 : 109;
}

KT_TEST(without_room_for_a_handle_nothing_is_made) {
    struct kpio_job_limits limits = {UINT64_MAX, 60, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct kpio_job_info info;
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"full", 4));
    struct process_grant grants[] = {{"full", job, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
                                     {"system", kt_system(), KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    KT_EQUAL(kt_wait(kt_spawn_in(job, "makes_in_vain", grants, 2)), 0);
    KT_EQUAL(wait_terminated(job, kt_soon(), NULL), 0);
    for (uint64_t until = kt_soon(); kpio_job_info(job, &info) == 0 && info.used.kernel_bytes != 0 && time_now() < until;)
        time_sleep_ms(1);
    KT_EQUAL(info.used.threads, 0);
    KT_EQUAL(info.used.handles, 0);
    KT_EQUAL(info.used.kernel_bytes, 0);
    KT_EQUAL(info.used.pages, 0);
    kt_close(job);
}
