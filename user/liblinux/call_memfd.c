// memfd_create, and the seals of what it makes: a nameless file of the process's memory file system. The kernel keeps the seals.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fcntl.h"

enum { MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, MFD_NOEXEC_SEAL = 8, MFD_EXEC = 0x10 };
#define NAME_BYTES 250u  // with the terminator

// ABI memfd_create: no huge pages; it cannot be mapped executable while it is open for writing
LX_CALL(memfd_create) {
    char name[NAME_BYTES];
    const struct lx_process *p = lx_process(t);
    uint32_t flags = (uint32_t)a1;
    if (flags & ~(uint32_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)) return -EINVAL;
    if ((flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) == (MFD_NOEXEC_SEAL | MFD_EXEC)) return -EINVAL;
    int64_t result = lx_copy_string(name, a0, NAME_BYTES);
    if (result < 0 || result == NAME_BYTES) return result < 0 ? result : -EINVAL;
    if (p->memory_fs == KPIO_HANDLE_NONE) return -ENOSYS;
    uint32_t mode = flags & MFD_NOEXEC_SEAL ? 0666 : 0777, rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE;
    result = kpio_path_open(p->memory_fs, ".", KPIO_OPEN_TEMPORARY, mode, rights);
    if (result < 0) return result;
    const struct lx_fd fd = {
        .handle = (kpio_handle)(uint32_t)result,
        .kind = LX_KIND_FILE,
        .flags = LX_FD_READ | LX_FD_WRITE | (flags & MFD_CLOEXEC ? LX_FD_CLOEXEC : 0),
        .device = LX_TYPE_REGULAR,
        .extra = LX_O_RDWR | LX_O_LARGEFILE,
    };
    bool seals = flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (!seals && (result = kpio_file_seal(fd.handle, KPIO_SEAL_SEAL)) < 0) {
        lx_fd_close(&fd);
        return result;
    }
    return lx_fd_install(lx_process(t), &fd, 0);
}

// Files that have a name, or had none as O_TMPFILE made them, count as sealed against seals.
static bool is_memfd(const struct lx_fd *fd) {
    struct kpio_stat stat;
    if (fd->kind != LX_KIND_FILE || fd->extra & LX_O_TMPFILE) return false;
    return kpio_path_stat(fd->handle, NULL, 0, &stat) == 0 && stat.links == 0;
}

int64_t lx_fcntl_get_seals(const struct lx_fd *fd) {
    int64_t seals = fd->kind == LX_KIND_FILE ? kpio_file_seal(fd->handle, 0) : -EINVAL;
    return seals >= 0 && !is_memfd(fd) ? KPIO_SEAL_SEAL : seals;
}

int64_t lx_fcntl_add_seals(const struct lx_fd *fd, uint64_t add) {
    const uint32_t known = KPIO_SEAL_SEAL | KPIO_SEAL_SHRINK | KPIO_SEAL_GROW | KPIO_SEAL_WRITE | KPIO_SEAL_FUTURE_WRITE;
    if (!(fd->flags & LX_FD_WRITE)) return -EPERM;
    if ((uint32_t)add & ~known) return -EINVAL;
    int64_t result = lx_fcntl_get_seals(fd);
    if (result < 0) return result;
    if (result & KPIO_SEAL_SEAL) return -EPERM;
    result = (uint32_t)add == 0 ? 0 : kpio_file_seal(fd->handle, (uint32_t)add);
    return result < 0 ? result : 0;
}
