// posixd's messages. Grants: endpoint (receive on it, and make badged ones), keeper, console (the system with LOG, or none),
// job (INSPECT, KILL, WAIT, MANAGE: to find processes again).
#include "lib/string.h"
#include "protocols/gen/node.h"
#include "protocols/gen/posix.h"
#include "user/posixd/posixd.h"

struct state *state;
struct mutex state_lock;

// ---- replies ----------------------------------------------------------------------------------------------------------------

// Handles of the reply that is being made: closed when it is out.
static kpio_handle closing[2];
static uint32_t closing_count;

void reply_closes(kpio_handle handle) { closing[closing_count++] = handle; }

static void close_all(void) {
    while (closing_count > 0) (void)kpio_handle_close((uint64_t)closing[--closing_count]);
}

// A reply whose caller was interrupted before it came: the caller sends the message again, and must find it done.
#define UNDELIVERED_MAX 32u
static struct undelivered {
    uint32_t tid, label;
    uint64_t serial, reply;
    kpio_handle handles[2];
    struct kpio_message_handle sent[2];
    uint8_t bytes[KPIO_MESSAGE_MAX];
} undelivered[UNDELIVERED_MAX];
static uint32_t undelivered_next;

struct identity {                // how the requests that must not be done twice begin
    uint32_t pid, tid;
    uint64_t serial;
};

static bool identify(uint64_t header, struct identity *out) {
    switch (KPIO_MESSAGE_LABEL(header)) {
    case NODE_OPEN: case NODE_READ: case NODE_WRITE: case NODE_IOCTL:
    case POSIX_TAKE: case POSIX_KILL: case POSIX_SETSID: case POSIX_STOP: break;
    default: return false;
    }
    if (KPIO_MESSAGE_BYTES(header) < sizeof *out) return false;
    memcpy(out, thread_message(), sizeof *out);
    return out->tid != 0;
}

static void keep(const struct identity *id, uint32_t label, uint64_t reply) {
    struct undelivered *u = &undelivered[undelivered_next++ % UNDELIVERED_MAX];
    for (unsigned i = 0; i < 2; i++)
        if (u->handles[i] > 0) (void)kpio_handle_close((uint64_t)u->handles[i]);
    *u = (struct undelivered){.tid = id->tid, .label = label, .serial = id->serial, .reply = reply};
    memcpy(u->bytes, thread_message(), KPIO_MESSAGE_BYTES(reply));
    for (unsigned i = 0; i < closing_count; i++) {
        u->handles[i] = closing[i];
        u->sent[i] = thread_self()->handles[i];
    }
    closing_count = 0;
}

// The reply that this message had already, or KPIO_REPLY_NONE.
static uint64_t find_again(const struct identity *id, uint32_t label) {
    for (unsigned i = 0; i < UNDELIVERED_MAX; i++) {
        struct undelivered *u = &undelivered[i];
        if (u->tid != id->tid || u->serial != id->serial || u->label != label) continue;
        memcpy(thread_message(), u->bytes, KPIO_MESSAGE_BYTES(u->reply));
        for (unsigned n = 0; n < 2; n++) {
            if (u->handles[n] <= 0) continue;
            thread_self()->handles[n] = u->sent[n];
            reply_closes(u->handles[n]);
            u->handles[n] = KPIO_HANDLE_NONE;
        }
        u->tid = 0;
        return u->reply;
    }
    return KPIO_REPLY_NONE;
}

// ---- serving ----------------------------------------------------------------------------------------------------------------

// What has happened before the message was sent. That may mean messages of posixd's own, which take the page of this one.
static void hear_first(uint64_t header) {
    static uint8_t bytes[KPIO_MESSAGE_MAX];
    struct kpio_message_handle handles[KPIO_MESSAGE_HANDLES_MAX];
    struct kpio_wait_item item = {.handle = watch_port(), .signals = KPIO_SIGNAL_READABLE};
    if (kpio_handle_wait_many(&item, 1, 0) <= 0) return;
    memcpy(bytes, thread_message(), KPIO_MESSAGE_BYTES(header));
    memcpy(handles, thread_self()->handles, sizeof handles);
    watch_hear();
    memcpy(thread_message(), bytes, KPIO_MESSAGE_BYTES(header));
    memcpy(thread_self()->handles, handles, sizeof handles);
}

static uint64_t serve(uint64_t header, uint64_t badge) {
    uint32_t protocol = KPIO_MESSAGE_LABEL(header) >> 8;
    mutex_lock(&state_lock);
    hear_first(header);
    uint64_t reply = protocol == NODE_OPEN >> 8 ? node_serve(header, badge) : posix_serve(header, badge);
    mutex_unlock(&state_lock);
    return reply;
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
        const uint32_t label = KPIO_MESSAGE_LABEL(header);
        const bool once = identify((uint64_t)header, &id);
        uint64_t reply = once ? find_again(&id, label) : KPIO_REPLY_NONE;
        if (reply == KPIO_REPLY_NONE) reply = serve((uint64_t)header, thread_self()->badge);
        header = kpio_ipc_reply_receive(endpoint, reply, KPIO_TIME_NEVER);
        if (header == -ECANCELED && once) keep(&id, label, reply);
        close_all();
    }
}

int main(int argc, char **argv) {
    int64_t result = keep_state();
    if (result == 0) {
        state->magic = STATE_MAGIC;
        if (startup_handle("console") > 0) tty_init(&state->ttys[0], TTY_CONSOLE);
    }
    if (result >= 0) {
        console_set_up(result == 0);
        int error = watch_start();
        if (error == 0 && result == 1) keep_restore();
        if (error == 0 && startup_handle("console") > 0) error = console_start();
        result = error;
    }
    if (result == 0) result = run(startup_handle("endpoint"));
    print("posixd: %s\n", error_name(result));
    return 1;
}
