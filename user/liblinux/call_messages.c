// sendmsg and recvmsg: several pieces of memory, and descriptors and credentials beside them.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/message.h"
#include "user/liblinux/socket_names.h"
#include "user/liblinux/socket_time.h"
#include "user/liblinux/time.h"

enum { SOL_SOCKET = 1, SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
struct control {    // cmsghdr
    uint64_t size;  // with this header
    int32_t level, type;
};
#define PARTS_MAX   1024u
#define CONTROL_MAX 65536u
#define NOBODY      65534u  // user and group of who sent without saying who it is

// ---- sending ------------------------------------------------------------------------------------------------------------

// What the control records ask for.
struct asked {
    struct lx_credentials who;
    bool who_told;
    struct lx_beside *beside;
};

static int64_t take_credentials(const struct lx_process *p, uint64_t at, uint64_t bytes, struct asked *out) {
    struct lx_credentials c;
    if (bytes != sizeof c) return -EINVAL;
    int64_t error = lx_copy_in(&c, at, sizeof c);
    if (error < 0) return error;
    bool uid = c.uid == p->uid || c.uid == p->euid || c.uid == p->suid,
         gid = c.gid == p->gid || c.gid == p->egid || c.gid == p->sgid;
    if (p->euid != 0 && !(c.pid == p->pid && uid && gid)) return -EPERM;
    out->who = c;
    out->who_told = true;
    return 0;
}

#define STEP 16u  // descriptors that are copied at once
static int64_t take_numbers(struct lx_thread *t, uint64_t at, uint64_t bytes, struct asked *out) {
    const uint64_t count = bytes / sizeof(int32_t);
    if (count > LX_NOTE_FDS_MAX) return -EINVAL;
    if (count == 0) return 0;
    if (out->beside == NULL) out->beside = lx_beside_begin(t);
    if (out->beside == NULL) return -ENOMEM;
    if (out->beside->note.fds + count > LX_NOTE_FDS_MAX) return -EINVAL;
    for (uint64_t done = 0; done < count; done += STEP) {
        int32_t numbers[STEP];
        const uint64_t step = MIN(count - done, (uint64_t)STEP);
        int64_t error = lx_copy_in(numbers, at + done * sizeof numbers[0], step * sizeof numbers[0]);
        if (error == 0) error = lx_beside_add(t, out->beside, numbers, (uint32_t)step);
        if (error < 0) return error;
    }
    return 0;
}

static int64_t read_control(struct lx_thread *t, const struct lx_msghdr *m, struct asked *out) {
    uint64_t at = m->control, left = m->control_size;
    if (left > CONTROL_MAX) return -ENOBUFS;
    while (left >= sizeof(struct control)) {
        struct control c;
        int64_t error = lx_copy_in(&c, at, sizeof c);
        if (error < 0) return error;
        if (c.size < sizeof c || c.size > left) return -EINVAL;
        const uint64_t bytes = c.size - sizeof c;
        if (c.level == SOL_SOCKET && c.type == SCM_RIGHTS) error = take_numbers(t, at + sizeof c, bytes, out);
        else if (c.level == SOL_SOCKET && c.type == SCM_CREDENTIALS)
            error = take_credentials(lx_process(t), at + sizeof c, bytes, out);
        else if (c.level == SOL_SOCKET) error = -EINVAL;
        if (error < 0) return error;
        const uint64_t step = align_up(c.size, 8);
        if (step >= left) break;
        at += step;
        left -= step;
    }
    return 0;
}

int64_t lx_message_size(const struct lx_msghdr *m, uint64_t *size) {
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
    struct asked asked = {};
    struct lx_outgoing o = {.parts = m->parts, .count = m->count, .flags = flags};
    int64_t result = lx_socket_get(t, number, &fd);
    if (result == 0) result = lx_message_size(m, &o.size);
    if (result == 0 && m->control_size > 0) result = read_control(t, m, &asked);
    if (asked.who_told) o.who = &asked.who;
    o.beside = asked.beside;
    if (result == 0) result = lx_socket_send(t, &fd, &o, m->name, m->name_size);
    if (asked.beside != NULL) lx_beside_end(t, asked.beside);
    return result;
}

// ---- receiving ----------------------------------------------------------------------------------------------------------

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

static int64_t put_credentials(const struct lx_beside *b, uint64_t note_size, struct lx_msghdr *m, uint64_t *used) {
    struct lx_credentials who = {.uid = NOBODY, .gid = NOBODY};
    if (note_size >= sizeof b->note) who = b->note.who;
    return put_record(m, used, SCM_CREDENTIALS, &who, sizeof who);
}

static uint64_t room_for_fds(uint64_t bytes) {
    return bytes > sizeof(struct control) ? MIN((bytes - sizeof(struct control)) / sizeof(int32_t), (uint64_t)LX_NOTE_FDS_MAX) : 0;
}

static int64_t put_rights(struct lx_thread *t, const struct lx_beside *b, struct lx_msghdr *m, uint64_t *used, uint32_t flags) {
    int32_t numbers[LX_NOTE_FDS_MAX];
    bool cut = false;
    const uint32_t room = (uint32_t)room_for_fds(m->control_size - *used);
    const uint32_t count = lx_beside_take(t, b, numbers, room, flags & LX_MSG_CMSG_CLOEXEC, &cut);
    if (cut) m->flags |= LX_MSG_CTRUNC;
    return count > 0 ? put_record(m, used, SCM_RIGHTS, numbers, count * sizeof numbers[0]) : 0;
}

// What came beside the message. note_size, handles: of all that came.
static int64_t put_control(struct lx_thread *t, const struct lx_fd *fd, struct lx_beside *b, const struct kpio_pipe_message *pm,
                           struct lx_msghdr *m, uint32_t flags) {
    uint64_t used = 0;
    int64_t error = 0;
    const uint64_t room = room_for_fds(m->control_size);
    if (pm->note_size < sizeof b->note) b->note.fds = 0;
    b->handle_count = (uint32_t)MIN(pm->handle_count, 2 * room);
    if (b->note.fds > room) {
        m->flags |= LX_MSG_CTRUNC;
        b->note.fds = (uint16_t)room;
    }
    if (lx_socket_wants_credentials(fd)) error = put_credentials(b, pm->note_size, m, &used);
    if (error == 0) error = put_rights(t, b, m, &used, flags);
    m->control_size = used;
    return error;
}

static int64_t receive_rest(struct lx_thread *t, const struct lx_fd *fd, const struct lx_msghdr *m, uint64_t done, uint64_t how,
                            uint64_t deadline) {
    uint64_t skip = done;
    for (uint64_t i = 0; i < m->count; i++) {
        struct lx_iovec part;
        if (lx_copy_in(&part, m->parts + i * sizeof part, sizeof part) < 0) break;
        while (skip < part.size) {
            int64_t more =
                lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, part.base + skip, part.size - skip, how, deadline, 0);
            if (more <= 0) return (int64_t)done;
            done += (uint64_t)more;
            skip += (uint64_t)more;
        }
        skip -= part.size;
    }
    return (int64_t)done;
}

