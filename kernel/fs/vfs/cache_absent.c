// Until the page cache is there: file systems that need it cannot be mounted.
#include "kernel/block/page_cache.h"

__attribute__((weak)) void file_cache_destroy(struct file_cache *cache, bool discard) { (void)cache, (void)discard; }
