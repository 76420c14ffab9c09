// Pipe system calls.
#include "kernel/ipc/pipe.h"

#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/process.h"

int64_t sys_pipe_create(uint64_t mode, uint64_t size, uint64_t other, uint64_t d, uint64_t e, uint64_t f) {
    struct pipe_end *reader, *writer;
    struct handle_table *table = &current_process()->handles;
    if (mode > PIPE_SEQPACKET) return -EINVAL;
    int error = pipe_create(current_process()->job, (enum pipe_mode)mode, size, &reader, &writer);
    if (error) return error;
    int64_t second = handle_install(&writer->object);
    if (second < 0) {
        object_put(&reader->object);
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

typedef int64_t transfer(struct pipe_end *, kpio_handle, struct user_ptr, uint64_t, uint32_t, nanos_t);

static bool options_valid(uint64_t options, uint32_t right) {
    uint64_t handles = options / KPIO_PIPE_SEND_HANDLES(1), flags = options % KPIO_PIPE_SEND_HANDLES(1);
    if (right == KPIO_RIGHT_READ) return handles == 0 && flags <= (KPIO_PIPE_NOWAIT | KPIO_PIPE_TAKE_HANDLES);
    return handles <= KPIO_MESSAGE_HANDLES_MAX && flags <= KPIO_PIPE_NOWAIT;
}

static inline int64_t do_transfer(uint64_t pipe, uint32_t right, uint64_t buffer, uint64_t size, uint64_t options,
                                  uint64_t deadline, transfer *go) {
    struct object *o;
    int error = handle_get((kpio_handle)pipe, KPIO_KIND_PIPE, right, &o);
    if (error) return error;
    if (!options_valid(options, right)) return -EINVAL;
    if (!user_range_valid(user_ptr(buffer), size)) return -EFAULT;
    if (!object_tryget(o)) return -EBADF;
    int64_t result = go(pipe_end_of(o), (kpio_handle)pipe, user_ptr(buffer), size, (uint32_t)options, deadline);
    object_put(o);
    return result;
}

int64_t sys_pipe_read(uint64_t pipe, uint64_t buffer, uint64_t size, uint64_t options, uint64_t deadline, uint64_t f) {
    return do_transfer(pipe, KPIO_RIGHT_READ, buffer, size, options, deadline, pipe_read);
}

int64_t sys_pipe_write(uint64_t pipe, uint64_t buffer, uint64_t size, uint64_t options, uint64_t deadline, uint64_t f) {
    return do_transfer(pipe, KPIO_RIGHT_WRITE, buffer, size, options, deadline, pipe_write);
}
