// /proc/self/mem: the memory of the process that reads or writes. An empty file keeps the offset that duplicates share.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/proc.h"

#define STEP 1024u  // divides a page: a step is there or not

void lx_proc_memory(struct lx_thread *t, struct lx_text *text) { text->error = -EIO; }

int64_t lx_proc_memory_open(struct lx_thread *t, struct lx_fd *out) {
    const kpio_handle where = lx_process(t)->memory_fs;
    if (where == KPIO_HANDLE_NONE) return -EACCES;
    const int64_t opened = kpio_path_open(where, ".", KPIO_OPEN_TEMPORARY, 0600, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE);
    if (opened < 0) return opened;
    *out = (struct lx_fd){.handle = (kpio_handle)(uint32_t)opened, .kind = LX_KIND_MEMORY, .device = LX_TYPE_REGULAR};
    return 0;
}

// What cannot be read or written there is EIO, what cannot be at the program's buffer EFAULT.
static int64_t move(uint64_t at, uint64_t buffer, uint64_t size, bool write) {
    uint8_t bytes[STEP];
    uint64_t done = 0;
    while (done < size) {
        const uint64_t from = write ? buffer + done : at + done, to = write ? at + done : buffer + done;
        const uint64_t step = MIN(size - done, STEP - (at + done) % STEP);
        int64_t error = lx_copy_in(bytes, from, step);
        if (error != 0 && !write) error = -EIO;
        else if (error == 0 && (error = lx_copy_out(to, bytes, step)) != 0 && write) error = -EIO;
        if (error != 0) return done > 0 ? (int64_t)done : error;
        done += step;
    }
    return (int64_t)done;
}

static int64_t transfer(const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset, bool write) {
    const bool own = offset == KPIO_OFFSET_CURRENT;
    const int64_t at = own ? kpio_file_seek(fd->handle, 0, KPIO_SEEK_CURRENT) : offset;
    const int64_t done = at < 0 ? at : move((uint64_t)at, buffer, size, write);
    if (own && done > 0) (void)kpio_file_seek(fd->handle, at + done, KPIO_SEEK_SET);
    return done;
}

static int64_t memory_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return transfer(fd, buffer, size, offset, false);
}
static int64_t memory_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return transfer(fd, buffer, size, offset, true);
}
static int64_t memory_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    lx_local_stat_begin(&lx_local_proc, out);
    out->inode = 1;
    out->mode = LX_S_IFREG | 0600;
    return 0;
}

const struct lx_fd_ops lx_memory_ops = {.read = memory_read, .write = memory_write, .stat = memory_stat};
