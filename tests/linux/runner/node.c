#include "tests/linux/runner/node.h"

#include "lib/string.h"
#include "protocols/gen/node.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/node.h"

#define PAGE 4096u
static kpio_handle endpoint, event, memory, weak, small, lent[SERVED_COUNT];

static uint64_t error_of(int error) { return KPIO_MESSAGE(error, 0, 0); }

static uint64_t memory_reply(kpio_handle handle, uint64_t offset, uint32_t handles) {
    const struct node_map_reply reply = {.offset = offset};
    memcpy(thread_message(), &reply, sizeof reply);
    for (uint32_t i = 0; i < handles; i++) message_handle(i, handle, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    return KPIO_MESSAGE(0, offsetof(struct node_map_reply, memory), handles);
}

// A handle of its own for what is answered: the request before that is revoked then.
static uint64_t revoked_reply(void) {
    const int64_t handle = lent[SERVED_REVOKED] > 0 ? 0 : kpio_handle_dup(memory, KPIO_RIGHTS_SAME);
    if (handle > 0) lent[SERVED_REVOKED] = (kpio_handle)handle;
    return memory_reply(lent[SERVED_REVOKED], 0, 1);
}

static uint64_t map(enum served how) {
    switch (how) {
    case SERVED_WELL: return memory_reply(memory, ((const struct node_map_request *)thread_message())->offset, 1);
    case SERVED_READ_ONLY: return memory_reply(weak, 0, 1);
    case SERVED_WITHOUT_HANDLE: return memory_reply(0, 0, 0);
    case SERVED_EVENT: return memory_reply(event, 0, 1);
    case SERVED_WILD_OFFSET: return memory_reply(memory, 0 - (uint64_t)PAGE, 1);
    case SERVED_ODD_OFFSET: return memory_reply(memory, 1, 1);
    case SERVED_SMALL: return memory_reply(small, 0, 1);
    case SERVED_MANY_HANDLES: return memory_reply(memory, 0, 4);
    case SERVED_WILD_ERROR: return error_of(0x7fffffff);
    case SERVED_OWN_ERROR: return error_of(NODE_RESTART);
    case SERVED_SHORT: return message_handle(0, memory, KPIO_RIGHTS_SAME, KPIO_SEND_COPY), KPIO_MESSAGE(0, 0, 1);
    case SERVED_REVOKED: return revoked_reply();
    default: return error_of(ENODEV);
    }
}

// Results that are no transfers, and more than there is.
static uint64_t transfer(enum served how) {
    const struct node_read_reply reply = {.result = how == SERVED_WELL ? 0 : how == SERVED_OWN_ERROR ? -516 : INT64_MAX, .data_size = 4000};
    if (how == SERVED_SHORT) return KPIO_MESSAGE(0, 0, 0);
    memcpy(thread_message(), &reply, offsetof(struct node_read_reply, data));
    return KPIO_MESSAGE(0, offsetof(struct node_read_reply, data), 0);
}

// The last handle that was lent for it goes, with what is mapped of it.
static uint64_t revoke(void) {
    (void)kpio_handle_revoke((uint64_t)lent[SERVED_REVOKED], 1);
    lent[SERVED_REVOKED] = KPIO_HANDLE_NONE;
    const struct node_ioctl_reply reply = {.result = 0};
    memcpy(thread_message(), &reply, offsetof(struct node_ioctl_reply, output));
    return KPIO_MESSAGE(0, offsetof(struct node_ioctl_reply, output), 0);
}

static uint64_t serve(uint64_t header, enum served how) {
    switch (KPIO_MESSAGE_LABEL(header)) {
    case NODE_MAP: return map(how);
    case NODE_READ:
    case NODE_WRITE: return transfer(how);
    case NODE_IOCTL: return how == SERVED_REVOKED ? revoke() : error_of(EINVAL);
    default: return error_of(ENOSYS);
    }
}

static int64_t run(void *arg) {
    int64_t header = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    while (header > 0) {
        const enum served how = (enum served)(thread_self()->badge - 1);
        const int64_t later = how == SERVED_DROPPED ? kpio_reply_save() : -ENOENT;
        if (later > 0) (void)kpio_handle_close((uint64_t)later);
        const uint64_t reply = serve((uint64_t)header, how);
        header = later > 0 ? kpio_ipc_receive(endpoint, KPIO_TIME_NEVER) : kpio_ipc_reply_receive(endpoint, reply, KPIO_TIME_NEVER);
    }
    return header;
}

static int64_t make_memory(void) {
    static const char text[] = "served";
    int64_t made = kpio_vmo_create(2 * (uint64_t)PAGE, 0);
    if (made < 0) return made;
    memory = (kpio_handle)made;
    made = kpio_vmo_write(memory, PAGE, (const uint8_t *)text, sizeof text);
    if (made >= 0) made = kpio_vmo_create(PAGE, 0);
    if (made < 0) return made;
    small = (kpio_handle)made;
    made = kpio_handle_dup(memory, KPIO_RIGHT_READ | KPIO_RIGHT_MAP | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER);
    if (made > 0) weak = (kpio_handle)made;
    return made;
}

int64_t node_start(struct lx_launch_fd fds[SERVED_COUNT]) {
    static struct thread thread;
    int64_t result = make_memory();
    if (result >= 0) result = kpio_endpoint_create();
    if (result < 0) return result;
    endpoint = (kpio_handle)result;
    result = kpio_event_create();
    if (result < 0) return result;
    event = (kpio_handle)result;
    for (unsigned i = 0; i < SERVED_COUNT; i++) {
        result = kpio_handle_dup_badged(endpoint, KPIO_RIGHT_CALL | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT, i + 1);
        if (result < 0) return result;
        fds[i] = (struct lx_launch_fd){.number = NODE_FIRST + (int)i, .handle = event, .second = (kpio_handle)result,
                                       .kind = LX_KIND_NODE, .flags = LX_FD_READ | LX_FD_WRITE};
    }
    return thread_spawn(&thread, "node", run, NULL, NULL, 0);
}
