// posixd's messages. Grants: endpoint (receive on it, and make badged ones), keeper, console (the system with LOG, or none),
// job (INSPECT, KILL, WAIT: to find processes again; DUPLICATE, TRANSFER: to lend them to who waits for them).
#include "lib/string.h"
#include "protocols/gen/node.h"
#include "protocols/gen/posix.h"
#include "user/posixd/posixd.h"

// ---- replies ----------------------------------------------------------------------------------------------------------------

// Handles of the reply that is being made: closed when it is out.
static kpio_handle closing[2];
static uint32_t closing_count;

void reply_closes(kpio_handle handle) { closing[closing_count++] = handle; }

static void close_all(void) {
    while (closing_count > 0) (void)kpio_handle_close((uint64_t)closing[--closing_count]);
}

// ---- serving ----------------------------------------------------------------------------------------------------------------

// Does something that may mean messages of posixd's own, which take the page of the one there.
static void with_message_kept(uint64_t header, void (*run)(void)) {
    static uint8_t bytes[KPIO_MESSAGE_MAX];
    struct kpio_message_handle handles[KPIO_MESSAGE_HANDLES_MAX];
    memcpy(bytes, thread_message(), KPIO_MESSAGE_BYTES(header));
    memcpy(handles, thread_self()->handles, sizeof handles);
    run();
    memcpy(thread_message(), bytes, KPIO_MESSAGE_BYTES(header));
    memcpy(thread_self()->handles, handles, sizeof handles);
}

// What has happened before the message was sent.
static void hear_first(uint64_t header) {
    struct kpio_wait_item item = {.handle = watch_port(), .signals = KPIO_SIGNAL_READABLE};
    if (kpio_handle_wait_many(&item, 1, 0) > 0) with_message_kept(header, watch_hear);
}

// id: of a request that must not be done twice, or NULL.
static uint64_t serve(uint64_t header, uint64_t badge, const struct identity *id) {
    const uint32_t label = KPIO_MESSAGE_LABEL(header);
    mutex_lock(&state_lock);
    uint64_t reply = id != NULL ? answer_again(id, header) : KPIO_REPLY_NONE;
    if (reply == KPIO_REPLY_NONE) {
        hear_first(header);
        reply = label >> 8 == NODE_OPEN >> 8 ? node_serve(header, badge) : posix_serve(header, badge);
        if (id != NULL) answer_keep(id, label, reply);
    }
    if (journal_keys() > 0) with_message_kept(reply, settle);
    else settle();
    mutex_unlock(&state_lock);
    return reply;
}

// header: of the message that has come meanwhile, or 0.
static void delivered(const struct identity *id, uint64_t header) {
    mutex_lock(&state_lock);
    answer_delivered(id);
    if (journal_keys() > 0) with_message_kept(header, settle);
    else settle();
    mutex_unlock(&state_lock);
}

// The header of the next message, or a negative errno. Telling of the first reply means a message of posixd's own, and so does
// forgetting that to an open: nothing is received before that.
static int64_t reply_and_receive(kpio_handle endpoint, uint64_t reply, bool opened, const struct identity *id) {
    static bool serving;
    const bool apart = opened || !serving;
    int64_t header = apart ? kpio_ipc_reply(reply) : kpio_ipc_reply_receive(endpoint, reply, KPIO_TIME_NEVER);
    crash_step();
    if (id != NULL && header != -ECANCELED) delivered(id, !apart && header > 0 ? (uint64_t)header : 0);
    close_all();
    if (!serving) keep_tell_serving();
    serving = true;
    return apart ? kpio_ipc_receive(endpoint, KPIO_TIME_NEVER) : header;
}

static int64_t run(kpio_handle endpoint) {
    int64_t header = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    for (;;) {
        if (header == -ECANCELED || header == -EINTR) {
            header = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
            continue;
        }
        if (header < 0) return header;
        struct identity id;
        const struct identity *once = identify((uint64_t)header, &id) ? &id : NULL;
        const bool opens = KPIO_MESSAGE_LABEL((uint64_t)header) == NODE_OPEN;
        const uint64_t reply = serve((uint64_t)header, thread_self()->badge, once);
        header = reply_and_receive(endpoint, reply, opens, once);
    }
}

// ---- beginning --------------------------------------------------------------------------------------------------------------

static void begin_state(void) {
    if (startup_handle("console") > 0) tty_init(tty_change(&state->ttys[0]), TTY_CONSOLE);
    console_set_up(true);
    *(uint64_t *)state_change(&state->magic, sizeof state->magic) = STATE_MAGIC;
    state_commit();
}

int main(int argc, char **argv) {
    crash_set_up();
    int64_t result = keep_state();
    if (result == 0) begin_state();
    else console_set_up(false);
    if (result >= 0) {
        int64_t error = watch_start();
        if (error == 0 && result == 1) error = keep_restore();
        if (error == 0 && startup_handle("console") > 0) error = console_start();
        result = error;
    }
    if (result == 0) result = run(startup_handle("endpoint"));
    print("posixd: %s\n", error_name(result));
    return 1;
}
