#include "user/liblinux/exec.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/memory.h"
#include "user/liblinux/signal.h"

// As on Linux with a stack of 8 MiB: of one string, and of all with their addresses.
#define STRING_MAX (128u << 10)
#define STRINGS_MAX (2u << 20)
#define SCRATCH (LX_LAUNCH_MAX + sizeof(struct lx_exec_paths))

// ---- the block ------------------------------------------------------------------------------------------------------------

// Room at the end of what is used: NULL when the block is full.
static char *room(struct lx_exec *e, uint64_t bytes) {
    if (bytes > LX_LAUNCH_MAX - e->used) return NULL;
    char *at = (char *)e->launch + e->used;
    e->used += bytes;
    return at;
}

static int64_t add_text(struct lx_exec *e, const char *text) {
    uint64_t bytes = strlen(text) + 1;
    char *at = room(e, bytes);
    if (at == NULL) return -E2BIG;
    memcpy(at, text, bytes);
    return 0;
}

// A vector of the program's; its first entry is left out where `skip` says so.
static int64_t add_vector(struct lx_exec *e, uint64_t vector, bool skip, uint32_t *count) {
    for (uint64_t i = 0; vector != 0; i++) {
        uint64_t address, most = MIN(LX_LAUNCH_MAX - e->used, (uint64_t)STRING_MAX);
        int64_t bytes = lx_copy_in(&address, vector + i * 8, 8);
        if (bytes < 0) return bytes;
        if (address == 0) break;
        if (skip && i == 0) continue;
        bytes = lx_copy_string((char *)e->launch + e->used, address, most);
        if (bytes < 0) return bytes;
        if ((uint64_t)bytes >= most) return -E2BIG;
        e->used += (uint64_t)bytes + 1;
        ++*count;
    }
    return 0;
}

// ---- arguments ------------------------------------------------------------------------------------------------------------

// Arguments: those of the interpreters, outermost first, the script's path, then the caller's without its first.
static int64_t add_arguments(struct lx_exec *e, const struct lx_script *script, const char *path, uint64_t arguments) {
    struct lx_launch *l = e->launch;
    int64_t result = 0;
    for (unsigned i = script->depth; i-- > 0 && result == 0;) {
        result = add_text(e, script->text[i][0]);
        l->argc++;
        if (result < 0 || script->text[i][1][0] == 0) continue;
        result = add_text(e, script->text[i][1]);
        l->argc++;
    }
    if (script->depth > 0 && result == 0) {
        result = add_text(e, path);
        l->argc++;
    }
    if (result == 0) result = add_vector(e, arguments, script->depth > 0, &l->argc);
    if (result == 0 && l->argc == 0) {  // Linux gives a program its name at least
        result = add_text(e, "");
        l->argc = 1;
    }
    return result;
}

// ---- descriptors ----------------------------------------------------------------------------------------------------------

// What stays open, and, as kind NONE, the handles that the new program has to close.
static int64_t add_descriptors(struct lx_process *p, struct lx_exec *e) {
    int64_t result = 0;
    e->launch->fds_at = (uint32_t)e->used;
    lx_lock(&p->files_lock);
    for (uint32_t i = 0; i < p->files->capacity && result == 0; i++) {
        const struct lx_fd *fd = &p->files->entries[i];
        if (fd->kind == LX_KIND_NONE) continue;
        struct lx_launch_fd *out = (struct lx_launch_fd *)room(e, sizeof *out);
        if (out == NULL) result = -E2BIG;
        else lx_fd_describe(fd, (int32_t)i, out);
        if (out != NULL && fd->flags & LX_FD_CLOEXEC) out->kind = LX_KIND_NONE;
        if (out != NULL) e->launch->fd_count++;
    }
    lx_unlock(&p->files_lock);
    e->used = align_up(e->used, 8);
    return result;
}

static int64_t add_own(struct lx_exec *e, kpio_handle handle) {
    if (handle <= 0) return 0;
    struct lx_launch_fd *out = (struct lx_launch_fd *)room(e, sizeof *out);
    if (out == NULL) return -E2BIG;
    *out = (struct lx_launch_fd){.handle = handle, .kind = LX_KIND_NONE};
    e->launch->fd_count++;
    return 0;
}

