// sendmsg and recvmsg: several pieces of memory, and descriptors and credentials beside them.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/message.h"
#include "user/liblinux/socket_names.h"
#include "user/liblinux/time.h"

enum { SOL_SOCKET = 1, SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
struct control {              // cmsghdr
    uint64_t size;            // with this header
    int32_t level, type;
};
#define PARTS_MAX   1024u
#define NUMBERS_MAX 4u        // descriptors in a message
#define CONTROL_MAX 65536u

// ---- sending -------------------------------------------------------------------------------------------------------------

static int64_t check_credentials(const struct lx_process *p, uint64_t at) {
    struct lx_credentials c;
    int64_t error = lx_copy_in(&c, at, sizeof c);
    if (error < 0) return error;
    bool uid = c.uid == p->uid || c.uid == p->euid || c.uid == p->suid, gid = c.gid == p->gid || c.gid == p->egid || c.gid == p->sgid;
    return p->euid == 0 || (c.pid == p->pid && uid && gid) ? 0 : -EPERM;
}

static int64_t take_numbers(uint64_t at, uint64_t bytes, int32_t *numbers, uint32_t *count) {
    const uint64_t more = bytes / sizeof *numbers;
    if (*count + more > NUMBERS_MAX) return more > 253 ? -EINVAL : -ETOOMANYREFS;
    int64_t error = lx_copy_in(numbers + *count, at, more * sizeof *numbers);
    if (error == 0) *count += (uint32_t)more;
    return error;
}

// What the control records ask for.
static int64_t read_control(struct lx_thread *t, const struct lx_msghdr *m, int32_t *numbers, uint32_t *count) {
    uint64_t at = m->control, left = m->control_size;
    *count = 0;
    if (left > CONTROL_MAX) return -ENOBUFS;
    while (left >= sizeof(struct control)) {
        struct control c;
        int64_t error = lx_copy_in(&c, at, sizeof c);
        if (error < 0) return error;
        if (c.size < sizeof c || c.size > left) return -EINVAL;
        const uint64_t bytes = c.size - sizeof c;
        if (c.level == SOL_SOCKET && c.type == SCM_RIGHTS) error = take_numbers(at + sizeof c, bytes, numbers, count);
        else if (c.level == SOL_SOCKET && c.type == SCM_CREDENTIALS)
            error = bytes < sizeof(struct lx_credentials) ? -EINVAL : check_credentials(lx_process(t), at + sizeof c);
        else if (c.level == SOL_SOCKET) error = -EINVAL;
        if (error < 0) return error;
        const uint64_t step = align_up(c.size, 8);
        if (step >= left) break;
        at += step;
        left -= step;
    }
    return 0;
}

static int64_t size_of(const struct lx_msghdr *m, uint64_t *size) {
    *size = 0;
    if (m->count > PARTS_MAX) return -EMSGSIZE;
    for (uint64_t i = 0; i < m->count; i++) {
        struct lx_iovec part;
        int64_t error = lx_copy_in(&part, m->parts + i * sizeof part, sizeof part);
        if (error < 0) return error;
        *size += part.size;
    }
    return 0;
}

int64_t lx_message_send(struct lx_thread *t, uint64_t number, const struct lx_msghdr *m, uint32_t flags) {
    struct lx_fd fd;
    struct lx_rights rights = {};
    int32_t numbers[NUMBERS_MAX];
    uint32_t count = 0;
    uint64_t size = 0;
    int64_t error = lx_socket_get(t, number, &fd);
    if (error == 0) error = size_of(m, &size);
    if (error == 0 && m->control_size > 0) error = read_control(t, m, numbers, &count);
    if (error < 0) return error;
    bool stream = (fd.device & LX_SOCKET_TYPES) == LX_SOCK_STREAM;
    if (flags & LX_MSG_OOB) return -EOPNOTSUPP;
    if (m->name != 0 && m->name_size != 0) return stream && fd.second > 0 ? -EISCONN : -EOPNOTSUPP;
    if (fd.second <= 0) return -ENOTCONN;
    if (size == 0 && stream) return 0;
    if (count > 0) error = lx_rights_put(t, numbers, count, &rights);
    if (error < 0) return error;
    const uint64_t options = (flags & LX_MSG_DONTWAIT ? KPIO_PIPE_NOWAIT : 0) | KPIO_PIPE_SEND_HANDLES(rights.handles);
    int64_t result = lx_block(t, SYS_pipe_write_vector, (uint64_t)fd.second, m->parts, m->count, options, KPIO_TIME_NEVER, 0);
    lx_rights_end(&rights);
    if (result == -EBUSY) return -ETOOMANYREFS;
    if (result == -EMSGSIZE && rights.handles > 0) return result;
    return likely(result >= 0) ? result : lx_socket_send_failed_vector(t, &fd, result, m->parts, m->count, flags);
}

// ---- receiving -----------------------------------------------------------------------------------------------------------

// Puts one record behind those that are there already (*used bytes); what does not fit is cut.
static int64_t put_record(struct lx_msghdr *m, uint64_t *used, int32_t type, const void *bytes, uint64_t size) {
    const uint64_t room = m->control_size - *used;
    const struct control c = {.size = sizeof c + size, .level = SOL_SOCKET, .type = type};
    if (room < c.size) {
        m->flags |= LX_MSG_CTRUNC;
        return 0;
    }
    int64_t error = lx_copy_out(m->control + *used, &c, sizeof c);
    if (error == 0) error = lx_copy_out(m->control + *used + sizeof c, bytes, size);
    *used += MIN(align_up(c.size, 8), room);
    return error;
}

static int64_t put_control(struct lx_thread *t, const struct lx_fd *fd, struct lx_msghdr *m, uint32_t flags, bool peek) {
    int32_t numbers[NUMBERS_MAX];
    uint64_t used = 0, room = m->control_size;
    int64_t error = 0;
    bool cut = false;
    if (fd->device & LX_SOCKET_CREDENTIALS) {
        const struct lx_credentials peer = lx_socket_peer(fd);
        error = put_record(m, &used, SCM_CREDENTIALS, &peer, sizeof peer);
        room = m->control_size - used;
    }
    room = room > sizeof(struct control) ? (room - sizeof(struct control)) / sizeof numbers[0] : 0;
    const uint32_t count =
        peek ? 0 : lx_rights_take(t, numbers, (uint32_t)MIN(room, (uint64_t)NUMBERS_MAX), flags & LX_MSG_CMSG_CLOEXEC, &cut);
    if (error == 0 && count > 0) error = put_record(m, &used, SCM_RIGHTS, numbers, count * sizeof numbers[0]);
    if (cut) m->flags |= LX_MSG_CTRUNC;
    m->control_size = used;
    return error;
}

static int64_t receive_rest(struct lx_thread *t, const struct lx_fd *fd, const struct lx_msghdr *m, uint64_t done, uint64_t how) {
    uint64_t skip = done;
    for (uint64_t i = 0; i < m->count; i++) {
        struct lx_iovec part;
        if (lx_copy_in(&part, m->parts + i * sizeof part, sizeof part) < 0) break;
        while (skip < part.size) {
            int64_t more =
                lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, part.base + skip, part.size - skip, how, KPIO_TIME_NEVER, 0);
            if (more <= 0) return (int64_t)done;
            done += (uint64_t)more;
            skip += (uint64_t)more;
        }
        skip -= part.size;
    }
    return (int64_t)done;
}

