// Reading directories. Linux's records are as long as the kernel's or shorter, so that these are changed where they lie: in the
// thread's message page, from where the program's get copied.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/directory.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/local.h"

_Static_assert(offsetof(struct lx_dirent64, name) == 19 && offsetof(struct kpio_directory_entry, name) == 20, "no longer than before");

uint64_t lx_dirent_put(struct lx_dirent64 *to, uint64_t inode, int64_t next, uint8_t type, const char *name, uint64_t name_bytes) {
    uint64_t bytes = align_up(offsetof(struct lx_dirent64, name) + name_bytes + 1, 8);
    to->ino = inode;
    to->off = next;
    to->reclen = (uint16_t)bytes;
    to->type = type;
    memmove(to->name, name, name_bytes);
    memset(to->name + name_bytes, 0, bytes - offsetof(struct lx_dirent64, name) - name_bytes);
    return bytes;
}

// The old record: the type is the last byte.
static uint64_t put_old(struct lx_dirent64 *to, uint64_t inode, int64_t next, uint8_t type, const char *name, uint64_t name_bytes) {
    const uint64_t head = offsetof(struct lx_dirent64, type);
    uint64_t bytes = align_up(head + name_bytes + 2, 8);
    char *text = (char *)to + head;
    to->ino = inode;
    to->off = next;
    to->reclen = (uint16_t)bytes;
    memmove(text, name, name_bytes);
    memset(text + name_bytes, 0, bytes - head - name_bytes);
    ((char *)to)[bytes - 1] = (char)type;
    return bytes;
}

// Makes Linux's records of the kernel's; returns their bytes.
static uint64_t convert(char *buffer, uint64_t bytes, bool old) {
    uint64_t to = 0;
    for (uint64_t from = 0; from < bytes;) {
        const struct kpio_directory_entry *e = (const struct kpio_directory_entry *)(buffer + from);
        const uint64_t inode = e->inode, next = e->next, length = e->name_bytes, record = e->bytes;
        struct lx_dirent64 *out = (struct lx_dirent64 *)(buffer + to);
        to += (old ? put_old : lx_dirent_put)(out, inode, (int64_t)next, e->type, e->name, length);
        from += record;
    }
    return to;
}

// The kernel's records may be longer than Linux's by what alignment takes: as much as fits of theirs is asked for.
static int64_t read_entries(struct lx_thread *t, uint64_t number, uint64_t buffer, uint64_t size, bool old) {
    struct lx_fd fd;
    int64_t result = lx_fd_get(lx_process(t), number, &fd);
    if (result != 0) return result;
    if (fd.kind == LX_KIND_LOCAL) return lx_local_read(t, &fd, buffer, size);
    if (fd.kind == LX_KIND_PATH) return -EBADF;
    if (fd.kind != LX_KIND_DIRECTORY) return -ENOTDIR;
    // A bad address must not move the offset.
    const char nothing = 0;
    result = size == 0 ? 0 : lx_copy_out(buffer, &nothing, 1);
    if (result != 0) return result;
    char *records = (char *)t->block->message;
    result = kpio_directory_read(fd.handle, records, MIN(size, (uint64_t)KPIO_MESSAGE_MAX), KPIO_OFFSET_CURRENT);
    if (result <= 0) return result;
    uint64_t bytes = convert(records, (uint64_t)result, old);
    int64_t error = lx_copy_out(buffer, records, bytes);
    return error != 0 ? error : (int64_t)bytes;
}

LX_CALL(getdents) { return read_entries(t, a0, a1, (uint32_t)a2, true); }
LX_CALL(getdents64) { return read_entries(t, a0, a1, (uint32_t)a2, false); }
