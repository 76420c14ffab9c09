// Endpoints: calls, sends, replies, payload, badges, handles in messages, deadlines, and every way in which a call ends.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define NEVER KPIO_TIME_NEVER
enum { OP_ECHO = 1, OP_ADD, OP_STOP, OP_BADGE, OP_HANDLE, OP_HOLD, OP_DIE };

static kpio_handle endpoint;
static kpio_handle release;  // an event: lets the server go that OP_HOLD holds
static uint32_t held;        // it is there

// A server: answers until told to stop.
static int64_t serve(void *arg) {
    int64_t header = kpio_ipc_receive(endpoint, NEVER);
    uint32_t served = 0;
    while (header >= 0) {
        uint64_t *words = thread_message();
        uint64_t reply = KPIO_MESSAGE(0, 0, 0);
        served++;
        switch (KPIO_MESSAGE_LABEL(header)) {
        case OP_ECHO:
            reply = KPIO_MESSAGE(KPIO_MESSAGE_LABEL(header), KPIO_MESSAGE_BYTES(header), 0);
            break;
        case OP_ADD:
            words[0] += words[1];
            reply = KPIO_MESSAGE(0, 8, 0);
            break;
        case OP_BADGE:
            words[0] = thread_self()->badge;
            reply = KPIO_MESSAGE(0, 8, 0);
            break;
        case OP_HANDLE:  // signals the event that came, sends it back
            words[0] = thread_self()->handles[0].kind;
            words[1] = thread_self()->handles[0].rights;
            words[2] = (uint64_t)kpio_event_signal(thread_self()->handles[0].handle, 0, 4);
            message_handle(0, thread_self()->handles[0].handle, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
            reply = KPIO_MESSAGE(0, 24, 1);
            break;
        case OP_HOLD:
            __atomic_store_n(&held, 1, __ATOMIC_RELEASE);
            (void)kpio_event_wait(release, 1, 1, kt_soon());
            break;
        case OP_DIE:
            return served;
        case OP_STOP:
            (void)kpio_ipc_reply(reply);
            return served;
        default:
            reply = KPIO_MESSAGE(ENOSYS, 0, 0);
        }
        header = kpio_ipc_reply_receive(endpoint, reply, NEVER);
        if (header == -ECANCELED) header = kpio_ipc_receive(endpoint, NEVER);
    }
    return header;
}

static struct thread server;
static void start_server(void) {
    endpoint = KT_HANDLE(kpio_endpoint_create());
    release = KT_HANDLE(kpio_event_create());
    held = 0;
    KT_EQUAL(thread_spawn(&server, "server", serve, NULL, NULL, 0), 0);
}
static void stop_server(void) {
    int64_t served;
    KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_STOP, 0, 0), kt_soon()), 0);
    KT_EQUAL(thread_join(&server, &served), 0);
    KT_CHECK(served > 0);
    kt_close(release);
    kt_close(endpoint);
}
static void release_server(void) { KT_OK(kpio_event_signal(release, 0, 1)); }

KT_TEST(call_and_reply) {
    start_server();
    uint64_t *words = thread_message();
    for (uint64_t i = 0; i < 1000; i++) {
        words[0] = i;
        words[1] = 2 * i;
        KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ADD, 16, 0), NEVER), 8);
        KT_EQUAL(words[0], 3 * i);
    }
    stop_server();
}

KT_TEST(payload_of_every_size) {
    start_server();
    uint8_t *bytes = thread_message();
    for (uint32_t size = 0; size <= KPIO_MESSAGE_MAX; size += size < 80 ? 1 : 251) {
        for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)(i * 7 + size);
        KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, size, 0), NEVER), KPIO_MESSAGE(OP_ECHO, size, 0));
        for (uint32_t i = 0; i < size; i++) KT_EQUAL(bytes[i], (uint8_t)(i * 7 + size));
    }
    stop_server();
}

