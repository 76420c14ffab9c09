// Pipe system calls.
#include "kernel/ipc/pipe.h"

#include "kernel/syscall/vector.h"

int64_t sys_pipe_create(uint64_t mode, uint64_t size, uint64_t other, uint64_t d, uint64_t e, uint64_t f) {
    struct pipe_end *reader, *writer;
    struct handle_table *table = &current_process()->handles;
    if (mode > PIPE_MAILBOX) return -EINVAL;
    int error = pipe_create(current_process()->job, (enum pipe_mode)mode, size, &reader, &writer);
    if (error) return error;
    int64_t second = handle_install(&writer->object);
    if (second < 0) {
        object_abandon(&reader->object);
        return second;
    }
    int64_t first = handle_install(&reader->object);
    error = first < 0 ? (int)first : put_user_u32(user_ptr(other), (uint32_t)second);
    if (error) {
        if (first > 0) (void)handle_close(table, (kpio_handle)first);
        (void)handle_close(table, (kpio_handle)second);
        return error;
    }
    return first;
}

typedef int64_t transfer(struct pipe_end *, kpio_handle, const struct pipe_buffer *, uint32_t, nanos_t);

// Handles of the thread block go along.
static int64_t write_block(struct pipe_end *end, kpio_handle value, const struct pipe_buffer *buffer, uint32_t options, nanos_t deadline) {
    struct kpio_message_handle handles[KPIO_MESSAGE_HANDLES_MAX];
    const struct pipe_cargo cargo = {.handles = handles, .handle_count = options / KPIO_PIPE_SEND_HANDLES(1)};
    for (uint32_t i = 0; i < cargo.handle_count; i++) {
        const volatile struct kpio_message_handle *e = &current_thread()->block->handles[i];
        handles[i] = (struct kpio_message_handle){.handle = e->handle, .rights = e->rights, .mode = e->mode};
    }
    return pipe_write(end, value, buffer, options, deadline, &cargo);
}

static int64_t read_block(struct pipe_end *end, kpio_handle value, const struct pipe_buffer *buffer, uint32_t options, nanos_t deadline) {
    struct kpio_message_handle handles[KPIO_MESSAGE_HANDLES_MAX] = {0};
    struct pipe_delivery delivery = {.handles = handles, .handle_room = KPIO_MESSAGE_HANDLES_MAX};
    if (!(options & KPIO_PIPE_TAKE_HANDLES)) return pipe_read(end, value, buffer, options, deadline, NULL);
    int64_t result = pipe_read(end, value, buffer, options, deadline, &delivery);
    if (result >= 0) memcpy(current_thread()->block->handles, handles, sizeof handles);
    return result;
}

static bool options_valid(uint64_t options, uint32_t right) {
    uint64_t handles = options / KPIO_PIPE_SEND_HANDLES(1), flags = options % KPIO_PIPE_SEND_HANDLES(1);
    if (right == KPIO_RIGHT_READ) return handles == 0 && flags <= (KPIO_PIPE_NOWAIT | KPIO_PIPE_TAKE_HANDLES | KPIO_PIPE_PEEK);
    return handles <= KPIO_MESSAGE_HANDLES_MAX && flags <= KPIO_PIPE_NOWAIT;
}

static coldcall int64_t transfer_slowly(uint64_t pipe, uint32_t right, const struct pipe_buffer *buffer, uint64_t options,
                                        uint64_t deadline, transfer *go) {
    struct object *o;
    int error = syscall_get(pipe, KPIO_KIND_PIPE, right, &o);
    if (error) return error;
    int64_t result = go(pipe_end_of(o), (kpio_handle)pipe, buffer, (uint32_t)options, deadline);
    object_put(o);
    return result;
}

static coldcall int64_t transfer_one(uint64_t pipe, uint32_t right, uint64_t at, uint64_t size, uint64_t options, uint64_t deadline,
                                     transfer *go) {
    const struct kpio_io_vector part = {at, size};
    return transfer_slowly(pipe, right, &(struct pipe_buffer){&part, size}, options, deadline, go);
}

static int64_t transfer_vector(uint64_t pipe, uint32_t right, uint64_t parts, uint64_t count, uint64_t options, uint64_t deadline,
                               transfer *go) {
    struct handle *h;
    struct vector v;
    int64_t result = handle_get_full((kpio_handle)pipe, KPIO_KIND_PIPE, right, &h);
    if (result != 0) return result;
    if (!options_valid(options, right)) return -EINVAL;
    result = vector_read(&v, parts, count);
    if (result == 0) result = transfer_slowly(pipe, right, &(struct pipe_buffer){v.parts, v.size}, options, deadline, go);
    vector_end(&v);
    return result;
}

// 0 and the handle; the order of the checks is the same on both ways.
static inline int check(uint64_t pipe, uint32_t right, uint64_t buffer, uint64_t size, uint64_t options, struct handle **h) {
    *h = handle_table_lookup(&current_process()->handles, (kpio_handle)pipe);
    if (unlikely(!*h || (*h)->object->kind != KPIO_KIND_PIPE || !((*h)->rights & right) ||
                 (*h)->flags & (HANDLE_EXPIRES | HANDLE_AUDITED))) {
        int error = handle_get_full((kpio_handle)pipe, KPIO_KIND_PIPE, right, h);
        if (error) return error;
    }
    if (unlikely(options & ~(uint64_t)KPIO_PIPE_NOWAIT && !options_valid(options, right))) return -EINVAL;
    return likely(user_range_valid(user_ptr(buffer), size)) ? 0 : -EFAULT;
}

