#include "user/liblinux/node.h"

#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "protocols/gen/node.h"
#include "user/libkpio/node.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/local.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/time.h"

#define ATTEMPTS 100u
#define PAUSE_NS 1000000ull
#define REPLY_HEAD 128u      // bytes that the fixed parts of a node's replies have at most
#define ERRORS_END 512u      // no errno of Linux's is that large; from there on are the library's own

int64_t lx_node_call(struct lx_thread *t, kpio_handle endpoint, uint32_t label, const void *request, uint64_t size,
                     const kpio_handle *handles, uint32_t count) {
    int64_t result = -EIO;
    for (unsigned attempt = 0; attempt < ATTEMPTS;) {
        memcpy((void *)t->block->message, request, size);
        for (unsigned i = 0; i < count; i++)
            t->block->handles[i] = (struct kpio_message_handle){.handle = handles[i], .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_COPY};
        result = kpio_ipc_call(endpoint, KPIO_MESSAGE(label, size, count), KPIO_TIME_NEVER);
        if (result == -EINTR) {
            __atomic_store_n(&t->pending, 1, __ATOMIC_SEQ_CST);
            continue;
        }
        if (result != -EPIPE) break;
        uint32_t word = 0;
        (void)kpio_futex_wait((uint64_t)&word, 0, UINT32_MAX, lx_now() + PAUSE_NS, 0);
        attempt++;
    }
    if (result < 0) return result == -EPIPE ? -EIO : result;
    const uint64_t bytes = KPIO_MESSAGE_BYTES(result), error = KPIO_MESSAGE_LABEL(result);
    // A reply that is too short has zeros where the request stood.
    if (bytes < REPLY_HEAD) memset((char *)t->block->message + bytes, 0, REPLY_HEAD - bytes);
    if (error == 0) return result;
    (void)lx_node_handles(t, result, 0);
    return error < ERRORS_END ? -(int64_t)error : -EIO;
}

bool lx_node_handles(struct lx_thread *t, int64_t header, uint32_t count) {
    const uint32_t came = (uint32_t)KPIO_MESSAGE_HANDLES(header);
    if (came == count) return true;
    for (uint32_t i = 0; i < came; i++)
        if (t->block->handles[i].handle > 0) (void)kpio_handle_close((uint64_t)t->block->handles[i].handle);
    return false;
}

// What a server says of a transfer or request: within its bounds, and none of the library's own results.
static int64_t result_of(int64_t result, int64_t most) {
    if (result > most || result <= -(int64_t)ERRORS_END) return -EIO;
    return result;
}

static const void *reply_of(const struct lx_thread *t) { return (const void *)t->block->message; }

// ---- opening, looking -----------------------------------------------------------------------------------------------------

static bool copy_path(char to[64], const char *path) {
    size_t bytes = strnlen(path, 64);
    if (bytes == 64) return false;
    memcpy(to, path, bytes + 1);
    return true;
}

int64_t lx_node_open(struct lx_thread *t, const char *path, uint64_t flags, struct lx_fd *out) {
    struct node_open_request request = {LX_NODE_WHO(t), .flags = flags & LX_O_NOCTTY ? NODE_NO_CONTROL : 0};
    if (lx_process(t)->posixd <= 0 || !copy_path(request.path, path)) return -ENOENT;
    int64_t result = lx_node_call(t, lx_process(t)->posixd, NODE_OPEN, &request, sizeof request, NULL, 0);
    if (result < 0) return result;
    if (!lx_node_handles(t, result, 2)) return -EIO;
    *out = (struct lx_fd){.handle = t->block->handles[0].handle,
                          .second = t->block->handles[1].handle,
                          .kind = LX_KIND_NODE};
    if (out->handle <= 0 || out->second <= 0) {
        lx_fd_close(out);
        return -EMFILE;
    }
    if (flags & LX_O_NONBLOCK) (void)lx_object_flags(out->handle, 0, KPIO_OBJECT_NONBLOCK);
    return 0;
}

static int64_t stat_of(struct lx_thread *t, kpio_handle endpoint, const char *path, struct kpio_stat *out) {
    struct node_stat_request request = {.pid = lx_process(t)->pid};
    if (endpoint <= 0 || !copy_path(request.path, path)) return -ENOENT;
    int64_t result = lx_node_call(t, endpoint, NODE_STAT, &request, sizeof request, NULL, 0);
    if (result < 0) return result;
    const struct node_stat_reply *reply = reply_of(t);
    out->inode = reply->inode;
    out->mode = reply->mode;
    out->device = reply->number;
    out->links = 1;
    out->block_size = 1024;
    return 0;
}

int64_t lx_node_stat(struct lx_thread *t, const char *path, struct kpio_stat *out) { return stat_of(t, lx_process(t)->posixd, path, out); }

static int64_t served_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    lx_local_stat_begin(&lx_local_dev, out);
    return stat_of(t, fd->second, "", out);
}

int64_t lx_node_path(struct lx_thread *t, const struct lx_fd *fd, char out[64]) {
    struct kpio_stat stat;
    int64_t error = served_stat(t, fd, &stat);
    if (error != 0) return error;
    memcpy(out, ((const struct node_stat_reply *)reply_of(t))->name, 64);
    out[63] = 0;
    return 0;
}

