// Handles: duplicating with fewer rights, closing, badges, revocation, expiry, giving to other processes.
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
    uint64_t soon = time_after_ms(20);
    KT_EQUAL(kpio_handle_expire(child, soon), 0);
    KT_EQUAL(kpio_handle_info(child, &info), 0);
    KT_EQUAL(info.expiry, soon);
    time_sleep_ms(60);
    KT_ERROR(kpio_event_signal(child, 0, 1), EBADF);
    KT_EQUAL(kpio_event_signal(root, 0, 1), 1);
    kt_close(root);
}

KT_TEST(expiry_taken_back) {
    kpio_handle event = new_event();
    KT_EQUAL(kpio_handle_expire(event, time_after_ms(20)), 0);
    KT_EQUAL(kpio_handle_expire(event, KPIO_TIME_NEVER), 0);
    time_sleep_ms(50);
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
