// What file systems find around them in host tests: a clock that moves with each look, file caches without pages. All weak.
#include "kernel/fs/vfs/fs.h"

#define weak __attribute__((weak))

weak struct fs_time fs_now(void)
{
    static int64_t seconds = 1700000000;
    return (struct fs_time){.seconds = seconds++, .nanoseconds = 123456789};
}

weak void file_cache_init(struct file_cache *cache, const struct file_cache_ops *ops, struct cache_domain *domain, uint64_t size)
{
    cache->ops = ops;
    cache->domain = domain;
    cache->size = size;
}
weak void file_cache_destroy(struct file_cache *cache, bool discard) { cache->ops = NULL, (void)discard; }
weak void inode_mapped(struct file_cache *cache, bool mapped) { (void)cache, (void)mapped; }
weak int inode_sync_mapped(struct file_cache *cache, uint64_t offset, uint64_t bytes) { (void)cache, (void)offset, (void)bytes; return 0; }
