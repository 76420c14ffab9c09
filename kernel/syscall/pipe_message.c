// Messages through pipes with any number of handles and a note; what ends of pipes share.
#include "kernel/ipc/pipe.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "kernel/syscall/vector.h"

// Kernel memory for what goes along: handles, then the note.
struct message {
    struct kpio_pipe_message user;
    struct kpio_message_handle *handles;
    uint8_t *note;
    uint64_t size;
};

static int message_begin(struct message *m, uint64_t address) {
    struct kpio_pipe_message *u = &m->user;
    m->handles = NULL;
    int error = copy_from_user(u, user_ptr(address), sizeof *u);
    if (error != 0) return error;
    if (u->handle_count > KPIO_PIPE_HANDLES_MAX || u->note_size > KPIO_PIPE_NOTE_MAX) return -EINVAL;
    const uint64_t handles = u->handle_count * sizeof *m->handles;
    if (!user_range_valid(user_ptr(u->handles), handles) || !user_range_valid(user_ptr(u->note), u->note_size)) return -EFAULT;
    m->size = handles + u->note_size + 1;
    error = job_charge(current_process()->job, JOB_KERNEL_BYTES, m->size);
    if (error != 0) return error;
    m->handles = kmalloc(m->size);
    if (m->handles == NULL) {
        job_uncharge(current_process()->job, JOB_KERNEL_BYTES, m->size);
        return -ENOMEM;
    }
    m->note = (uint8_t *)m->handles + handles;
    return 0;
}

static void message_end(struct message *m) {
    if (m->handles == NULL) return;
    kfree(m->handles);
    job_uncharge(current_process()->job, JOB_KERNEL_BYTES, m->size);
}

// ---- sending -------------------------------------------------------------------------------------------------------------

static int64_t do_send(struct pipe_end *end, kpio_handle pipe, struct message *m, uint32_t options, nanos_t deadline) {
    struct vector v;
    const struct kpio_pipe_message *u = &m->user;
    int64_t result = copy_from_user(m->handles, user_ptr(u->handles), u->handle_count * sizeof *m->handles);
    if (result == 0) result = copy_from_user(m->note, user_ptr(u->note), u->note_size);
    if (result != 0) return result;
    const struct pipe_cargo cargo = {.handles = m->handles, .handle_count = (uint32_t)u->handle_count,
                                     .note = m->note, .note_size = (uint32_t)u->note_size};
    result = vector_read(&v, u->parts, u->part_count);
    if (result == 0) result = pipe_write(end, pipe, &(struct pipe_buffer){v.parts, v.size}, options, deadline, &cargo);
    vector_end(&v);
    return result;
}

int64_t sys_pipe_send(uint64_t pipe, uint64_t address, uint64_t options, uint64_t deadline, uint64_t e, uint64_t f) {
    struct object *o;
    struct message m;
    int64_t result = syscall_get(pipe, KPIO_KIND_PIPE, KPIO_RIGHT_WRITE, &o);
    if (result != 0) return result;
    result = options & ~(uint64_t)KPIO_PIPE_NOWAIT ? -EINVAL : message_begin(&m, address);
    if (result == 0) {
        result = do_send(pipe_end_of(o), (kpio_handle)pipe, &m, (uint32_t)options, deadline);
        message_end(&m);
    }
    object_put(o);
    sched_let_run();
    return result;
}

// ---- receiving -----------------------------------------------------------------------------------------------------------

static int tell(struct message *m, const struct pipe_delivery *d, uint64_t address) {
    struct kpio_pipe_message *u = &m->user;
    const uint64_t handles = MIN((uint64_t)d->handle_count, u->handle_count), note = MIN((uint64_t)d->note_size, u->note_size);
    int error = copy_to_user(user_ptr(u->handles), m->handles, handles * sizeof *m->handles);
    if (error == 0) error = copy_to_user(user_ptr(u->note), m->note, note);
    u->handle_count = d->handle_count;
    u->note_size = d->note_size;
    if (error == 0) error = copy_to_user(user_ptr(address), u, sizeof *u);
    for (uint64_t i = 0; i < handles && error != 0; i++)
        if (m->handles[i].handle > 0) (void)handle_close(&current_process()->handles, m->handles[i].handle);
    return error;
}

