// SCM_RIGHTS: descriptors travel as the handles they have, through the thread block, at most 4 of them with a message. What a
// handle's object and rights do not tell is in the object's flags; what has no handle gets an event to carry these.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/linux.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/socket.h"

#define DEVICE_SHIFT 17u  // lx_fd.device of what is carried, from that bit on
#define DEVICE_MASK  0xffull
#define KIND_MASK    0x1full

static uint64_t description(const struct lx_fd *fd) {
    return (uint64_t)fd->kind << LX_OBJECT_KIND | (uint64_t)(fd->device & DEVICE_MASK) << DEVICE_SHIFT;
}

// ---- sending -------------------------------------------------------------------------------------------------------------

static void put(struct lx_thread *t, struct lx_rights *r, kpio_handle handle) {
    t->block->handles[r->handles++] =
        (struct kpio_message_handle){.handle = handle, .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_COPY};
}

static int64_t put_carrier(struct lx_thread *t, struct lx_rights *r, const struct lx_fd *fd) {
    int64_t event = kpio_event_create();
    if (event < 0) return event;
    (void)lx_object_flags((kpio_handle)event, 0, description(fd));
    r->made[r->made_count++] = (kpio_handle)event;
    put(t, r, (kpio_handle)event);
    return 0;
}

static int64_t put_one(struct lx_thread *t, struct lx_rights *r, const struct lx_fd *fd) {
    const uint32_t needed = fd->second > 0 ? 2 : 1;
    if (r->handles + needed > KPIO_MESSAGE_HANDLES_MAX) return -ETOOMANYREFS;
    switch (fd->kind) {
    case LX_KIND_SIGNAL:
    case LX_KIND_LOCAL:
    case LX_KIND_CONSOLE:
    case LX_KIND_NODE: return -EOPNOTSUPP;
    case LX_KIND_DEVICE: return put_carrier(t, r, fd);
    case LX_KIND_SOCKET:
        if (fd->handle <= 0) return put_carrier(t, r, fd);
        (void)lx_object_flags(fd->handle, (KIND_MASK << LX_OBJECT_KIND) | (DEVICE_MASK << DEVICE_SHIFT), description(fd));
    }
    put(t, r, fd->handle);
    if (fd->second > 0) put(t, r, fd->second);
    return 0;
}

int64_t lx_rights_put(struct lx_thread *t, const int32_t *numbers, uint32_t count, struct lx_rights *out) {
    int64_t error = 0;
    *out = (struct lx_rights){};
    for (uint32_t i = 0; i < count && error == 0; i++) {
        struct lx_fd fd;
        error = lx_fd_get(lx_process(t), (uint32_t)numbers[i], &fd);
        if (error == 0) error = put_one(t, out, &fd);
    }
    if (error < 0) lx_rights_end(out);
    return error;
}

void lx_rights_end(struct lx_rights *rights) {
    for (uint32_t i = 0; i < rights->made_count; i++) (void)kpio_handle_close((uint64_t)rights->made[i]);
    rights->made_count = 0;
}

// ---- receiving -----------------------------------------------------------------------------------------------------------

static uint16_t type_of_file(kpio_handle handle) {
    struct kpio_stat s;
    return kpio_path_stat(handle, NULL, 0, &s) < 0 ? LX_TYPE_REGULAR : (uint16_t)(s.mode >> 12);
}

static uint32_t access_of(uint8_t flags) {
    if (!(flags & LX_FD_WRITE)) return 0;
    return flags & LX_FD_READ ? LX_O_RDWR : LX_O_WRONLY;
}

// By the kernel's kind.
static void recognise(const struct kpio_message_handle *h, struct lx_fd *fd) {
    struct kpio_pipe_info info;
    *fd = (struct lx_fd){.handle = h->handle};
    if (h->rights & KPIO_RIGHT_READ) fd->flags |= LX_FD_READ;
    if (h->rights & KPIO_RIGHT_WRITE) fd->flags |= LX_FD_WRITE;
    switch (h->kind) {
    case KPIO_KIND_FILE:
    case KPIO_KIND_DIRECTORY:
        fd->kind = h->kind == KPIO_KIND_FILE ? LX_KIND_FILE : LX_KIND_DIRECTORY;
        fd->device = type_of_file(h->handle);
        fd->extra = access_of(fd->flags);
        break;
    case KPIO_KIND_COUNTER: fd->kind = LX_KIND_COUNTER; break;
    case KPIO_KIND_TIMER: fd->kind = LX_KIND_TIMER; fd->flags = LX_FD_READ; break;
    case KPIO_KIND_PORT: fd->kind = LX_KIND_EPOLL; fd->flags = 0; break;
    case KPIO_KIND_PROCESS: fd->kind = LX_KIND_PROCESS; fd->flags = 0; break;
    case KPIO_KIND_PIPE:
        fd->kind = LX_KIND_PIPE;
        if (kpio_pipe_info(h->handle, &info) == 0) fd->device = (uint16_t)info.mode;
    }
}

// The descriptor that begins with the handle at *at, which moves on.
static void take_one(const struct kpio_message_handle *handles, uint32_t *at, struct lx_fd *fd) {
    const struct kpio_message_handle *h = &handles[(*at)++];
    recognise(h, fd);
    if (h->kind != KPIO_KIND_PIPE && h->kind != KPIO_KIND_EVENT) return;
    const uint64_t flags = lx_object_flags(h->handle, 0, 0), kind = flags >> LX_OBJECT_KIND & KIND_MASK;
    if (kind == LX_KIND_NONE) return;
    fd->kind = (uint8_t)kind;
    fd->device = (uint16_t)(flags >> DEVICE_SHIFT & DEVICE_MASK);
    fd->flags = LX_FD_READ | LX_FD_WRITE;
    if (h->kind == KPIO_KIND_EVENT) {
        (void)kpio_handle_close((uint64_t)fd->handle);
        fd->handle = KPIO_HANDLE_NONE;
    } else if (!(fd->device & (LX_SOCKET_BOUND | LX_SOCKET_LISTENS)) && *at < KPIO_MESSAGE_HANDLES_MAX) {
        fd->second = handles[(*at)++].handle;
    }
}

uint32_t lx_rights_take(struct lx_thread *t, int32_t *numbers, uint32_t room, bool cloexec, bool *cut) {
    struct kpio_message_handle handles[KPIO_MESSAGE_HANDLES_MAX];
    uint32_t count = 0, at = 0;
    for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES_MAX; i++) handles[i] = t->block->handles[i];
    *cut = false;
    while (at < KPIO_MESSAGE_HANDLES_MAX && handles[at].kind != KPIO_KIND_NONE) {
        struct lx_fd fd;
        take_one(handles, &at, &fd);
        if (cloexec) fd.flags |= LX_FD_CLOEXEC;
        int64_t number = -EMFILE;
        if (fd.kind == LX_KIND_NONE || count == room) lx_fd_close(&fd);
        else number = lx_fd_install(lx_process(t), &fd, 0);
        if (number < 0) *cut = true;
        else numbers[count++] = (int32_t)number;
    }
    return count;
}
