#include "kernel/object/aspace_object.h"
#include "kernel/sched/sched.h"
#include "kernel/syscall/args.h"

enum { OPTION_JIT = 1 << 0 };

static bool is_entry(uint64_t entry, uint64_t stack) { return entry >= USER_MIN && entry < USER_MAX && stack <= USER_MAX; }

int64_t sys_process_create(uint64_t job, uint64_t options, uint64_t name_at, uint64_t name_len, uint64_t aspace_at,
                           uint64_t f) {
    struct object *o;
    char name[KPIO_NAME_MAX + 1];
    uint32_t flags = (uint32_t)options;
    uint32_t need = KPIO_RIGHT_MANAGE | (flags & OPTION_JIT ? KPIO_RIGHT_JIT : 0);
    int error = syscall_get(job, KPIO_KIND_JOB, need, &o);
    if (error) return error;
    struct process *p = NULL;
    if (flags & ~(uint32_t)OPTION_JIT) error = -EINVAL;
    if (!error) error = syscall_read_name(name_at, name_len, name);
    if (!error) error = process_create(job_of(o), name, flags & OPTION_JIT, &p);
    object_put(o);
    if (error) return error;
    struct object *space;
    struct aspace *own = process_aspace_get(p);  // others may have found it already, and run it
    error = aspace_object_create(current_process()->job, own, &space);
    aspace_put(own);
    if (error) {
        object_abandon(&p->object);
        return error;
    }
    return syscall_install_two(space, user_ptr(aspace_at), &p->object);
}

int64_t sys_process_start(uint64_t process, uint64_t thread, uint64_t entry, uint64_t stack, uint64_t arg, uint64_t f) {
    struct object *po, *to;
    int error = handle_get((kpio_handle)process, KPIO_KIND_PROCESS, KPIO_RIGHT_MANAGE, &po);
    if (!error) error = handle_get((kpio_handle)thread, KPIO_KIND_THREAD, KPIO_RIGHT_MANAGE, &to);
    if (error) return error;
    struct process *p = process_of(po);
    if (thread_of(to)->thread.process != p) return -EINVAL;
    if (p->state == KPIO_PROCESS_RUNNING) return -EALREADY;
    return thread_start(thread_of(to), entry, stack, arg);
}

int64_t sys_process_fork(uint64_t options, uint64_t entry, uint64_t stack, uint64_t arg, uint64_t e, uint64_t f) {
    uint32_t flags = (uint32_t)options;
    if (flags & ~(uint32_t)KPIO_FORK_SHARE || !is_entry(entry, stack)) return -EINVAL;
    struct process *child;
    struct thread_object *t;
    int error = process_fork(flags & KPIO_FORK_SHARE, &child, &t);
    if (error) return error;
    object_get(&child->object);
    int64_t value = handle_install(&child->object);
    // The child can be found, and may have been killed since: that is how it ended then.
    if (value > 0) error = thread_start(t, entry, stack, arg);
    else process_kill(child, -ECANCELED);
    if (value < 0 || error) thread_kill(t);
    object_put(&t->object);
    object_put(&child->object);
    return value;
}

int64_t sys_process_exec(uint64_t space, uint64_t name_at, uint64_t name_len, uint64_t entry, uint64_t stack, uint64_t arg) {
    struct object *o;
    char name[KPIO_NAME_MAX + 1];
    int error = handle_get((kpio_handle)space, KPIO_KIND_ASPACE, KPIO_RIGHT_MAP, &o);
    if (error) return error;
    struct aspace *a = aspace_of(o);
    aspace_get(a);
    error = is_entry(entry, stack) ? syscall_read_name(name_at, name_len, name) : -EINVAL;
    if (!error) error = process_exec(a, name);
    aspace_put(a);
    if (error) return error;
    struct thread *t = current_thread();
    struct trap_frame *frame = context_user_frame(t->stack_top);
    context_frame_init(frame, entry, stack);
    frame->rdi = arg;
    frame->rsi = thread_object(t)->pages.user;
    return 0;
}

int64_t sys_process_exit(uint64_t status, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    process_kill(current_process(), (int32_t)status);
    thread_exit();
}

int64_t sys_process_kill(uint64_t process, uint64_t status, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(process, KPIO_KIND_PROCESS, KPIO_RIGHT_KILL, &o);
    if (error) return error;
    process_kill(process_of(o), (int32_t)status);
    object_put(o);
    return 0;
}

int64_t sys_process_info(uint64_t process, uint64_t info_at, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(process, KPIO_KIND_PROCESS, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_process_info info;
    process_get_info(process_of(o), &info);
    object_put(o);
    return copy_to_user(user_ptr(info_at), &info, sizeof(info));
}

#define HANDLES_BATCH 16

int64_t sys_process_handles(uint64_t process, uint64_t info_at, uint64_t count, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(process, KPIO_KIND_PROCESS, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_handle_info infos[HANDLES_BATCH];
    uint64_t written = 0, found = 0;
    uint32_t cursor = 0;
    bool more = true;
    while (more && !error) {
        unsigned batch = handle_table_describe(&process_of(o)->handles, &cursor, infos, HANDLES_BATCH, &more);
        found += batch;
        uint64_t room = written < count ? count - written : 0;
        uint64_t give = batch < room ? batch : room;
        if (give > 0 && copy_to_user(user_ptr(info_at + written * sizeof(infos[0])), infos, give * sizeof(infos[0])))
            error = -EFAULT;
        written += give;
        if (sched_preempt_point()) break;
    }
    object_put(o);
    return error ? error : (int64_t)found;
}

int64_t sys_process_set_foreign_entry(uint64_t entry, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    if (entry != 0 && (entry < USER_MIN || entry >= USER_MAX)) return -EINVAL;
    __atomic_store_n(&current_process()->foreign_entry, entry, __ATOMIC_RELAXED);
    return 0;
}