int64_t lx_message_receive(struct lx_thread *t, uint64_t number, struct lx_msghdr *m, uint32_t flags) {
    struct lx_fd fd;
    uint64_t size = 0;
    int64_t error = lx_socket_get(t, number, &fd);
    if (error == 0) error = size_of(m, &size);
    if (error < 0) return error;
    if (flags & LX_MSG_OOB) return -EOPNOTSUPP;
    if (flags & LX_MSG_ERRQUEUE) return -EAGAIN;
    if (fd.second <= 0) return lx_socket_unconnected(&fd);
    bool peek = flags & LX_MSG_PEEK, stream = (fd.device & LX_SOCKET_TYPES) == LX_SOCK_STREAM;
    const uint64_t wait = flags & LX_MSG_DONTWAIT ? KPIO_PIPE_NOWAIT : 0;
    const uint64_t how = wait | (peek ? KPIO_PIPE_PEEK : KPIO_PIPE_TAKE_HANDLES);
    m->flags = flags & LX_MSG_CMSG_CLOEXEC;
    if (size == 0 && stream) return m->control_size = 0;
    int64_t result = lx_block(t, SYS_pipe_read_vector, (uint64_t)fd.handle, m->parts, m->count, how, KPIO_TIME_NEVER, 0);
    if (unlikely(result < 0)) return lx_wait_result(t, result);
    error = put_control(t, &fd, m, flags, peek);
    if (flags & LX_MSG_WAITALL && !peek && stream && result > 0)
        result = receive_rest(t, &fd, m, (uint64_t)result, wait);
    const uint64_t whole = stream || (uint64_t)result < size ? (uint64_t)result : t->block->message_bytes;
    if (!stream && whole > size) {
        m->flags |= LX_MSG_TRUNC;
        if (flags & LX_MSG_TRUNC) result = (int64_t)whole;
    }
    if (!stream && fd.device & LX_SOCK_SEQPACKET & ~LX_SOCK_STREAM && result > 0) m->flags |= LX_MSG_EOR;
    if (error == 0 && m->name != 0) error = lx_socket_name_put(t, &fd, true, m->name, &m->name_size);
    else m->name_size = 0;
    return error < 0 ? error : result;
}