KT_TEST(malformed_headers) {
    start_server();
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 4097, 0), NEVER), EINVAL);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 8191, 0), NEVER), EINVAL);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 0, 5), NEVER), EINVAL);
    KT_ERROR(kpio_ipc_call(endpoint, 1ull << 63, NEVER), EINVAL);
    KT_ERROR(kpio_ipc_call(endpoint, 1ull << 16, NEVER), EINVAL);
    KT_ERROR(kpio_ipc_reply(KPIO_MESSAGE(0, 0, 0)), EINVAL);  // owes nothing
    KT_ERROR(kpio_reply_save(), EINVAL);
    stop_server();
}

KT_TEST(rights_and_kinds) {
    start_server();
    kpio_handle mute = KT_HANDLE(kpio_handle_dup(endpoint, KPIO_RIGHT_RECEIVE));
    kpio_handle deaf = KT_HANDLE(kpio_handle_dup(endpoint, KPIO_RIGHT_CALL));
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_ERROR(kpio_ipc_call(mute, KPIO_MESSAGE(OP_ECHO, 0, 0), NEVER), EACCES);
    KT_ERROR(kpio_ipc_receive(deaf, 0), EACCES);
    KT_ERROR(kpio_ipc_call(event, KPIO_MESSAGE(OP_ECHO, 0, 0), NEVER), EWRONGTYPE);
    KT_ERROR(kpio_ipc_receive(event, NEVER), EWRONGTYPE);
    KT_ERROR(kpio_ipc_call(0, 0, NEVER), EBADF);
    KT_ERROR(kpio_reply_send(event, 0), EWRONGTYPE);
    KT_EQUAL(kpio_ipc_call(deaf, KPIO_MESSAGE(OP_ECHO, 0, 0), NEVER), KPIO_MESSAGE(OP_ECHO, 0, 0));
    kt_close(mute);
    kt_close(deaf);
    kt_close(event);
    stop_server();
}

KT_TEST(badge_names_the_handle) {
    start_server();
    uint64_t *words = thread_message();
    for (uint64_t badge = 1; badge < 6; badge++) {
        kpio_handle h = KT_HANDLE(kpio_handle_dup_badged(endpoint, KPIO_RIGHT_CALL, badge << 40));
        KT_EQUAL(kpio_ipc_call(h, KPIO_MESSAGE(OP_BADGE, 0, 0), NEVER), 8);
        KT_EQUAL(words[0], badge << 40);
        kt_close(h);
    }
    KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_BADGE, 0, 0), NEVER), 8);
    KT_EQUAL(words[0], 0);
    stop_server();
}

KT_TEST(handles_travel) {
    start_server();
    uint64_t *words = thread_message();
    kpio_handle event = KT_HANDLE(kpio_event_create());
    message_handle(0, event, KPIO_RIGHT_WRITE | KPIO_RIGHT_TRANSFER, KPIO_SEND_COPY);
    KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_HANDLE, 0, 1), NEVER), KPIO_MESSAGE(0, 24, 1));
    KT_EQUAL(words[0], KPIO_KIND_EVENT);
    KT_EQUAL(words[1], KPIO_RIGHT_WRITE | KPIO_RIGHT_TRANSFER);
    KT_EQUAL(words[2], 4);
    kpio_handle back = thread_self()->handles[0].handle;
    KT_ERROR(kpio_event_wait(back, 4, 0, 0), EACCES);
    KT_EQUAL(kpio_event_wait(event, 4, 0, 0), 4);
    KT_EQUAL(kpio_handle_revoke(event, 0), 1);
    KT_ERROR(kpio_handle_close((uint64_t)back), EBADF);
    // Moved away, it comes back under another value, at the same place of the tree.
    message_handle(0, event, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_HANDLE, 0, 1), NEVER), KPIO_MESSAGE(0, 24, 1));
    KT_ERROR(kpio_event_signal(event, 0, 1), EBADF);
    kt_close(thread_self()->handles[0].handle);
    stop_server();
}

KT_TEST(bad_handles_send_nothing) {
    start_server();
    kpio_handle event = KT_HANDLE(kpio_event_create());
    kpio_handle fixed = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_WRITE));
    message_handle(0, event, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    message_handle(1, 12345, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 0, 2), NEVER), EBADF);
    message_handle(1, fixed, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 0, 2), NEVER), EACCES);
    message_handle(1, event, KPIO_RIGHTS_SAME, 7);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 0, 2), NEVER), EINVAL);
    KT_EQUAL(kpio_event_signal(event, 0, 1), 1);  // still here
    kt_close(fixed);
    kt_close(event);
    stop_server();
}

