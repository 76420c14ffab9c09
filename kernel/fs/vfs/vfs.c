#include "kernel/fs/vfs/vfs.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/assert.h"
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/file.h"
#include "kernel/fs/vfs/link.h"
#include "kernel/fs/vfs/lock.h"
#include "kernel/fs/vfs/name.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"

static const struct fs_type *const types[] = {&ext4_type, &fat32_type, &tmpfs_type};

const struct fs_type *fs_type_find(const char *name) {
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        if (strcmp(types[i]->name, name) == 0) return types[i];
    return NULL;
}

int fs_type_probe(struct block_device *device, unsigned flags, const char *options, struct filesystem **out) {
    int error = -EINVAL;
    for (unsigned i = 0; i < ARRAY_SIZE(types) && error == -EINVAL; i++)
        if (types[i] != &tmpfs_type) error = types[i]->mount(device, flags, options, out);
    return error;
}

// The object that stood for the file's memory goes before the mapping drops its own reference on the pages: that follows.
static void await_unmapped(const struct inode *inode) {
    const struct vmo *vmo = inode->cache.ops != NULL ? inode->cache.vmo : NULL;
    while (vmo != NULL && __atomic_load_n(&vmo->refs, __ATOMIC_ACQUIRE) > 1) sched_sleep_until(arch_now() + 50000);
}

static void forget(struct inode *inode) {
    await_unmapped(inode);
    names_forget_in(inode);
    if (FS_TYPE(inode->mode) == FS_SYMLINK) link_forget(inode);
    else if (inode_has_locks(inode)) locks_forget(inode);
}

int vfs_sync_all(void) {
    int first = 0;
    for (struct filesystem *fs = filesystem_next(NULL); fs != NULL; fs = filesystem_next(fs)) {
        int error = 0;
        if (!fs->remote) error = filesystem_sync(fs);
        else if (fs->domain != NULL) cache_domain_start(fs->domain);  // nobody waits for a process
        if (first == 0) first = error;
    }
    return first;
}

// For inodes and names together an eighth of the memory, from 512 MiB on a quarter.
#define BYTES_PER_INODE 1536ul
#define LARGE_BYTES (512ul << 20)

static uint64_t most_inodes(void) {
    struct page_stats stats;
    page_get_stats(&stats);
    uint64_t bytes = stats.total * PAGE_SIZE;
    return MIN(bytes / (bytes >= LARGE_BYTES ? 4 : 8) / BYTES_PER_INODE, 1ul << 20);
}

int vfs_prepare(void) { return names_init(most_inodes()); }

void vfs_init(void) {
    inode_forget = forget;
    inodes_set_limit((uint32_t)most_inodes());
    if (vfs_worker_start() != 0) panic("no memory for the VFS");
    directory_init();
    file_init();
}