// ---- the calls -----------------------------------------------------------------------------------------------------------

// ABI sendmsg: at most 4 native handles beside a message: 4 descriptors, 2 of sockets; no names of datagram sockets
LX_CALL(sendmsg) {
    struct lx_msghdr m;
    int64_t error = lx_copy_in(&m, a1, sizeof m);
    return error < 0 ? error : lx_message_send(t, a0, &m, (uint32_t)a2);
}

// What receiving changes of the header.
static int64_t put_header(uint64_t at, const struct lx_msghdr *m) {
    int64_t error = lx_copy_out(at + offsetof(struct lx_msghdr, name_size), &m->name_size, sizeof m->name_size);
    if (error == 0) error = lx_copy_out(at + offsetof(struct lx_msghdr, control_size), &m->control_size, sizeof m->control_size);
    if (error == 0) error = lx_copy_out(at + offsetof(struct lx_msghdr, flags), &m->flags, sizeof m->flags);
    return error;
}

// ABI recvmsg: SCM_CREDENTIALS tells who made the connection
LX_CALL(recvmsg) {
    struct lx_msghdr m;
    int64_t error = lx_copy_in(&m, a1, sizeof m);
    if (error < 0) return error;
    int64_t result = lx_message_receive(t, a0, &m, (uint32_t)a2);
    if (result < 0) return result;
    error = put_header(a1, &m);
    return error < 0 ? error : result;
}

struct mmsghdr {
    struct lx_msghdr header;
    uint32_t size, pad;
};

LX_CALL(sendmmsg) {
    const uint32_t count = MIN((uint32_t)a2, PARTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct lx_msghdr m;
        const uint64_t at = a1 + i * sizeof(struct mmsghdr);
        int64_t result = lx_copy_in(&m, at, sizeof m);
        if (result == 0) result = lx_message_send(t, a0, &m, (uint32_t)a3);
        if (result >= 0) result = lx_copy_out(at + offsetof(struct mmsghdr, size), &(uint32_t){(uint32_t)result}, sizeof(uint32_t));
        if (result < 0) return i > 0 ? i : result;
    }
    return count;
}

// ABI recvmmsg: the time-out is looked at between messages, as on Linux
LX_CALL(recvmmsg) {
    const uint32_t count = MIN((uint32_t)a2, PARTS_MAX);
    uint32_t flags = (uint32_t)a3 & ~(uint32_t)LX_MSG_WAITFORONE;
    uint64_t deadline = KPIO_TIME_NEVER, ns;
    if (a4 != 0) {
        int64_t error = lx_timespec_in(a4, &ns);
        if (error < 0) return error;
        deadline = lx_now() + ns;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct lx_msghdr m;
        const uint64_t at = a1 + i * sizeof(struct mmsghdr);
        int64_t result = lx_copy_in(&m, at, sizeof m);
        if (result == 0) result = lx_message_receive(t, a0, &m, flags);
        const uint32_t size = (uint32_t)result;
        if (result >= 0) result = put_header(at, &m);
        if (result >= 0) result = lx_copy_out(at + offsetof(struct mmsghdr, size), &size, sizeof size);
        if (result < 0) return i > 0 ? i : result;
        if ((uint32_t)a3 & LX_MSG_WAITFORONE) flags |= LX_MSG_DONTWAIT;
        if (deadline != KPIO_TIME_NEVER && lx_now() >= deadline) return i + 1;
    }
    return count;
}