int64_t lx_node_list(struct lx_thread *t, const char *path, uint64_t index, char name[256], uint64_t *inode, uint8_t *type) {
    struct node_list_request request = {.index = (uint32_t)index};
    if (lx_process(t)->posixd <= 0 || !copy_path(request.path, path)) return -ENOENT;
    int64_t result = lx_node_call(t, lx_process(t)->posixd, NODE_LIST, &request, sizeof request, NULL, 0);
    if (result < 0) return result;
    const struct node_list_reply *reply = reply_of(t);
    *inode = reply->inode;
    *type = (uint8_t)(reply->mode >> 12);
    memcpy(name, reply->name, sizeof reply->name);
    name[sizeof reply->name - 1] = 0;
    return 0;
}

// ---- reading and writing ------------------------------------------------------------------------------------------------------

static uint32_t flags_of(const struct lx_thread *t, const struct lx_fd *fd) {
    const struct lx_signal_action *actions = lx_process(t)->signals->actions;
    bool no_in = t->blocked & LX_SIGNAL_BIT(LX_SIGTTIN) || actions[LX_SIGTTIN].handler == LX_SIG_IGN;
    bool no_out = t->blocked & LX_SIGNAL_BIT(LX_SIGTTOU) || actions[LX_SIGTTOU].handler == LX_SIG_IGN;
    const bool nowait = lx_object_flags(fd->handle, 0, 0) & KPIO_OBJECT_NONBLOCK;
    return (nowait ? NODE_NOWAIT : 0u) | (no_in ? NODE_NO_TTIN : 0u) | (no_out ? NODE_NO_TTOU : 0u);
}

static int64_t wait_for(struct lx_thread *t, const struct lx_fd *fd, uint32_t bits, uint64_t deadline) {
    return lx_block(t, SYS_event_wait, (uint64_t)(uint32_t)fd->handle, bits, 0, deadline, 0, 0);
}

// A signal is on its way to this thread's process, because of this call.
static int64_t begin_again(struct lx_thread *t) {
    lx_posix_expect(t);
    return -LX_RESTART;
}

// As long as the server said; *flags then tell it that the time is over.
static int64_t wait_to_read(struct lx_thread *t, const struct lx_fd *fd, uint32_t timeout, uint32_t *flags) {
    const uint64_t tenths = timeout & ~NODE_WHOLE_TIMEOUT;
    const uint32_t bits = timeout & NODE_WHOLE_TIMEOUT ? NODE_HANGUP : NODE_READABLE | NODE_HANGUP;
    int64_t result = wait_for(t, fd, bits, tenths == 0 ? KPIO_TIME_NEVER : lx_now() + tenths * 100000000);
    if (result == -ETIMEDOUT) *flags |= NODE_EXPIRED;
    if (result == -EINTR) return -LX_RESTART;
    return result < 0 && result != -ETIMEDOUT ? -EIO : 0;
}

// Once: bytes or -EAGAIN, with the server's *timeout.
static int64_t read_some(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, uint32_t flags, uint32_t *timeout) {
    const struct node_read_request request = {LX_NODE_WHO(t), .flags = flags, .size = (uint32_t)MIN(size, NODE_DATA_MAX)};
    int64_t result = lx_node_call(t, fd->second, NODE_READ, &request, sizeof request, NULL, 0);
    if (result < 0) return result;
    if (!lx_node_handles(t, result, 0)) return -EIO;
    const struct node_read_reply *reply = reply_of(t);
    *timeout = reply->timeout;
    if (reply->result == -NODE_RESTART) return begin_again(t);
    result = result_of(reply->result, request.size);
    if (result <= 0) return result;
    int64_t error = lx_copy_out(buffer, reply->data, (uint64_t)result);
    return error < 0 ? error : result;
}

static int64_t served_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    uint32_t flags = flags_of(t, fd), timeout = 0;
    uint64_t done = 0;
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    for (;;) {
        int64_t result = read_some(t, fd, buffer + done, size - done, flags, &timeout);
        if (result > 0) done += (uint64_t)result;
        if (result > 0 && done < size && timeout & NODE_MORE) flags |= NODE_NOWAIT;
        else if (result == -EAGAIN && !(flags & NODE_NOWAIT)) {
            result = wait_to_read(t, fd, timeout, &flags);
            if (result < 0) return result;
        } else return done > 0 ? (int64_t)done : result;
    }
}

// What one message holds: how many bytes were taken.
static int64_t write_some(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, uint32_t flags) {
    struct node_write_request request = {LX_NODE_WHO(t), .flags = flags, .data_size = (uint32_t)MIN(size, NODE_DATA_MAX)};
    int64_t result = lx_copy_in(request.data, buffer, request.data_size);
    if (result == 0)
        result = lx_node_call(t, fd->second, NODE_WRITE, &request, offsetof(struct node_write_request, data) + request.data_size, NULL, 0);
    if (result < 0) return result;
    if (!lx_node_handles(t, result, 0)) return -EIO;
    result = ((const struct node_write_reply *)reply_of(t))->result;
    return result == -NODE_RESTART ? result : result_of(result, request.data_size);
}