static int64_t do_receive(struct pipe_end *end, kpio_handle pipe, struct message *m, uint64_t address, uint32_t options,
                          nanos_t deadline) {
    struct vector v;
    struct pipe_delivery d = {.handles = m->handles, .handle_room = (uint32_t)m->user.handle_count,
                              .note = m->note, .note_room = (uint32_t)m->user.note_size};
    int64_t result = vector_read(&v, m->user.parts, m->user.part_count);
    if (result == 0) {
        result = pipe_read(end, pipe, &(struct pipe_buffer){v.parts, v.size}, options, deadline, &d);
        int error = result >= 0 ? tell(m, &d, address) : 0;
        if (error != 0) result = error;
    }
    vector_end(&v);
    return result;
}

static bool receive_options_valid(uint64_t options) {
    if (options & KPIO_PIPE_COPY_HANDLES && !(options & KPIO_PIPE_PEEK)) return false;
    return !(options & ~(uint64_t)(KPIO_PIPE_NOWAIT | KPIO_PIPE_PEEK | KPIO_PIPE_COPY_HANDLES));
}

int64_t sys_pipe_receive(uint64_t pipe, uint64_t address, uint64_t options, uint64_t deadline, uint64_t e, uint64_t f) {
    struct object *o;
    struct message m;
    int64_t result = syscall_get(pipe, KPIO_KIND_PIPE, KPIO_RIGHT_READ, &o);
    if (result != 0) return result;
    result = receive_options_valid(options) ? message_begin(&m, address) : -EINVAL;
    if (result == 0) {
        result = do_receive(pipe_end_of(o), (kpio_handle)pipe, &m, address, (uint32_t)options, deadline);
        message_end(&m);
    }
    object_put(o);
    sched_let_run();
    return result;
}

// ---- what ends share -----------------------------------------------------------------------------------------------------

int64_t sys_pipe_demand(uint64_t pipe, uint64_t on, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)pipe, KPIO_KIND_PIPE, KPIO_RIGHT_READ, &o);
    if (error) return error;
    if (on > 1) return -EINVAL;
    __atomic_store_n(&pipe_end_of(o)->pipe->demands, on != 0, __ATOMIC_RELAXED);
    return 0;
}

int64_t sys_pipe_label(uint64_t pipe, uint64_t label, uint64_t size, uint64_t d, uint64_t e, uint64_t f) {
    uint8_t bytes[KPIO_PIPE_LABEL_MAX];
    struct object *o;
    int error = handle_get((kpio_handle)pipe, KPIO_KIND_PIPE, 0, &o);
    if (error == 0) error = handle_get((kpio_handle)pipe, KPIO_KIND_PIPE, pipe_end_of(o)->writer ? KPIO_RIGHT_WRITE : KPIO_RIGHT_READ, &o);
    if (error) return error;
    if (size > sizeof bytes) return -EINVAL;
    error = syscall_get(pipe, KPIO_KIND_PIPE, 0, &o);
    if (error) return error;
    error = copy_from_user(bytes, user_ptr(label), size);
    if (error == 0) error = pipe_label_set(pipe_end_of(o), bytes, (uint32_t)size);
    object_put(o);
    return error;
}

int64_t sys_pipe_label_get(uint64_t pipe, uint64_t label, uint64_t size, uint64_t d, uint64_t e, uint64_t f) {
    uint8_t bytes[KPIO_PIPE_LABEL_MAX];
    struct object *o;
    int error = handle_get((kpio_handle)pipe, KPIO_KIND_PIPE, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    const uint32_t whole = pipe_label_get(pipe_end_of(o), bytes);
    error = copy_to_user(user_ptr(label), bytes, MIN((uint64_t)whole, size));
    return error ? error : (int64_t)whole;
}
