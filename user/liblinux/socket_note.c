#include "user/liblinux/socket_note.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/linux.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/socket_names.h"
#include "user/liblinux/socket_time.h"

struct lx_beside *lx_beside_begin(struct lx_thread *t) {
    struct lx_beside *b = lx_alloc(lx_space(t), sizeof *b);
    if (b != NULL) b->note.fds = 0;
    if (b != NULL) b->handle_count = 0;
    return b;
}

void lx_beside_end(struct lx_thread *t, struct lx_beside *b) { lx_free(lx_space(t), b, sizeof *b); }

// ---- sending ------------------------------------------------------------------------------------------------------------

static void put_handle(struct lx_beside *b, kpio_handle handle) {
    b->handles[b->handle_count++] =
        (struct kpio_message_handle){.handle = handle, .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_COPY};
}

int64_t lx_beside_add(struct lx_thread *t, struct lx_beside *b, const int32_t *numbers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct lx_fd fd;
        int64_t error = lx_fd_get(lx_process(t), (uint32_t)numbers[i], &fd);
        if (error != 0) return error;
        if (fd.kind == LX_KIND_SIGNAL) return -EOPNOTSUPP;
        b->fd[b->note.fds++] = (struct lx_note_fd){.kind = fd.kind,
                                                   .flags = fd.flags & (uint8_t)~LX_FD_CLOEXEC,
                                                   .device = fd.device,
                                                   .extra = fd.extra,
                                                   .handles = (fd.handle > 0) | (fd.second > 0 ? 2 : 0)};
        if (fd.handle > 0) put_handle(b, fd.handle);
        if (fd.second > 0) put_handle(b, fd.second);
    }
    return 0;
}

int64_t lx_note_send(struct lx_thread *t, const struct lx_fd *fd, kpio_handle to, uint64_t parts, uint64_t count,
                     const struct lx_credentials *who, struct lx_beside *b, uint32_t flags) {
    struct lx_note plain = {}, *note = b != NULL ? &b->note : &plain;
    struct lx_socket_name own = {};
    if (fd->device & LX_SOCKET_BOUND) lx_socket_label(fd->handle, &own);
    note->who = who != NULL ? *who : lx_socket_self(lx_process(t));
    note->name_size = own.size;
    memcpy(note->name, own.path, own.size);
    struct kpio_pipe_message m = {.parts = parts,
                                  .part_count = count,
                                  .note = (uint64_t)note,
                                  .note_size = sizeof *note + note->fds * sizeof(struct lx_note_fd)};
    if (b != NULL) {
        m.handles = (uint64_t)b->handles;
        m.handle_count = b->handle_count;
    }
    bool nowait = flags & LX_MSG_DONTWAIT;
    if (fd->device & (LX_SOCKET_SHARED | LX_SOCKET_ALONE)) nowait |= lx_object_flags(fd->handle, 0, 0) & KPIO_OBJECT_NONBLOCK;
    const uint64_t deadline = lx_socket_deadline(fd, LX_SOCKET_SEND);
    return lx_block(t, SYS_pipe_send, (uint64_t)to, (uint64_t)&m, nowait ? KPIO_PIPE_NOWAIT : 0, deadline, 0, 0);
}

// ---- receiving ----------------------------------------------------------------------------------------------------------

void lx_note_name(const struct lx_note *note, uint64_t size, struct lx_socket_name *out) {
    out->size = size >= sizeof *note ? (uint16_t)MIN((uint32_t)note->name_size, sizeof out->path) : 0;
    memcpy(out->path, note->name, out->size);
}

static bool is_known(const struct lx_note_fd *d) {
    return d->kind > LX_KIND_NONE && d->kind < LX_KINDS && d->kind != LX_KIND_SIGNAL;
}

static kpio_handle next_handle(const struct lx_beside *b, uint32_t *at) {
    return *at < b->handle_count ? b->handles[(*at)++].handle : KPIO_HANDLE_NONE;
}

uint32_t lx_beside_take(struct lx_thread *t, const struct lx_beside *b, int32_t *numbers, uint32_t room, bool cloexec, bool *cut) {
    uint32_t count = 0, at = 0;
    const uint32_t fds = MIN((uint32_t)b->note.fds, LX_NOTE_FDS_MAX);
    *cut = fds > room;
    for (uint32_t i = 0; i < fds; i++) {
        const struct lx_note_fd *d = &b->fd[i];
        struct lx_fd fd = {.kind = d->kind, .flags = d->flags, .device = d->device, .extra = d->extra};
        if (d->handles & 1) fd.handle = next_handle(b, &at);
        if (d->handles & 2) fd.second = next_handle(b, &at);
        const bool came = (!(d->handles & 1) || fd.handle > 0) && (!(d->handles & 2) || fd.second > 0);
        int64_t number = -EMFILE;
        if (cloexec) fd.flags |= LX_FD_CLOEXEC;
        if (!is_known(d) || !came || count == room) lx_fd_close_handles(&fd);
        else number = lx_fd_install(lx_process(t), &fd, 0);
        if (number < 0) *cut = true;
        else numbers[count++] = (int32_t)number;
    }
    while (at < b->handle_count) {
        const struct lx_fd rest = {.handle = next_handle(b, &at)};
        lx_fd_close_handles(&rest);
    }
    return count;
}
