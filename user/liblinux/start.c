#include "user/liblinux/start.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/relocate.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/program.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/signalfd.h"
#include "user/liblinux/strangers.h"
#include "user/liblinux/timer.h"
#include "user/liblinux/trace.h"
#include "user/liblinux/vdso.h"

void lx_start_fail(const struct lx_process *p, const char *what, int64_t error) {
    char line[160];
    size_t bytes = fmt_print(line, sizeof line, "liblinux: %s: %s: error %d\n", p->name, what, (int)-error);
    struct lx_fd fd;
    bytes = MIN(bytes, sizeof line - 1);
    if (p->files != NULL && lx_fd_get((struct lx_process *)p, 2, &fd) == 0) {
        if (fd.kind == LX_KIND_CONSOLE) (void)kpio_console_write(fd.handle, (const uint8_t *)line, bytes);
        if (fd.kind == LX_KIND_PIPE) (void)kpio_pipe_write(fd.handle, (const uint8_t *)line, bytes, KPIO_PIPE_NOWAIT, 0);
        if (fd.kind == LX_KIND_FILE) (void)kpio_file_write(fd.handle, (const uint8_t *)line, bytes, KPIO_OFFSET_CURRENT, 0);
    }
    for (;;) (void)kpio_process_exit(LX_SIGKILL);
}

struct lx_thread *lx_thread_place(uint64_t area) { return (struct lx_thread *)(area + LX_AREA_SIZE - LX_AREA_THREAD); }

int64_t lx_thread_adopt(struct lx_thread *t, struct kpio_thread_block *block) {
    uint64_t area = (uint64_t)t + LX_AREA_THREAD - LX_AREA_SIZE;
    t->block = block;
    t->area = area;
    t->area_size = LX_AREA_SIZE;
    t->stack = area + LX_AREA_GUARD + LX_AREA_STACK;
    t->exception_stack = t->stack;
    t->exception_stack_size = LX_AREA_EXCEPTION;
    block->user_data[0] = (uint64_t)t;
    t->serial = (uint64_t)kpio_clock_get(0);  // above that of the program before this one in the same thread
    return kpio_thread_set_exception((uint64_t)lx_exception_begin, t->exception_stack, t->exception_stack_size);
}

static void set_ids(struct lx_process *p, const struct lx_launch *l, const struct kpio_thread_block *block) {
    p->pid = l->pid != 0 ? l->pid : (uint32_t)block->process_id;
    p->ppid = l->ppid;
    p->umask = l->umask;
    p->uid = l->uid;
    p->gid = l->gid;
    p->euid = l->euid;
    p->egid = l->egid;
    p->suid = l->suid;
    p->sgid = l->sgid;
    p->persona = l->persona;
    p->io_priority = (uint16_t)l->io_priority;
    p->death_signal = (uint8_t)l->death_signal;
    p->reaper = l->reaper != 0;
    p->processes_limited = l->processes_limited != 0;
    p->group_count = MIN(l->group_count, LX_GROUPS_MAX);
    memcpy(p->groups, l->groups, sizeof p->groups);
    memcpy(p->name, l->name, sizeof p->name);
}

static void set_limits(struct lx_process *p, const struct lx_launch *l) {
    lx_limits_default(p);
    for (unsigned i = 0; i < LX_LIMITS; i++) {
        const struct lx_limit given = {l->limits[i][0], l->limits[i][1]};
        if (l->limits_known) p->limits[i] = given;
        else if (given.most != 0) lx_limit_lower(p, i, given.most);
    }
    p->files->limit = (uint32_t)MIN(p->limits[LX_RLIMIT_NOFILE].current, (uint64_t)LX_FD_LIMIT);
}

static void set_handles(struct lx_process *p, const struct lx_launch *l) {
    p->handle = l->process;
    p->thread = l->thread;
    p->root = l->root;
    p->cwd = l->cwd;
    lx_fd_from_launch(&l->cwd_local, &p->cwd_local);
    p->program = l->program;
    p->memory_fs = l->memory_fs;
    p->posixd = l->posixd;
    p->system = l->system;
    p->space->aspace = l->aspace;
    p->space->image = l->image;
    p->space->image_offset = l->image_offset;
    p->space->image_size = l->image_size;
    p->space->liblinux = l->library;
    p->space->liblinux_size = l->library_size;
    p->space->processes = 1;
}

static int64_t set_descriptors(struct lx_process *p, const struct lx_launch *l) {
    const struct lx_launch_fd *fds = (const struct lx_launch_fd *)((const char *)l + l->fds_at);
    for (uint32_t i = 0; i < l->fd_count; i++) {
        struct lx_fd fd;
        lx_fd_from_launch(&fds[i], &fd);
        if (fd.kind == LX_KIND_NONE) continue;
        int64_t result = lx_fd_install_at(p, &fd, (uint64_t)fds[i].number);
        if (result >= 0 && fd.kind == LX_KIND_SIGNAL) result = lx_signalfd_adopt(p, &fd);
        if (result < 0) return result;
    }
    return 0;
}

