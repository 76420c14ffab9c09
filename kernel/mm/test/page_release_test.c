// The same cases as page_test.c on the code of a release build: without poison, red zones and assertions.
#undef CONFIG_DEBUG
#define CONFIG_DEBUG 0
#include "kernel/mm/page_alloc.c"
#include "kernel/mm/page_buddy.c"
#include "kernel/mm/page_release.c"
#include "kernel/mm/page_cpu_cache.c"
#include "kernel/mm/page_debug.c"
#include "kernel/mm/test/page_test.c"