static int64_t served_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    const uint32_t flags = flags_of(t, fd);
    uint64_t done = 0;
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    while (done < size) {
        int64_t result = write_some(t, fd, buffer + done, size - done, flags);
        if (result == -NODE_RESTART) result = begin_again(t);
        else if (result == -EAGAIN && !(flags & NODE_NOWAIT)) {
            result = wait_for(t, fd, NODE_WRITABLE | NODE_HANGUP, KPIO_TIME_NEVER);
            if (result >= 0) continue;
            result = result == -EINTR ? -LX_RESTART : -EIO;
        }
        if (result <= 0) return done > 0 ? (int64_t)done : result;
        done += (uint64_t)result;
    }
    return (int64_t)done;
}

// ---- ioctl --------------------------------------------------------------------------------------------------------------------

enum { TERMIOS = 36, WINSIZE = 8, TIOCGPTPEER = 0x5441 };
struct shape {                       // bytes that the argument points to
    uint8_t in, out;
};

// Requests from before numbers told their sizes.
static struct shape shape_of_old(uint32_t code) {
    switch (code) {
    case 0x5401: return (struct shape){0, TERMIOS};                         // TCGETS
    case 0x5402: case 0x5403: case 0x5404: return (struct shape){TERMIOS, 0};  // TCSETS, W, F
    case 0x540f: case 0x5411: case 0x541b: case 0x5429: return (struct shape){0, 4};  // TIOCGPGRP, TIOCOUTQ, FIONREAD, TIOCGSID
    case 0x5410: return (struct shape){4, 0};                               // TIOCSPGRP
    case 0x5412: return (struct shape){1, 0};                               // TIOCSTI
    case 0x5413: return (struct shape){0, WINSIZE};                         // TIOCGWINSZ
    case 0x5414: return (struct shape){WINSIZE, 0};                         // TIOCSWINSZ
    default: return (struct shape){0, 0};
    }
}

static struct shape shape_of(uint32_t code) {
    const uint32_t bytes = code >> 16 & 0x3fff, direction = code >> 30;
    if (direction == 0 || bytes > NODE_IOCTL_MAX - 1) return shape_of_old(code);
    return (struct shape){direction & 1 ? (uint8_t)bytes : 0, direction & 2 ? (uint8_t)bytes : 0};
}

static int64_t open_peer(struct lx_thread *t, const struct lx_fd *fd, uint64_t flags);

static int64_t served_ioctl(struct lx_thread *t, const struct lx_fd *fd, uint64_t code, uint64_t argument) {
    struct node_ioctl_request request = {LX_NODE_WHO(t), .flags = flags_of(t, fd), .code = (uint32_t)code, .argument = argument};
    const struct shape shape = shape_of((uint32_t)code);
    if ((uint32_t)code == TIOCGPTPEER) return open_peer(t, fd, argument);
    int64_t result = lx_copy_in(request.input, argument, shape.in);
    if (result < 0) return result;
    request.input_size = shape.in;
    result = lx_node_call(t, fd->second, NODE_IOCTL, &request, offsetof(struct node_ioctl_request, input) + shape.in, NULL, 0);
    if (result < 0) return result;
    if (!lx_node_handles(t, result, 0)) return -EIO;
    const struct node_ioctl_reply *reply = reply_of(t);
    if (reply->result == -NODE_RESTART) return begin_again(t);
    result = result_of(reply->result, INT64_MAX);
    if (result >= 0 && shape.out > 0 && reply->output_size <= shape.out) {
        int64_t error = lx_copy_out(argument, reply->output, reply->output_size);
        if (error < 0) return error;
    }
    return result;
}

// The slave of a master, without a path.
#define TIOCGPTN 0x80045430u
static int64_t open_peer(struct lx_thread *t, const struct lx_fd *fd, uint64_t flags) {
    static const uint8_t access[] = {LX_FD_READ, LX_FD_WRITE, LX_FD_READ | LX_FD_WRITE, 0};
    const struct node_ioctl_request request = {LX_NODE_WHO(t), .code = TIOCGPTN};
    char path[16] = "pts/";
    struct lx_fd slave;
    int64_t result = lx_node_call(t, fd->second, NODE_IOCTL, &request, offsetof(struct node_ioctl_request, input), NULL, 0);
    const struct node_ioctl_reply *reply = reply_of(t);
    if (result < 0 || reply->result < 0) return result < 0 ? result : reply->result;
    const uint32_t number = reply->output[0];
    if (number >= 10) path[4] = (char)('0' + number / 10);
    path[number >= 10 ? 5 : 4] = (char)('0' + number % 10);
    result = lx_node_open(t, path, flags, &slave);
    if (result < 0) return result;
    slave.flags |= (uint8_t)(access[flags & LX_O_ACCMODE] | (flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0));
    return lx_fd_install(lx_process(t), &slave, 0);
}

const struct lx_fd_ops lx_node_ops = {
    .read = served_read, .write = served_write, .status = lx_object_status, .ioctl = served_ioctl, .stat = served_stat,
};
