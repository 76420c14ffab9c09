#include "kernel/object/restart.h"

#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/process.h"
#include "lib/util.h"

#define NOWHERE UINT32_MAX  // restart_cpu of an area that was told nothing yet

static struct user_ptr field(const struct thread *t, uint64_t offset) { return user_ptr(t->restart_area + offset); }

static void begin(struct thread *t, uint64_t area, uint32_t signature) {
    t->restart_area = area;
    t->restart_signature = signature;
    t->restart_cpu = NOWHERE;
}

void restart_forget(struct thread *t) {
    t->restart_area = 0;
    __atomic_fetch_and(&t->pending, (uint8_t)~PENDING_RESTART, __ATOMIC_RELAXED);
}

int restart_set(uint64_t area, uint32_t signature) {
    if (!is_aligned(area, sizeof(struct kpio_restart_area)) || area >= USER_MAX || (area != 0 && area < USER_MIN)) return -EINVAL;
    if (area == 0) restart_forget(current_thread());
    else begin(current_thread(), area, signature);
    sched_note_pause();
    return 0;
}

void restart_inherit(struct thread *t, const struct thread *from) {
    if (from->restart_area == 0) return;
    begin(t, from->restart_area, from->restart_signature);
    __atomic_fetch_or(&t->pending, PENDING_RESTART, __ATOMIC_RELAXED);
}

static bool is_valid(const struct kpio_restart_section *s) {
    return s->version == 0 && s->flags == 0 && s->start < USER_MAX && s->length <= USER_MAX - s->start && s->abort < USER_MAX &&
           s->abort - s->start >= s->length;
}

// The signature is looked at wherever the thread is: who can write to the area cannot make any code of the program an abort address.
static int leave_section(const struct thread *t, struct trap_frame *frame) {
    struct kpio_restart_section section;
    uint32_t signature;
    uint64_t at;
    struct user_ptr pointer = field(t, offsetof(struct kpio_restart_area, section));
    int error = get_user_u64(&at, pointer);
    if (error != 0 || at == 0) return error;
    error = copy_from_user(&section, user_ptr(at), sizeof(section));
    if (error == 0 && !is_valid(&section)) error = -EINVAL;
    if (error == 0) error = get_user_u32(&signature, user_ptr(section.abort - sizeof(signature)));
    if (error == 0 && signature != t->restart_signature) error = -EINVAL;
    if (error == 0) error = put_user_u64(pointer, 0);
    if (error == 0 && frame->rip - section.start < section.length) frame->rip = section.abort;
    return error;
}

// A copy that waits may go on elsewhere; who moved the thread then has marked it again.
static int tell_place(struct thread *t) {
    const uint32_t cpu = cpu_id(), place[] = {0, cpu};
    if (t->restart_cpu == cpu) return 0;
    t->restart_cpu = cpu;
    int error = put_user_u64(field(t, 0), (uint64_t)cpu << 32 | cpu);
    return error != 0 ? error : copy_to_user(field(t, offsetof(struct kpio_restart_area, node)), place, sizeof(place));
}

static uint16_t fail(struct thread *t, int error) {
    restart_forget(t);
    return error == -ENOMEM ? KPIO_EXC_NO_MEMORY : KPIO_EXC_RESTART;
}

uint64_t restart_leave_section(struct trap_frame *frame) {
    struct thread *t = current_thread();
    int error = leave_section(t, frame);
    return error == 0 ? 0 : fail(t, error);
}

void restart_serve(struct trap_frame *frame) {
    struct thread *t = current_thread();
    struct thread_object *object = thread_object(t);
    __atomic_fetch_and(&t->pending, (uint8_t)~PENDING_RESTART, __ATOMIC_RELAXED);
    if (object->in_exception) {
        object->restart_waits = true;  // a failure could not be told now
        return;
    }
    int error = leave_section(t, frame);
    if (error == 0) error = tell_place(t);
    if (error == 0) return;
    t->fault_reason = fail(t, error);
    exception_deliver(frame, 0);
}
