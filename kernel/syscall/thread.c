#include "kernel/ipc/futex.h"
#include "kernel/object/exception.h"
#include "kernel/object/restart.h"
#include "kernel/sched/sched.h"
#include "kernel/syscall/args.h"

int64_t sys_thread_create(uint64_t process, uint64_t name_at, uint64_t name_len, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    char name[KPIO_NAME_MAX + 1];
    int error = syscall_get(process, KPIO_KIND_PROCESS, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    error = syscall_read_name(name_at, name_len, name);
    struct thread_object *t = NULL;
    if (!error) error = thread_create(process_of(o), name, &t);
    object_put(o);
    return error ? error : handle_install(&t->object);
}

int64_t sys_thread_start(uint64_t thread, uint64_t entry, uint64_t stack, uint64_t arg, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)thread, KPIO_KIND_THREAD, KPIO_RIGHT_MANAGE, &o);
    return error ? error : thread_start(thread_of(o), entry, stack, arg);
}

int64_t sys_thread_exit(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) { thread_exit(); }

int64_t sys_thread_kill(uint64_t thread, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(thread, KPIO_KIND_THREAD, KPIO_RIGHT_KILL, &o);
    if (error) return error;
    thread_kill(thread_of(o));
    object_put(o);
    return 0;
}

int64_t sys_thread_yield(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    sched_yield();
    return 0;
}

int64_t sys_thread_set_exception(uint64_t entry, uint64_t stack, uint64_t size, uint64_t d, uint64_t e, uint64_t f) {
    struct thread_object *t = thread_object(current_thread());
    if (entry != 0) {
        uint64_t least = sizeof(struct kpio_exception_frame) + fpu_state_size + 128;
        if (entry < USER_MIN || entry >= USER_MAX || stack < USER_MIN || size < least) return -EINVAL;
        if (!range_fits(stack, size, USER_MAX)) return -EINVAL;
    }
    t->exception_stack = stack;
    t->exception_stack_size = size;
    __atomic_store_n(&t->exception_entry, entry, __ATOMIC_RELEASE);
    return 0;
}

int64_t sys_thread_exception_return(uint64_t frame_at, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct thread *t = current_thread();
    struct trap_frame *frame = context_user_frame(t->stack_top);
    int error = exception_return(user_ptr(frame_at), frame);
    return error ? error : (int64_t)frame->rax;  // rax is what the frame says, too
}

int64_t sys_thread_interrupt(uint64_t thread, uint64_t cookie, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)thread, KPIO_KIND_THREAD, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    struct thread_object *t = thread_of(o);
    if (!t->started || t->gone) return -EINVAL;
    __atomic_store_n(&t->interrupt_cookie, cookie, __ATOMIC_RELEASE);
    thread_set_pending(&t->thread, PENDING_INTERRUPT);
    return 0;
}

static int64_t set_schedule(struct thread *t, uint32_t class_, uint32_t value, uint64_t affinity) {
    switch (class_) {
    case KPIO_SCHED_REALTIME:
        if (value < 1 || value > 99) return -EINVAL;
        sched_set_schedule(t, KPIO_SCHED_REALTIME, (uint8_t)value, 1024, affinity);
        return 0;
    case KPIO_SCHED_FAIR:
        if (value < 1 || value > 10000) return -EINVAL;
        sched_set_schedule(t, KPIO_SCHED_FAIR, 0, value, affinity);
        return 0;
    case KPIO_SCHED_IDLE:
        sched_set_schedule(t, KPIO_SCHED_IDLE, 0, 1024, affinity);
        return 0;
    default: return -EINVAL;
    }
}

int64_t sys_thread_set_schedule(uint64_t thread, uint64_t class_, uint64_t priority, uint64_t affinity, uint64_t e,
                                uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)thread, KPIO_KIND_THREAD, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    struct thread_object *t = thread_of(o);
    uint64_t online = cpu_count == 64 ? UINT64_MAX : (1ull << cpu_count) - 1;
    if (affinity == 0) affinity = t->thread.affinity;
    if ((affinity & online) == 0 || t->gone) return -EINVAL;
    int64_t result = set_schedule(&t->thread, (uint32_t)class_, (uint32_t)priority, affinity);
    if (result == 0) futex_priority_changed(&t->thread);
    return result;
}

int64_t sys_thread_set_bases(uint64_t fs, uint64_t gs, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    if (fs >= USER_MAX || gs >= USER_MAX) return -EINVAL;
    const struct segment_bases bases = {.fs = fs, .gs = gs};
    segment_bases_load(&bases);
    return 0;
}

int64_t sys_thread_set_restart(uint64_t area, uint64_t signature, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return restart_set(area, (uint32_t)signature);
}

int64_t sys_thread_info(uint64_t thread, uint64_t info_at, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)thread, KPIO_KIND_THREAD, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_thread_info info;
    thread_get_info(thread_of(o), &info);
    return copy_to_user(user_ptr(info_at), &info, sizeof(info));
}

int64_t sys_thread_block(uint64_t thread, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)thread, KPIO_KIND_THREAD, KPIO_RIGHT_INSPECT, &o);
    return error ? error : (int64_t)thread_of(o)->pages.user;
}
