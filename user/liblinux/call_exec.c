// execve and execveat.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/exec.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/start.h"
#include "user/liblinux/strangers.h"
#include "user/liblinux/timer.h"

static void fill(const struct lx_thread *t, struct lx_exec *e) {
    const struct lx_process *p = t->process;
    struct lx_launch *l = e->launch;
    l->process = p->handle;
    l->thread = t->handle;
    l->image = p->space->image;
    l->root = p->root;
    l->cwd = p->cwd;
    lx_fd_describe(&p->cwd_local, 0, &l->cwd_local);
    l->program = e->program;
    l->memory_fs = p->memory_fs;
    l->posixd = p->posixd;
    l->system = p->system;
    l->pid = p->pid;
    l->ppid = p->ppid;
    l->umask = p->umask;
    l->uid = p->uid;
    l->gid = p->gid;
    l->euid = p->euid;
    l->egid = p->egid;
    l->suid = p->suid;
    l->sgid = p->sgid;
    l->persona = p->persona;
    l->io_priority = p->io_priority;
    l->death_signal = p->death_signal;
    l->reaper = p->reaper;
    l->processes_limited = p->processes_limited;
    l->strangers = lx_strangers_possible(p);
    l->group_count = p->group_count;
    memcpy(l->groups, p->groups, sizeof l->groups);
    l->limits_known = true;
    for (unsigned i = 0; i < LX_LIMITS; i++) {
        const struct lx_limit limit = lx_limit_get(p, i);
        l->limits[i][0] = limit.current;
        l->limits[i][1] = limit.most;
    }
    l->blocked = t->blocked;
    for (unsigned i = 1; i <= LX_SIGNALS; i++)
        if (p->signals->actions[i].handler == LX_SIG_IGN) l->ignored |= LX_SIGNAL_BIT(i);
}

// The library's headers are where it is mapped; of its file only what was relocated here must be looked at again.
static int64_t open_image(const struct lx_space *space, struct lx_image *image) {
    const char *what;
    *image = (struct lx_image){.vmo = space->image,
                               .offset = space->image_offset,
                               .size = space->image_size,
                               .quick = (uint64_t)lx_quick_end - space->liblinux,
                               .file = (const void *)space->liblinux};
    int64_t at = lx_image_open(image, &what);
    const struct elf_segment *data = image->writable;
    image->data = NULL;
    if (at < 0 || data == NULL) return at;
    at = kpio_aspace_map(space->aspace, image->vmo, image->offset + data->offset, align_up(data->file_bytes, 4096), KPIO_MAP_READ, 0);
    if (at >= 0) image->data = (const void *)at;
    return at;
}

static void close_image(const struct lx_space *space, const struct lx_image *image) {
    if (image->data == NULL) return;
    (void)kpio_aspace_unmap(space->aspace, (uint64_t)image->data, align_up(image->writable->file_bytes, 4096));
}

// Past the mapping of the new address space only want of kernel memory can stop it.
static int64_t exec(struct lx_thread *t, struct lx_exec *e) {
    struct lx_process *p = lx_process(t);
    struct lx_image image;
    struct lx_place place;
    int64_t aspace = kpio_aspace_create();
    if (aspace < 0) return aspace == -ENFILE || aspace == -EMFILE ? -EAGAIN : aspace;
    int64_t result = open_image(p->space, &image);
    fill(t, e);
    e->launch->aspace = (kpio_handle)aspace;
    lx_lock(&p->signal_lock);  // what comes from here on finds the new program, or this one if it stays
    lx_timers_stop_locked(p, e->launch->itimers);
    if (result >= 0) result = lx_exec_add_pending_locked(t, e);
    if (result >= 0) result = lx_launch_map((kpio_handle)aspace, &image, e->launch, &place);
    close_image(p->space, &image);
    if (result >= 0) {
        bool shared = p->vfork_event > 0;
        const char *name = e->launch->name;
        lx_vfork_done(p);
        result = kpio_process_exec((kpio_handle)aspace, (const uint8_t *)name, strnlen(name, sizeof e->launch->name), place.entry,
                                   place.stack, place.launch);
        if (shared) lx_start_fail(p, "cannot execute", result);  // the parent goes on already: there is no way back
    }
    lx_unlock(&p->signal_lock);
    (void)lx_timers_go_on(p, e->launch->itimers);  // their thread is there
    (void)kpio_handle_close((uint64_t)aspace);
    return result;
}

static int64_t run(struct lx_thread *t, const struct lx_exec_request *r) {
    struct lx_exec e;
    int64_t result = lx_exec_prepare(t, &e, r);
    if (result == 0) result = exec(t, &e);
    lx_exec_end(t, &e);
    return result;
}

// ABI execve: EACCES: a segment to write and run, without the JIT right
LX_CALL(execve) {
    const struct lx_exec_request r = {.dirfd = (uint64_t)LX_AT_FDCWD, .path = a0, .arguments = a1, .environment = a2};
    return run(t, &r);
}

// ABI execveat: as execve; /proc/self/exe does not know what was run through AT_EMPTY_PATH
LX_CALL(execveat) {
    const struct lx_exec_request r = {.dirfd = a0, .path = a1, .flags = (uint32_t)a4, .arguments = a2, .environment = a3};
    return r.flags & ~(uint64_t)(LX_AT_EMPTY_PATH | LX_AT_SYMLINK_NOFOLLOW) ? -EINVAL : run(t, &r);
}