// ---- all of it ------------------------------------------------------------------------------------------------------------

static void set_name(struct lx_launch *l, const char *path) {
    const char *name = path;
    for (const char *slash; (slash = strchr(name, '/')) != NULL;) name = slash + 1;
    memcpy(l->name, name, strnlen(name, sizeof l->name - 1));
}

// Whatever only the old program has.
static int64_t add_left(struct lx_process *p, struct lx_exec *e) {
    const kpio_handle left[] = {p->program, p->space->aspace, p->children_port, e->pins[0], e->pins[1], p->trace_output.handle,
                                p->trace_output.second};
    int64_t result = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(left) && result == 0; i++) result = add_own(e, left[i]);
    return result;
}

static int64_t add_texts(struct lx_exec *e, const struct lx_script *script, uint64_t arguments, uint64_t environment) {
    struct lx_launch *l = e->launch;
    l->executable_at = (uint32_t)e->used;
    int64_t result = add_text(e, e->paths->found);
    l->given_at = (uint32_t)e->used;
    if (result == 0) result = add_text(e, e->paths->given);
    l->text_at = (uint32_t)e->used;
    if (result == 0) result = add_arguments(e, script, e->paths->given, arguments);
    if (result == 0) result = add_vector(e, environment, false, &l->envc);
    if (result < 0) return result;
    l->text_bytes = (uint32_t)(e->used - l->text_at);
    return l->text_bytes + (l->argc + (uint64_t)l->envc) * 8 > STRINGS_MAX ? -E2BIG : 0;
}

int64_t lx_exec_prepare(struct lx_thread *t, struct lx_exec *e, const struct lx_exec_request *r) {
    struct lx_process *p = lx_process(t);
    struct lx_script script;
    *e = (struct lx_exec){.used = sizeof(struct lx_launch)};
    int64_t scratch = lx_map_own(p->space, SCRATCH);
    if (scratch < 0) return -ENOMEM;
    e->launch = (struct lx_launch *)scratch;
    e->paths = (struct lx_exec_paths *)(scratch + LX_LAUNCH_MAX);
    int64_t result = lx_exec_find(t, e, r, &script);
    if (result == 0) result = add_descriptors(p, e);
    if (result == 0) result = add_left(p, e);
    if (result == 0) result = add_texts(e, &script, r->arguments, r->environment);
    set_name(e->launch, e->paths->given);
    e->launch->bytes = e->used;
    return result;
}

// The signal of a timer that timer_create made ends with the timer.
static int64_t add_signals(struct lx_exec *e, const struct lx_pending *from, bool of_thread) {
    uint64_t listed = 0, kept = 0;
    list_for_each(node, &from->queue) {
        const struct lx_signal *s = container_of(node, struct lx_signal, node);
        const uint64_t bit = LX_SIGNAL_BIT((uint32_t)s->info.number);
        listed |= bit;
        if (s->of_timer && s->info.code == LX_SI_TIMER) continue;
        struct lx_launch_signal *out = (struct lx_launch_signal *)room(e, sizeof *out);
        if (out == NULL) return -E2BIG;
        memcpy(out->info, &s->info, sizeof out->info);
        out->of_thread = of_thread;
        e->launch->signal_count++;
        kept |= bit;
    }
    e->launch->pending[of_thread] = kept | (from->set & ~listed);
    return 0;
}

int64_t lx_exec_add_pending_locked(struct lx_thread *t, struct lx_exec *e) {
    struct lx_process *p = lx_process(t);
    e->used = align_up(e->used, 8);
    e->launch->signals_at = (uint32_t)e->used;
    int64_t result = add_signals(e, &p->pending_signals, false);
    if (result == 0) result = add_signals(e, &t->pending_signals, true);
    e->launch->bytes = e->used;
    return result;
}

void lx_exec_end(struct lx_thread *t, struct lx_exec *e) {
    const kpio_handle handles[] = {e->program, e->pins[0], e->pins[1]};
    if (e->launch != NULL) (void)kpio_aspace_unmap(lx_space(t)->aspace, (uint64_t)e->launch, SCRATCH);
    for (unsigned i = 0; i < ARRAY_SIZE(handles); i++)
        if (handles[i] > 0) (void)kpio_handle_close((uint32_t)handles[i]);
}