// What the program before this one left. Among it is what keeps writers away until this program is mapped.
static void close_left(const struct lx_launch *l) {
    const struct lx_launch_fd *fds = (const struct lx_launch_fd *)((const char *)l + l->fds_at);
    for (uint32_t i = 0; i < l->fd_count; i++) {
        struct lx_fd fd;
        lx_fd_from_launch(&fds[i], &fd);
        if (fd.kind == LX_KIND_NONE) lx_fd_close_handles(&fd);
    }
}

static char *copy_path(struct lx_space *space, const char *path) {
    if (*path == 0) return NULL;
    uint64_t size = strlen(path) + 1;
    char *copy = lx_alloc(space, size);
    return copy == NULL ? NULL : memcpy(copy, path, size);
}

// The contexts lie behind the thread's structure in its page: they live as long as the address space or longer needs.
struct first {
    struct lx_thread thread;
    struct lx_process process;
    struct lx_space space;
};
_Static_assert(sizeof(struct first) <= LX_AREA_THREAD, "the first thread's page");

static struct lx_thread *build(const struct lx_launch *l, struct kpio_thread_block *block) {
    struct first *first = (struct first *)lx_thread_place(l->area);
    struct lx_thread *t = &first->thread;
    struct lx_process *p = &first->process;
    p->space = &first->space;
    t->process = p;
    set_handles(p, l);
    set_ids(p, l, block);
    list_init(&p->threads);
    list_push_back(&p->threads, &t->node);
    p->thread_count = 1;
    t->tid = p->pid;
    t->handle = p->thread;
    t->in_use = 1;
    lx_children_init(p);
    lx_signal_thread_init(t);
    lx_state_measure(p->space);
    t->blocked = l->blocked;
    memcpy(t->name, l->name, sizeof t->name);
    int64_t result = lx_files_create(p);
    if (result == 0) result = lx_signals_create(p, l->ignored);
    if (result == 0) result = lx_thread_adopt(t, block);
    if (result == 0) result = set_descriptors(p, l);
    if (result == 0) set_limits(p, l);  // afterwards: what is inherited may lie above a limit that was lowered
    lx_signals_adopt(t, l->pending, (const struct lx_launch_signal *)((const char *)l + l->signals_at), l->signal_count);
    if (result == 0) result = kpio_process_set_foreign_entry((uint64_t)lx_entry);
    p->executable = copy_path(p->space, (const char *)l + l->executable_at);
    if (result < 0) lx_start_fail(p, "cannot set up", result);
    return t;
}

// The dynamic loader of a program that names one. *entry and *base become its.
static int64_t map_interpreter(struct lx_process *p, const char *path, uint64_t *entry, uint64_t *base) {
    int64_t file = kpio_path_open(path[0] == '/' ? p->root : p->cwd, path, 0, 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    if (file < 0) return file;
    struct lx_program interpreter = {0};
    int64_t result = lx_program_map(p->space, (kpio_handle)(uint32_t)file, &interpreter);
    (void)kpio_handle_close((uint32_t)file);
    *entry = interpreter.entry;
    *base = interpreter.base;
    return result;
}

void lx_start(struct lx_launch *launch, struct kpio_thread_block *block) {
    image_relocate();
    struct lx_thread *t = build(launch, block);
    struct lx_process *p = t->process;
    struct lx_program program = {0};
    uint64_t stack = 0, interpreter = 0;
    int64_t result = lx_program_map(p->space, p->program, &program);
    if (result < 0) lx_start_fail(p, "cannot load it", result);
    uint64_t entry = program.entry;
    if (program.interpreter[0] != 0) result = map_interpreter(p, program.interpreter, &entry, &interpreter);
    if (result < 0) lx_start_fail(p, program.interpreter, result);
    close_left(launch);
    if (launch->strangers) lx_strangers_close(p);
    (void)lx_vdso_map(p->space);  // without it the C library makes calls instead
    result = lx_stack_make(t, launch, &program, interpreter, &stack);
    if (result < 0) lx_start_fail(p, "cannot make its stack", result);
    result = lx_timers_go_on(p, launch->itimers);
    if (result < 0) lx_start_fail(p, "cannot go on with its timers", result);
    lx_trace_begin(t);
    (void)kpio_aspace_unmap(p->space->aspace, (uint64_t)launch, align_up(launch->bytes, 4096));
    lx_posix_attach_program(t, p->ppid != 0);
    lx_enter_program(t, entry, stack);
}
