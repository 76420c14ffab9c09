// signalfd and signalfd4.
#include "user/liblinux/signalfd.h"

#include "abi/gen/errors.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/signal.h"

#define READY 1u
struct signalfd_siginfo {
    uint32_t number;
    int32_t error, code;
    uint32_t pid, uid;
    int32_t fd;
    uint32_t tid, band, overrun, trap;
    int32_t status, integer;
    uint64_t pointer, user_time, system_time, address;
    uint8_t pad[48];
};
_Static_assert(sizeof(struct signalfd_siginfo) == 128, "ABI");

// ---- those that there are -------------------------------------------------------------------------------------------------

void lx_signalfd_tell_locked(struct lx_process *p, uint64_t signals) {
    for (const struct lx_signalfd *s = p->signalfds; s != NULL; s = s->next)
        if (s->mask & signals) (void)kpio_event_signal(s->event, 0, READY);
}

// Gives back those whose descriptors are closed.
static void prune(struct lx_process *p) {
    struct lx_signalfd **at = &p->signalfds, *s;
    while ((s = *at) != NULL) {
        if (lx_fd_extra_used(p, LX_KIND_SIGNAL, s->id)) {
            at = &s->next;
            continue;
        }
        lx_lock(&p->signal_lock);
        *at = s->next;
        lx_unlock(&p->signal_lock);
        (void)kpio_handle_close((uint64_t)s->event);
        lx_free(p->space, s, sizeof *s);
    }
}

static int64_t add(struct lx_process *p, kpio_handle event, uint32_t id, uint64_t mask) {
    struct lx_signalfd *s = lx_alloc(p->space, sizeof *s);
    if (s == NULL) return -ENOMEM;
    int64_t own = kpio_handle_dup(event, KPIO_RIGHTS_SAME);
    if (own < 0) {
        lx_free(p->space, s, sizeof *s);
        return own;
    }
    lx_lock(&p->signal_lock);
    *s = (struct lx_signalfd){.next = p->signalfds, .mask = mask, .id = id, .event = (kpio_handle)own};
    p->signalfds = s;
    lx_unlock(&p->signal_lock);
    return 0;
}

int64_t lx_signalfd_adopt(struct lx_process *p, const struct lx_fd *fd) {
    return add(p, fd->handle, fd->extra, lx_signalfd_unpack(lx_object_flags(fd->handle, 0, 0)));
}

static void tell_now(struct lx_thread *t, kpio_handle event, uint64_t mask) {
    struct lx_process *p = lx_process(t);
    lx_lock(&p->signal_lock);
    if ((p->pending_signals.set | t->pending_signals.set) & mask) (void)kpio_event_signal(event, 0, READY);
    lx_unlock(&p->signal_lock);
}

// ---- reading -------------------------------------------------------------------------------------------------------------

static void describe(const struct lx_siginfo *info, struct signalfd_siginfo *out) {
    *out = (struct signalfd_siginfo){.number = (uint32_t)info->number, .error = info->error, .code = info->code};
    if (info->code == LX_SI_TIMER) {
        out->tid = (uint32_t)info->timer.id;
        out->overrun = (uint32_t)info->timer.overrun;
        out->pointer = info->timer.value;
    } else if (info->code > 0 && info->code != LX_SI_KERNEL && info->number != LX_SIGCHLD) {
        out->address = info->fault.address;
        return;
    } else {
        out->pid = (uint32_t)info->sent.pid;
        out->uid = info->sent.uid;
        if (info->number == LX_SIGCHLD && info->code > 0) {
            out->status = info->child.status;
            out->user_time = (uint64_t)info->child.user_time;
            out->system_time = (uint64_t)info->child.system_time;
            return;
        }
        out->pointer = info->code < 0 ? info->sent.value : 0;
    }
    out->integer = (int32_t)out->pointer;
}

// Whether there was one. Clears the event when there was none.
static bool take(struct lx_thread *t, kpio_handle event, uint64_t mask, struct lx_siginfo *info) {
    struct lx_process *p = lx_process(t);
    lx_lock(&p->signal_lock);
    bool some = lx_signal_take_locked(t, mask, info) != 0;
    if (!((p->pending_signals.set | t->pending_signals.set) & mask)) (void)kpio_event_signal(event, READY, 0);
    lx_unlock(&p->signal_lock);
    return some;
}

