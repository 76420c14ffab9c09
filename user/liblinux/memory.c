#include "user/liblinux/memory.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "user/liblinux/fd.h"

int64_t lx_map_anonymous(struct lx_space *space, uint64_t size, uint32_t flags, uint64_t address) {
    return kpio_aspace_map(space->aspace, KPIO_HANDLE_NONE, 0, size, flags | KPIO_MAP_ANONYMOUS, address);
}

int64_t lx_map_own(struct lx_space *space, uint64_t size) {
    return lx_map_anonymous(space, size, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
}

// A private mapping of a file that has an execute bit may be made executable later, as a loader of code does that maps all of a file
// and then protects a part. (Pages that were written meanwhile never run: the kernel sees to that.)
static bool may_become_code(const struct lx_fd *fd, uint32_t flags) {
    struct kpio_stat stat;
    if (!(flags & KPIO_MAP_PRIVATE) || fd->kind != LX_KIND_FILE || fd->flags & LX_FD_WRITE) return false;
    return kpio_path_stat(fd->handle, NULL, 0, &stat) == 0 && stat.mode & 0111;
}

int64_t lx_map_file(struct lx_space *space, const struct lx_fd *fd, uint64_t offset, uint64_t size, uint32_t flags, uint64_t address) {
    bool shared = !(flags & KPIO_MAP_PRIVATE);
    uint32_t rights = KPIO_RIGHT_READ | (flags & KPIO_MAP_EXECUTE ? KPIO_RIGHT_EXECUTE : 0);
    if (shared && fd->flags & LX_FD_WRITE) rights |= KPIO_RIGHT_WRITE;
    int64_t vmo = may_become_code(fd, flags) ? kpio_file_vmo(fd->handle, rights | KPIO_RIGHT_EXECUTE) : -EACCES;
    if (vmo < 0) vmo = kpio_file_vmo(fd->handle, rights);
    if (vmo < 0) return vmo == -EACCES ? -EPERM : vmo;
    int64_t at = kpio_aspace_map(space->aspace, (kpio_handle)vmo, offset, size, flags, address);
    (void)kpio_handle_close((uint64_t)vmo);
    return at;
}