KT_TEST(receive_now_or_never) {
    kpio_handle e = KT_HANDLE(kpio_endpoint_create());
    KT_ERROR(kpio_ipc_receive(e, 0), ETIMEDOUT);
    KT_ERROR(kpio_ipc_receive(e, time_after_ms(2)), ETIMEDOUT);
    kt_close(e);
}

KT_TEST(call_times_out_and_the_late_reply_is_cancelled) {
    start_server();
    kt_blocked(server.handle);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_HOLD, 0, 0), time_after_ms(5)), ETIMEDOUT);
    // A queued call times out as well. The server gets ECANCELED for the first and goes on.
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_HOLD, 0, 0), time_after_ms(5)), ETIMEDOUT);
    release_server();
    KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 0, 0), kt_soon()), KPIO_MESSAGE(OP_ECHO, 0, 0));
    stop_server();
}

static kpio_handle kept;
static int64_t reply_late(void *arg) {
    int64_t header = kpio_ipc_receive(endpoint, kt_soon());
    if (header < 0) return header;
    (void)kpio_event_wait(kept, 2, 0, kt_soon());
    message_handle(0, kept, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    return kpio_ipc_reply(KPIO_MESSAGE(0, 0, 1));
}

KT_TEST(handles_of_a_late_reply_stay) {
    struct thread late;
    int64_t result;
    endpoint = KT_HANDLE(kpio_endpoint_create());
    kept = KT_HANDLE(kpio_event_create());
    KT_EQUAL(thread_spawn(&late, "late", reply_late, NULL, NULL, 0), 0);
    kt_blocked(late.handle);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(1, 0, 0), time_after_ms(5)), ETIMEDOUT);
    KT_OK(kpio_event_signal(kept, 0, 2));
    KT_EQUAL(thread_join(&late, &result), 0);
    KT_EQUAL(result, -ECANCELED);
    KT_EQUAL(kpio_event_signal(kept, 2, 1), 1);
    kt_close(kept);
    kt_close(endpoint);
}

// A caller may give up in the very moment of the reply: the server is told that, and nothing else.
static int64_t serve_the_impatient(void *arg) {
    int64_t wrong = 0, header, result;
    do {
        header = kpio_ipc_receive(endpoint, NEVER);
        for (volatile unsigned spin = (unsigned)time_now() % 512; spin > 0; spin--) continue;
        result = kpio_ipc_reply(KPIO_MESSAGE(0, 0, 0));
        if (result != 0 && result != -ECANCELED) wrong = result;
    } while (header < 0 || KPIO_MESSAGE_LABEL(header) != OP_STOP);
    return wrong;
}

KT_TEST(callers_that_give_up_during_the_reply) {
    struct thread impatient;
    int64_t wrong;
    unsigned late = 0;
    endpoint = KT_HANDLE(kpio_endpoint_create());
    KT_EQUAL(thread_spawn(&impatient, "impatient", serve_the_impatient, NULL, NULL, 0), 0);
    for (unsigned i = 0; i < 20000; i++) {
        const int64_t result = kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ECHO, 0, 0), time_now() + i % 64 * 1000);
        if (result != 0) KT_EQUAL(result, -ETIMEDOUT);
        late += result != 0;
    }
    KT_EQUAL(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_STOP, 0, 0), NEVER), 0);
    KT_EQUAL(thread_join(&impatient, &wrong), 0);
    KT_EQUAL(wrong, 0);
    kt_note("%u of 20000 gave up", late);
    kt_close(endpoint);
}

KT_TEST(server_thread_that_ends_releases_its_caller) {
    start_server();
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_DIE, 0, 0), kt_soon()), EPIPE);
    KT_EQUAL(thread_join(&server, NULL), 0);
    kt_close(release);
    kt_close(endpoint);
}

KT_CHILD(dying_server) {
    kpio_handle e = startup_handle("endpoint");
    (void)kpio_ipc_receive(e, NEVER);
    __asm__ volatile("movl $1, (%0)" : : "r"(8ul) : "memory");
    return 0;
}

