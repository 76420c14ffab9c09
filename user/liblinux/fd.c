#include "user/liblinux/fd.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/memory.h"

#define FIRST_CAPACITY 64u

int lx_files_create(struct lx_process *p) {
    struct lx_files *files = lx_alloc(p->space, sizeof *files);
    if (files == NULL) return -ENOMEM;
    files->entries = lx_alloc(p->space, FIRST_CAPACITY * sizeof(struct lx_fd));
    if (files->entries == NULL) return -ENOMEM;
    files->capacity = FIRST_CAPACITY;
    files->limit = LX_FD_LIMIT;
    p->files = files;
    return 0;
}

// Tables above what the heap gives are mappings of their own.
static void *entries_alloc(struct lx_space *space, uint64_t bytes) {
    if (bytes <= LX_HEAP_MAX) return lx_alloc(space, bytes);
    int64_t at = lx_map_own(space, align_up(bytes, 4096));
    return at < 0 ? NULL : (void *)at;
}

// What a reader may still look at stays mapped: all former tables together are no larger than the one that follows them.
static void entries_retire(struct lx_space *space, void *entries, uint64_t bytes) {
    if (bytes <= LX_HEAP_MAX) lx_free(space, entries, bytes);
}

int lx_files_copy(struct lx_process *child, const struct lx_process *p) {
    const struct lx_files *from = p->files;
    struct lx_files *files = lx_alloc(child->space, sizeof *files);
    if (files == NULL) return -ENOMEM;
    *files = *from;
    files->entries = entries_alloc(child->space, from->capacity * sizeof *files->entries);
    if (files->entries == NULL) {
        lx_free(child->space, files, sizeof *files);
        return -ENOMEM;
    }
    memcpy(files->entries, from->entries, from->capacity * sizeof *files->entries);
    child->files = files;
    return 0;
}