static int64_t receive(struct lx_thread *t, const struct lx_fd *fd, struct lx_beside *b, struct lx_msghdr *m, uint64_t size,
                       uint32_t flags) {
    const bool peek = flags & LX_MSG_PEEK, stream = lx_socket_is(fd, LX_SOCK_STREAM);
    const uint64_t wait = flags & LX_MSG_DONTWAIT ? KPIO_PIPE_NOWAIT : 0;
    const uint64_t how = wait | (peek ? KPIO_PIPE_PEEK | KPIO_PIPE_COPY_HANDLES : 0);
    struct lx_socket_name from = {};
    const uint64_t room = room_for_fds(m->control_size);
    struct kpio_pipe_message pm = {.parts = m->parts,
                                   .part_count = m->count,
                                   .note = (uint64_t)&b->note,
                                   .note_size = sizeof b->note + room * sizeof b->fd[0],
                                   .handles = (uint64_t)b->handles,
                                   .handle_count = 2 * room};
    b->note.fds = 0;
    const uint64_t deadline = lx_socket_deadline(fd, LX_SOCKET_RECEIVE);
    int64_t result = lx_block(t, SYS_pipe_receive, (uint64_t)fd->handle, (uint64_t)&pm, how, deadline, 0, 0);
    if (unlikely(result < 0)) return lx_socket_result(t, fd, LX_SOCKET_RECEIVE, result);
    const uint64_t message_bytes = t->block->message_bytes;
    lx_note_name(&b->note, pm.note_size, &from);
    if (lx_socket_is(fd, LX_SOCK_DGRAM) == false) lx_socket_label(fd->second, &from);
    int64_t error = put_control(t, fd, b, &pm, m, flags);
    if (flags & LX_MSG_WAITALL && !peek && stream && result > 0) result = receive_rest(t, fd, m, (uint64_t)result, wait, deadline);
    const uint64_t whole = stream || (uint64_t)result < size ? (uint64_t)result : message_bytes;
    if (!stream && whole > size) {
        m->flags |= LX_MSG_TRUNC;
        if (flags & LX_MSG_TRUNC) result = (int64_t)whole;
    }
    if (lx_socket_is(fd, LX_SOCK_SEQPACKET) && result > 0) m->flags |= LX_MSG_EOR;
    if (error == 0 && m->name != 0 && from.size > 0) error = lx_socket_name_put(&from, m->name, &m->name_size);
    else m->name_size = 0;
    return error < 0 ? error : result;
}

int64_t lx_message_receive(struct lx_thread *t, uint64_t number, struct lx_msghdr *m, uint32_t flags) {
    struct lx_fd fd;
    uint64_t size = 0;
    int64_t result = lx_socket_get(t, number, &fd);
    if (result == 0) result = lx_message_size(m, &size);
    if (result < 0) return result;
    if (flags & LX_MSG_OOB) return -EOPNOTSUPP;
    if (flags & LX_MSG_ERRQUEUE) return -EAGAIN;
    if (fd.second <= 0) return lx_socket_unconnected(&fd);
    m->flags = flags & LX_MSG_CMSG_CLOEXEC;
    if (size == 0 && lx_socket_is(&fd, LX_SOCK_STREAM)) return m->control_size = 0;
    struct lx_beside *b = lx_beside_begin(t);
    if (b == NULL) return -ENOMEM;
    result = receive(t, &fd, b, m, size, flags);
    lx_beside_end(t, b);
    return result;
}

// ---- the calls ----------------------------------------------------------------------------------------------------------

// ABI sendmsg: signalfds cannot be sent; sockets that are on their way inside
// of others only a few deep
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