int64_t sys_pipe_read(uint64_t pipe, uint64_t buffer, uint64_t size, uint64_t options, uint64_t deadline, uint64_t f) {
    const struct object *first = NULL;
    int64_t result;
    do {
        struct handle *h;
        int error = check(pipe, KPIO_RIGHT_READ, buffer, size, options, &h);
        if (unlikely(error)) return error;
        if (unlikely(first != NULL && h->object != first)) return -EBADF;
        first = h->object;
        result = pipe_read_quick(h, user_ptr(buffer), size, (uint32_t)options, deadline);
    } while (result == PIPE_AGAIN);
    if (unlikely(result == PIPE_SLOWLY))
        result = transfer_one(pipe, KPIO_RIGHT_READ, buffer, size, options, deadline, read_block);
    sched_let_run();
    return result;
}

int64_t sys_pipe_write(uint64_t pipe, uint64_t buffer, uint64_t size, uint64_t options, uint64_t deadline, uint64_t f) {
    struct handle *h;
    int error = check(pipe, KPIO_RIGHT_WRITE, buffer, size, options, &h);
    if (unlikely(error)) return error;
    int64_t result = pipe_write_quick(h, user_ptr(buffer), size, (uint32_t)options);
    if (unlikely(result == PIPE_SLOWLY))
        result = transfer_one(pipe, KPIO_RIGHT_WRITE, buffer, size, options, deadline, write_block);
    sched_let_run();
    return result;
}

int64_t sys_pipe_read_vector(uint64_t pipe, uint64_t parts, uint64_t count, uint64_t options, uint64_t deadline, uint64_t f) {
    return transfer_vector(pipe, KPIO_RIGHT_READ, parts, count, options, deadline, read_block);
}

int64_t sys_pipe_write_vector(uint64_t pipe, uint64_t parts, uint64_t count, uint64_t options, uint64_t deadline, uint64_t f) {
    return transfer_vector(pipe, KPIO_RIGHT_WRITE, parts, count, options, deadline, write_block);
}

int64_t sys_pipe_info(uint64_t pipe, uint64_t info, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    struct kpio_pipe_info described;
    int error = handle_get((kpio_handle)pipe, KPIO_KIND_PIPE, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    pipe_describe(pipe_end_of(o), &described);
    return copy_to_user(user_ptr(info), &described, sizeof(described));
}

// The end, with the right to use it.
static int get_end(uint64_t pipe, struct pipe_end **out) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)pipe, KPIO_KIND_PIPE, 0, &h);
    if (error) return error;
    uint32_t right = pipe_end_of(h->object)->writer ? KPIO_RIGHT_WRITE : KPIO_RIGHT_READ;
    error = handle_get_full((kpio_handle)pipe, KPIO_KIND_PIPE, right, &h);
    if (error == 0) *out = pipe_end_of(h->object);
    return error;
}

int64_t sys_pipe_resize(uint64_t pipe, uint64_t size, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct pipe_end *end;
    int error = get_end(pipe, &end);
    if (error) return error;
    if (!object_tryget(&end->object)) return -EBADF;  // the last end gives back what the ring it finds is charged with
    int64_t result = pipe_resize(end, size);
    object_put(&end->object);
    return result;
}

int64_t sys_pipe_shut(uint64_t pipe, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct pipe_end *end;
    int error = get_end(pipe, &end);
    if (error) return error;
    pipe_shut(end);
    return 0;
}

int64_t sys_pipe_reopen(uint64_t pipe, uint64_t flags, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct pipe_end *end, *made;
    struct handle *h;
    uint32_t opens;
    int error = get_end(pipe, &end);
    if (error == 0) error = handle_get_full((kpio_handle)pipe, KPIO_KIND_PIPE, KPIO_RIGHT_DUPLICATE, &h);
    if (error != 0) return error;
    if (flags & ~(uint64_t)KPIO_FIFO_NEED_PEER) return -EINVAL;
    error = pipe_attach_again(end, flags & KPIO_FIFO_NEED_PEER, &made, &opens);
    if (error != 0) return error;
    const int64_t value = handle_install_child(&made->object, h->rights, h);
    return value < 0 ? value : value | (int64_t)(opens & 0x7fffffff) << 32;
}

int64_t sys_pipe_limit(uint64_t pipe, uint64_t parcels, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)pipe, KPIO_KIND_PIPE, KPIO_RIGHT_READ, &h);
    if (error) return error;
    if ((uint32_t)parcels - 1 >= KPIO_PIPE_PARCELS_MAX) return -EINVAL;
    pipe_limit(pipe_end_of(h->object), (uint32_t)parcels);
    return 0;
}

int64_t sys_pipe_await(uint64_t pipe, uint64_t opens, uint64_t deadline, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(pipe, KPIO_KIND_PIPE, 0, &o);
    if (error) return error;
    struct pipe_end *end = pipe_end_of(o);
    int64_t result = end->pipe->home.gone == NULL ? -EINVAL : pipe_await(end, (kpio_handle)pipe, (uint32_t)opens, deadline);
    object_put(o);
    return result;
}
