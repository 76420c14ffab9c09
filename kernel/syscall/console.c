// The boot console, the kernel log and the audit ring.
#include "kernel/object/console.h"

#include "kernel/core/log.h"
#include "kernel/object/audit.h"
#include "kernel/sched/sched.h"
#include "kernel/syscall/args.h"

#define PIECE 512

static int64_t put(uint64_t system, uint64_t text, uint64_t size, void (*write)(const char *text, size_t length)) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_LOG, &o);
    if (error) return error;
    char piece[PIECE];
    uint64_t done = 0;
    while (done < size) {
        uint64_t n = MIN(size - done, (uint64_t)PIECE);
        if (copy_from_user(piece, user_ptr(text + done), n) != 0) return done > 0 ? (int64_t)done : -EFAULT;
        write(piece, n);
        done += n;
        if (done < size && sched_preempt_point()) break;
    }
    return (int64_t)done;
}

int64_t sys_console_write(uint64_t system, uint64_t text, uint64_t size, uint64_t d, uint64_t e, uint64_t f) {
    return put(system, text, size, arch_console_write);
}

int64_t sys_console_emit(uint64_t system, uint64_t bytes, uint64_t size, uint64_t d, uint64_t e, uint64_t f) {
    return put(system, bytes, size, arch_console_emit);
}

int64_t sys_console_read(uint64_t system, uint64_t buffer, uint64_t size, uint64_t deadline, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_LOG, &o);
    if (error) return error;
    char piece[PIECE];
    int64_t got = console_read(piece, MIN(size, (uint64_t)PIECE), deadline);
    if (got > 0 && copy_to_user(user_ptr(buffer), piece, (size_t)got) != 0) return -EFAULT;
    return got;
}

// Copies pieces from a ring from *position_at on until nothing is left or the buffer is full.
static int64_t ring_read(size_t (*read)(uint64_t *position, void *buffer, size_t size), uint64_t position_at,
                         uint64_t buffer, uint64_t size) {
    uint64_t position, done = 0, piece[PIECE / sizeof(uint64_t)];
    if (copy_from_user(&position, user_ptr(position_at), sizeof(position)) != 0) return -EFAULT;
    while (done < size) {
        uint64_t next = position;
        size_t got = read(&next, piece, MIN(size - done, (uint64_t)PIECE));
        if (got == 0) {
            position = next;
            break;
        }
        if (copy_to_user(user_ptr(buffer + done), piece, got) != 0) return -EFAULT;
        position = next;
        done += got;
        if (sched_preempt_point()) break;
    }
    if (copy_to_user(user_ptr(position_at), &position, sizeof(position)) != 0) return -EFAULT;
    return (int64_t)done;
}

static size_t log_piece(uint64_t *position, void *buffer, size_t size) { return log_read(position, buffer, size); }

int64_t sys_log_read(uint64_t system, uint64_t position, uint64_t buffer, uint64_t size, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_LOG, &o);
    return error ? error : ring_read(log_piece, position, buffer, size);
}

int64_t sys_audit_read(uint64_t system, uint64_t position, uint64_t buffer, uint64_t size, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_AUDIT, &o);
    return error ? error : ring_read(audit_read, position, buffer, size);
}