static int64_t signal_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    struct signalfd_siginfo told;
    struct lx_siginfo info;
    int64_t done = 0;
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (size < sizeof told) return -EINVAL;
    const uint64_t flags = lx_object_flags(fd->handle, 0, 0), mask = lx_signalfd_unpack(flags);
    for (;;) {
        while ((uint64_t)done + sizeof told <= size && take(t, fd->handle, mask, &info)) {
            describe(&info, &told);
            int64_t error = lx_copy_out(buffer + (uint64_t)done, &told, sizeof told);
            if (error < 0) return done > 0 ? done : error;
            done += (int64_t)sizeof told;
        }
        if (done > 0) return done;
        if (flags & KPIO_OBJECT_NONBLOCK) return -EAGAIN;
        int64_t result = lx_block(t, SYS_event_wait, (uint64_t)fd->handle, READY, 0, KPIO_TIME_NEVER, 0, 0);
        if (result < 0) return lx_wait_result(t, result);
    }
}

// ABI signalfd4: after a fork, parent and child may see each other's readiness
const struct lx_fd_ops lx_signalfd_ops = {
    .read = signal_read, .write = lx_no_transfer, .stat = lx_anonymous_stat, .status = lx_object_nonblock};

// ---- making --------------------------------------------------------------------------------------------------------------

static int64_t change(struct lx_thread *t, uint64_t number, uint64_t mask) {
    struct lx_process *p = lx_process(t);
    struct lx_fd fd;
    int64_t error = lx_fd_get(p, number, &fd);
    if (error < 0) return error;
    if (fd.kind != LX_KIND_SIGNAL) return -EINVAL;
    (void)lx_object_flags(fd.handle, KPIO_OBJECT_FLAGS & ~KPIO_OBJECT_NONBLOCK, lx_signalfd_pack(mask));
    lx_lock(&p->signal_lock);
    for (struct lx_signalfd *s = p->signalfds; s != NULL; s = s->next)
        if (s->id == fd.extra) s->mask = mask;
    lx_unlock(&p->signal_lock);
    (void)kpio_event_signal(fd.handle, READY, 0);  // what made it ready may not be among them any more
    tell_now(t, fd.handle, mask);
    return (int64_t)number;
}

static int64_t make(struct lx_thread *t, uint64_t mask, uint32_t flags) {
    struct lx_process *p = lx_process(t);
    int64_t handle = kpio_event_create();
    if (handle < 0) return handle;
    struct lx_fd fd = {.kind = LX_KIND_SIGNAL,
                       .flags = LX_FD_READ | LX_FD_WRITE | (flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0),
                       .handle = (kpio_handle)handle};
    prune(p);
    for (const struct lx_signalfd *s = p->signalfds; s != NULL; s = s->next) fd.extra = MAX(fd.extra, s->id);
    fd.extra++;
    (void)lx_object_flags(fd.handle, 0, lx_signalfd_pack(mask) | (flags & LX_O_NONBLOCK ? KPIO_OBJECT_NONBLOCK : 0));
    int64_t error = add(p, fd.handle, fd.extra, mask);
    if (error < 0) {
        lx_fd_close(&fd);
        return error;
    }
    tell_now(t, fd.handle, mask);
    return lx_fd_install(p, &fd, 0);
}

static int64_t do_signalfd(struct lx_thread *t, uint64_t number, uint64_t at, uint64_t size, uint32_t flags) {
    uint64_t mask;
    if (flags & ~(LX_O_CLOEXEC | LX_O_NONBLOCK) || size != sizeof mask) return -EINVAL;
    int64_t error = lx_copy_in(&mask, at, sizeof mask);
    if (error < 0) return error;
    mask &= ~LX_UNBLOCKABLE;
    return (int32_t)number == -1 ? make(t, mask, flags) : change(t, (uint32_t)number, mask);
}

LX_CALL(signalfd) { return do_signalfd(t, a0, a1, a2, 0); }
LX_CALL(signalfd4) { return do_signalfd(t, a0, a1, a2, (uint32_t)a3); }
