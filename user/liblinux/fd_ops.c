// What reading, writing and looking at each kind of descriptor means.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/local.h"
#include "user/liblinux/node.h"

// ---- files -------------------------------------------------------------------------------------------------------------

static int64_t file_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return kpio_file_read(fd->handle, (uint8_t *)buffer, size, offset);
}

static int64_t file_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    int64_t error = lx_limit_write(t, fd->handle, offset, false, &size);
    return error < 0 ? error : kpio_file_write(fd->handle, (const uint8_t *)buffer, size, offset, 0);
}

static int64_t kernel_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    return kpio_path_stat(fd->handle, NULL, 0, out);
}

static int64_t directory_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return -EISDIR;
}

static int64_t local_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    struct lx_at at;
    int64_t error = lx_local_path(fd, at.text);
    at.mount = error == 0 ? lx_local_of(at.text) : NULL;
    return error != 0 ? error : lx_local_stat(t, &at, true, out);
}

// ---- the boot console ----------------------------------------------------------------------------------------------------

static int64_t console_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return lx_block(t, SYS_console_read, (uint64_t)(uint32_t)fd->handle, buffer, size, KPIO_TIME_NEVER, 0, 0);
}

static int64_t console_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return kpio_console_write(fd->handle, (const uint8_t *)buffer, size);
}

static int64_t console_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    *out = (struct kpio_stat){.inode = 1, .mode = 0020620, .links = 1, .device = 5ull << 32 | 1, .block_size = 1024};
    return 0;
}

// As a serial line of Linux in raw mode, without a size.
enum { TCGETS = 0x5401, TIOCGWINSZ = 0x5413 };
static int64_t console_ioctl(struct lx_thread *t, const struct lx_fd *fd, uint64_t request, uint64_t argument) {
    const struct {
        uint32_t input, output, control, local;
        uint8_t line, characters[19];
    } settings = {.control = 0xcbd};  // 38400 baud, 8 bits, CREAD, HUPCL, CLOCAL
    const uint16_t size[4] = {0};
    _Static_assert(sizeof settings == 36, "struct termios of the kernel");
    if (request == TCGETS) return lx_copy_out(argument, &settings, sizeof settings);
    return request == TIOCGWINSZ ? lx_copy_out(argument, size, sizeof size) : -ENOTTY;
}

// ---- devices that need no kernel -------------------------------------------------------------------------------------------

#define RANDOM_STEP 256u
static int64_t device_random(uint64_t buffer, uint64_t size) {
    uint8_t bytes[RANDOM_STEP];
    for (uint64_t done = 0; done < size; done += RANDOM_STEP) {
        uint64_t step = MIN(size - done, (uint64_t)RANDOM_STEP);
        int64_t result = kpio_random_get(bytes, step);
        if (result == 0) result = lx_copy_out(buffer + done, bytes, step);
        if (result < 0) return done > 0 ? (int64_t)done : result;
    }
    return (int64_t)size;
}

static int64_t device_zero(uint64_t buffer, uint64_t size) {
    static const uint8_t zeros[RANDOM_STEP];
    for (uint64_t done = 0; done < size; done += RANDOM_STEP) {
        int64_t result = lx_copy_out(buffer + done, zeros, MIN(size - done, (uint64_t)RANDOM_STEP));
        if (result < 0) return done > 0 ? (int64_t)done : result;
    }
    return (int64_t)size;
}

static int64_t device_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    switch (fd->device) {
    case LX_DEVICE_NULL: return 0;
    case LX_DEVICE_RANDOM: return device_random(buffer, size);
    default: return device_zero(buffer, size);
    }
}

static int64_t device_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return fd->device == LX_DEVICE_FULL ? -ENOSPC : (int64_t)size;
}

static int64_t device_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    static const uint8_t minors[] = {[LX_DEVICE_NULL] = 3, [LX_DEVICE_ZERO] = 5, [LX_DEVICE_FULL] = 7, [LX_DEVICE_RANDOM] = 9};
    const uint32_t minor = fd->extra != 0 ? fd->extra : minors[fd->device];  // of what it was opened by
    lx_local_stat_begin(&lx_local_dev, out);
    out->mode = 0020666;
    out->device = 1ull << 32 | minor;
    out->inode = LX_DEV_INODE(minor);
    return 0;
}

// ---- the table ---------------------------------------------------------------------------------------------------------

static const struct lx_fd_ops none_ops = {}, file_ops = {.read = file_read, .write = file_write, .stat = kernel_stat},
                              directory_ops = {.read = directory_read, .stat = kernel_stat}, path_ops = {.stat = kernel_stat},
                              console_ops = {.read = console_read, .write = console_write, .stat = console_stat, .ioctl = console_ioctl},
                              local_ops = {.read = directory_read, .stat = local_stat},
                              device_ops = {.read = device_read, .write = device_write, .stat = device_stat};

static const struct lx_fd_ops *const table[LX_KINDS] = {
    [LX_KIND_FILE] = &file_ops,       [LX_KIND_DIRECTORY] = &directory_ops, [LX_KIND_PATH] = &path_ops,
    [LX_KIND_CONSOLE] = &console_ops, [LX_KIND_LOCAL] = &local_ops,         [LX_KIND_DEVICE] = &device_ops,
    [LX_KIND_PIPE] = &lx_pipe_ops,    [LX_KIND_COUNTER] = &lx_counter_ops,  [LX_KIND_TIMER] = &lx_timer_ops,
    [LX_KIND_EPOLL] = &lx_epoll_ops,  [LX_KIND_SIGNAL] = &lx_signalfd_ops,  [LX_KIND_SOCKET] = &lx_socket_ops,
    [LX_KIND_PROCESS] = &lx_pidfd_ops, [LX_KIND_NODE] = &lx_node_ops,       [LX_KIND_FUSE] = &lx_fuse_ops,
    [LX_KIND_MEMORY] = &lx_memory_ops,
};

const struct lx_fd_ops *lx_fd_ops(uint8_t kind) { return table[kind] != NULL ? table[kind] : &none_ops; }