KT_TEST(server_process_that_crashes_releases_its_callers) {
    kpio_handle e = KT_HANDLE(kpio_endpoint_create());
    kpio_handle caller = KT_HANDLE(kpio_handle_dup(e, KPIO_RIGHT_CALL));
    struct process_grant grant = {"endpoint", e, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    kpio_handle child = kt_spawn("dying_server", &grant, 1);
    KT_ERROR(kpio_ipc_call(caller, KPIO_MESSAGE(1, 0, 0), kt_soon()), EPIPE);
    KT_CHECK(kt_wait(child) < 0);
    KT_ERROR(kpio_ipc_call(caller, KPIO_MESSAGE(1, 0, 0), kt_soon()), EPIPE);  // nobody can receive any more
    kt_close(caller);
}

// The handle of a call that is under way ends: each of these waits until it is, with nobody's speed in between.
static kpio_handle to_end;
static bool to_end_served;
static void until_under_way(void) {
    while (to_end_served && !__atomic_load_n(&held, __ATOMIC_ACQUIRE)) (void)kpio_thread_yield();
    if (!to_end_served) (void)kt_wait_queued(endpoint);
}
static int64_t revoke_it(void *arg) {
    until_under_way();
    return kpio_handle_revoke(to_end, 1);
}
static int64_t close_it(void *arg) {
    until_under_way();
    return kpio_handle_close((uint64_t)to_end);
}
static int64_t let_it_expire(void *arg) {
    until_under_way();
    return kpio_handle_expire(to_end, time_after_ms(1));
}

static void call_ends_with_its_handle(int64_t (*how)(void *), bool served) {
    struct thread other;
    int64_t result;
    if (served) start_server();
    else endpoint = KT_HANDLE(kpio_endpoint_create());
    to_end = KT_HANDLE(kpio_handle_dup(endpoint, KPIO_RIGHT_CALL | KPIO_RIGHT_EXPIRE));
    to_end_served = served;
    KT_EQUAL(thread_spawn(&other, "other", how, NULL, NULL, 0), 0);
    KT_ERROR(kpio_ipc_call(to_end, KPIO_MESSAGE(OP_HOLD, 0, 0), kt_soon()), ECANCELED);
    KT_ERROR(kpio_ipc_call(to_end, KPIO_MESSAGE(OP_ECHO, 0, 0), kt_soon()), EBADF);
    KT_EQUAL(thread_join(&other, &result), 0);
    KT_CHECK(result >= 0);
    if (served) {
        release_server();
        stop_server();
    } else {
        kt_close(endpoint);
    }
}
KT_TEST(queued_call_ends_when_its_handle_is_revoked) { call_ends_with_its_handle(revoke_it, false); }
KT_TEST(served_call_ends_when_its_handle_is_revoked) { call_ends_with_its_handle(revoke_it, true); }
KT_TEST(queued_call_ends_when_its_handle_is_closed) { call_ends_with_its_handle(close_it, false); }
KT_TEST(served_call_ends_when_its_handle_is_closed) { call_ends_with_its_handle(close_it, true); }
KT_TEST(queued_call_ends_when_its_handle_expires) { call_ends_with_its_handle(let_it_expire, false); }
KT_TEST(served_call_ends_when_its_handle_expires) { call_ends_with_its_handle(let_it_expire, true); }

static int64_t send_one(void *arg) { return kpio_ipc_send(endpoint, KPIO_MESSAGE(9, 0, 0), kt_soon()); }

KT_TEST(send_waits_for_a_receiver_only) {
    struct thread sender;
    int64_t result;
    endpoint = KT_HANDLE(kpio_endpoint_create());
    KT_ERROR(kpio_ipc_send(endpoint, KPIO_MESSAGE(9, 0, 0), time_after_ms(2)), ETIMEDOUT);
    KT_EQUAL(thread_spawn(&sender, "sender", send_one, NULL, NULL, 0), 0);
    KT_EQUAL(kpio_ipc_receive(endpoint, kt_soon()), KPIO_MESSAGE(9, 0, 0));
    KT_ERROR(kpio_ipc_reply(0), EINVAL);  // a send wants none
    KT_EQUAL(thread_join(&sender, &result), 0);
    KT_EQUAL(result, 0);
    kt_close(endpoint);
}

static int64_t call_one(void *arg) { return kpio_ipc_call(endpoint, KPIO_MESSAGE((uint64_t)arg, 0, 0), kt_soon()); }

KT_TEST(saved_replies_are_answered_in_any_order) {
    struct thread callers[4];
    kpio_handle replies[4];
    uint32_t labels[4];
    endpoint = KT_HANDLE(kpio_endpoint_create());
    for (uint64_t i = 0; i < 4; i++) KT_EQUAL(thread_spawn(&callers[i], "caller", call_one, (void *)(i + 1), NULL, 0), 0);
    for (unsigned i = 0; i < 4; i++) {
        labels[i] = KPIO_MESSAGE_LABEL(KT_OK(kpio_ipc_receive(endpoint, kt_soon())));
        KT_ERROR(kpio_ipc_receive(endpoint, 0), EBUSY);
        replies[i] = KT_HANDLE(kpio_reply_save());
    }
    for (unsigned i = 4; i-- > 0;) KT_EQUAL(kpio_reply_send(replies[i], KPIO_MESSAGE(labels[i] * 10, 0, 0)), 0);
    for (uint64_t i = 0; i < 4; i++) {
        int64_t result;
        KT_EQUAL(thread_join(&callers[i], &result), 0);
        KT_EQUAL(result, KPIO_MESSAGE((i + 1) * 10, 0, 0));
        KT_ERROR(kpio_reply_send(replies[i], 0), EBADF);  // used up
    }
    kt_close(endpoint);
}

KT_TEST(dropped_reply_right_releases_the_caller) {
    struct thread caller;
    int64_t result;
    endpoint = KT_HANDLE(kpio_endpoint_create());
    KT_EQUAL(thread_spawn(&caller, "caller", call_one, (void *)1, NULL, 0), 0);
    KT_OK(kpio_ipc_receive(endpoint, kt_soon()));
    kt_close(KT_HANDLE(kpio_reply_save()));
    KT_EQUAL(thread_join(&caller, &result), 0);
    KT_EQUAL(result, -EPIPE);
    kt_close(endpoint);
}

static int64_t many_calls(void *arg) {
    uint64_t *words = thread_message();
    for (uint64_t i = 0; i < 2000; i++) {
        words[0] = i;
        words[1] = (uint64_t)arg;
        if (kpio_ipc_call(endpoint, KPIO_MESSAGE(OP_ADD, 16, 0), kt_soon()) != 8) return -1;
        if (words[0] != i + (uint64_t)arg) return -2;
    }
    return 0;
}

KT_TEST(many_callers_of_one_server) {
    struct thread callers[8];
    start_server();
    for (uint64_t i = 0; i < 8; i++) KT_EQUAL(thread_spawn(&callers[i], "caller", many_calls, (void *)i, NULL, 0), 0);
    for (unsigned i = 0; i < 8; i++) {
        int64_t result;
        KT_EQUAL(thread_join(&callers[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    stop_server();
}

KT_TEST(port_tells_of_waiting_callers) {
    struct thread caller;
    struct kpio_port_packet packet;
    int64_t result;
    endpoint = KT_HANDLE(kpio_endpoint_create());
    kpio_handle port = KT_HANDLE(kpio_port_create());
    KT_EQUAL(kpio_port_bind(port, endpoint, KPIO_SIGNAL_READABLE, 5, 1), 0);
    KT_EQUAL(thread_spawn(&caller, "caller", call_one, (void *)1, NULL, 0), 0);
    KT_EQUAL(kpio_port_wait(port, &packet, 1, kt_soon()), 1);
    KT_EQUAL(packet.key, 5);
    KT_EQUAL(packet.signals, KPIO_SIGNAL_READABLE);
    KT_OK(kpio_ipc_receive(endpoint, 0));
    KT_EQUAL(kpio_ipc_reply(KPIO_MESSAGE(3, 0, 0)), 0);
    KT_EQUAL(thread_join(&caller, &result), 0);
    KT_EQUAL(result, KPIO_MESSAGE(3, 0, 0));
    kt_close(port);
    kt_close(endpoint);
}