// Around each change of an entry, or of where the entries are; files_lock is held.
static void change_begin(struct lx_files *files) {
    __atomic_store_n(&files->sequence, files->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}
static void change_end(struct lx_files *files) { __atomic_store_n(&files->sequence, files->sequence + 1, __ATOMIC_RELEASE); }

static int grow(struct lx_process *p, uint64_t number) {
    struct lx_files *files = p->files;
    uint64_t capacity = files->capacity;
    while (capacity <= number) capacity *= 2;
    struct lx_fd *entries = entries_alloc(p->space, capacity * sizeof *entries);
    if (entries == NULL) return -ENOMEM;
    memcpy(entries, files->entries, files->capacity * sizeof *entries);
    change_begin(files);
    struct lx_fd *old = files->entries;
    uint64_t old_bytes = files->capacity * sizeof *entries;
    files->entries = entries;
    files->capacity = (uint32_t)capacity;
    change_end(files);
    entries_retire(p->space, old, old_bytes);
    return 0;
}

static struct lx_fd *find(struct lx_process *p, uint64_t number) {
    struct lx_files *files = p->files;
    uint32_t index = (uint32_t)number;
    return index < files->capacity && files->entries[index].kind != LX_KIND_NONE ? &files->entries[index] : NULL;
}

static void set_entry(struct lx_files *files, uint64_t number, const struct lx_fd *fd) {
    change_begin(files);
    files->entries[number] = *fd;
    change_end(files);
}

int64_t lx_fd_get_locked(struct lx_process *p, uint64_t number, struct lx_fd *out) {
    lx_lock(&p->files_lock);
    const struct lx_fd *fd = find(p, number);
    if (fd != NULL) *out = *fd;
    lx_unlock(&p->files_lock);
    return fd == NULL ? -EBADF : 0;
}

static int64_t install_locked(struct lx_process *p, const struct lx_fd *fd, uint64_t from) {
    struct lx_files *files = p->files;
    uint64_t number = MAX(from, files->free_from);
    while (number < files->capacity && files->entries[number].kind != LX_KIND_NONE) number++;
    if (number >= files->limit) return -EMFILE;
    if (number >= files->capacity && grow(p, number) != 0) return -ENOMEM;
    set_entry(files, number, fd);
    if (from <= files->free_from) files->free_from = (uint32_t)number + 1;
    return (int64_t)number;
}

int64_t lx_fd_install(struct lx_process *p, const struct lx_fd *fd, uint64_t from) {
    lx_lock(&p->files_lock);
    int64_t number = install_locked(p, fd, from);
    lx_unlock(&p->files_lock);
    if (number < 0) lx_fd_close(fd);
    return number;
}

int64_t lx_fd_install_at(struct lx_process *p, const struct lx_fd *fd, uint64_t number) {
    struct lx_files *files = p->files;
    struct lx_fd old = {.kind = LX_KIND_NONE};
    int64_t result = (int64_t)number;
    lx_lock(&p->files_lock);
    if (number >= files->limit) result = -EBADF;
    else if (number >= files->capacity && grow(p, number) != 0) result = -ENOMEM;
    else {
        old = files->entries[number];
        set_entry(files, number, fd);
    }
    lx_unlock(&p->files_lock);
    lx_fd_close(result < 0 ? fd : &old);
    return result;
}

int64_t lx_fd_remove(struct lx_process *p, uint64_t number, struct lx_fd *out) {
    lx_lock(&p->files_lock);
    struct lx_fd *fd = find(p, number);
    if (fd != NULL) {
        *out = *fd;
        set_entry(p->files, (uint32_t)number, &(struct lx_fd){.kind = LX_KIND_NONE});
        if ((uint32_t)number < p->files->free_from) p->files->free_from = (uint32_t)number;
    }
    lx_unlock(&p->files_lock);
    return fd == NULL ? -EBADF : 0;
}

int64_t lx_fd_set_flags(struct lx_process *p, uint64_t number, uint8_t clear, uint8_t set) {
    lx_lock(&p->files_lock);
    struct lx_fd *fd = find(p, number);
    if (fd != NULL) {
        struct lx_fd changed = *fd;
        changed.flags = (uint8_t)((fd->flags & ~clear) | set);
        set_entry(p->files, (uint32_t)number, &changed);
    }
    lx_unlock(&p->files_lock);
    return fd == NULL ? -EBADF : 0;
}

int64_t lx_fd_replace(struct lx_process *p, uint64_t number, const struct lx_fd *old, const struct lx_fd *fresh) {
    lx_lock(&p->files_lock);
    struct lx_fd *fd = find(p, number);
    bool same = fd != NULL && fd->kind == old->kind && fd->handle == old->handle && fd->second == old->second;
    if (same) {
        struct lx_fd changed = *fresh;  // but for what somebody may have changed meanwhile
        changed.flags = (uint8_t)((fresh->flags & ~LX_FD_CLOEXEC) | (fd->flags & LX_FD_CLOEXEC));
        set_entry(p->files, (uint32_t)number, &changed);
    }
    lx_unlock(&p->files_lock);
    return same ? 0 : -EBADF;
}

bool lx_fd_extra_used(struct lx_process *p, uint8_t kind, uint32_t extra) {
    bool used = false;
    lx_lock(&p->files_lock);
    for (uint32_t i = 0; i < p->files->capacity && !used; i++)
        used = p->files->entries[i].kind == kind && p->files->entries[i].extra == extra;
    lx_unlock(&p->files_lock);
    return used;
}

int64_t lx_fd_duplicate(const struct lx_fd *from, struct lx_fd *out) {
    struct lx_fd made = *from;
    made.flags &= (uint8_t)~LX_FD_CLOEXEC;
    int64_t result = 0;
    if (from->handle > 0) {
        result = kpio_handle_dup(from->handle, KPIO_RIGHTS_SAME);
        if (result < 0) return result;
        made.handle = (kpio_handle)result;
    }
    if (from->second > 0) {
        result = kpio_handle_dup(from->second, KPIO_RIGHTS_SAME);
        if (result < 0) {
            (void)kpio_handle_close((uint64_t)made.handle);
            return result;
        }
        made.second = (kpio_handle)result;
    }
    *out = made;
    return 0;
}

void lx_fd_close(const struct lx_fd *fd) {
    if (fd->kind != LX_KIND_NONE) lx_fd_close_handles(fd);
}

void lx_fd_close_handles(const struct lx_fd *fd) {
    if (fd->handle > 0) (void)kpio_handle_close((uint64_t)fd->handle);
    if (fd->second > 0) (void)kpio_handle_close((uint64_t)fd->second);
}

void lx_fd_describe(const struct lx_fd *fd, int32_t number, struct lx_launch_fd *out) {
    *out = (struct lx_launch_fd){.number = number,
                                 .handle = fd->handle,
                                 .second = fd->second,
                                 .extra = fd->extra,
                                 .kind = fd->kind,
                                 .flags = fd->flags,
                                 .device = fd->device};
}

void lx_fd_from_launch(const struct lx_launch_fd *from, struct lx_fd *out) {
    *out = (struct lx_fd){.handle = from->handle,
                          .second = from->second,
                          .extra = from->extra,
                          .kind = from->kind,
                          .flags = from->flags,
                          .device = from->device};
}
