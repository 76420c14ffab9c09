// What the buffer cache has of the kernel only: memory by the page, the age thread, the reclaimer.
#include "kernel/block/buffer.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"

#define AGE_PERIOD 5000000000ull  // ns

static struct kmem_cache packed[3];  // blocks smaller than a page: 512, 1024, 2048
static struct page_reclaimer reclaimer = {.reclaim = buffer_reclaim};

static struct kmem_cache *packed_for(uint32_t bytes) { return &packed[log2_floor(bytes) - 9]; }

void *buffer_memory_alloc(uint32_t bytes) {
    if (bytes < PAGE_SIZE) return slub_alloc(packed_for(bytes));
    struct page *page = bytes == PAGE_SIZE ? page_alloc(0) : page_alloc_block(log2_floor(bytes >> PAGE_SHIFT), 0);
    return page == NULL ? NULL : page_to_virt(page);
}

void buffer_memory_free(void *memory, uint32_t bytes) {
    if (bytes < PAGE_SIZE) slub_free(packed_for(bytes), memory);
    else if (bytes == PAGE_SIZE) page_free(virt_to_page(memory));
    else page_free_block(virt_to_page(memory), log2_floor(bytes >> PAGE_SHIFT));
}

static void age(void *unused) {
    (void)unused;
    for (;;) {
        sched_sleep_until(arch_now() + AGE_PERIOD);
        buffer_age_all();
    }
}

void buffer_kernel_start(void) {
    static const char *const names[] = {"block-512", "block-1024", "block-2048"};
    for (unsigned i = 0; i < ARRAY_SIZE(packed); i++) slub_cache_init(&packed[i], names[i], 512u << i, 512u << i);
    page_reclaimer_register(&reclaimer);
    if (sched_kthread_create("buffers", age, NULL) == NULL) log_warn("buffers: no memory for the thread that writes back by age");
}
