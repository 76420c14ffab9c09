// Kernel memory for host tests: the host's, so that ASan sees every object.
#include "kernel/mm/slub.h"

#include <stdlib.h>
#include <string.h>

#define weak __attribute__((weak))

weak void *kmalloc(size_t size)
{
    if (size == 0 || size > 4u << 20)
        return NULL;
    return aligned_alloc(size < PAGE_SIZE ? 64 : PAGE_SIZE, align_up(size, size < PAGE_SIZE ? 64 : PAGE_SIZE));
}
weak void *kzalloc(size_t size)
{
    void *memory = kmalloc(size);
    return memory == NULL ? NULL : memset(memory, 0, size);
}
weak void *kcalloc(size_t count, size_t size)
{
    uint64_t bytes;
    return checked_mul(count, size, &bytes) ? kzalloc(bytes) : NULL;
}
weak void kfree(void *object) { free(object); }
weak void slub_cache_init(struct kmem_cache *cache, const char *name, size_t size, size_t align)
{
    (void)align;
    cache->name = name;
    cache->object_size = (uint32_t)size;
}
weak void *slub_alloc(struct kmem_cache *cache) { return kmalloc(cache->object_size); }
weak void *slub_alloc_zeroed(struct kmem_cache *cache) { return kzalloc(cache->object_size); }
weak void slub_free(struct kmem_cache *cache, void *object) { (void)cache, kfree(object); }
