// Page tables of address spaces: paid for by the address space's job, taken out when empty, freed when nobody walks them.
#include "kernel/arch/x86_64/paging.h"
#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/tlb.h"

#define TABLES_AT_ONCE 4u

// Page tables made less those freed, by each CPU: only the sum means something.
static struct {
    int64_t tables;
} cacheline_aligned table_counts[CONFIG_MAX_CPUS];

paddr_t paging_table_alloc(void *context) {
    struct aspace *a = context;  // NULL: the kernel's own tables, which nobody pays for
    if (a && job_charge(a->job, JOB_PAGES, 1)) return paddr(0);
    struct page *page = page_alloc(PAGE_ALLOC_ZERO);
    if (!page && reaper_help()) page = page_alloc(PAGE_ALLOC_ZERO);
    if (!page) {
        if (a) job_uncharge(a->job, JOB_PAGES, 1);
        return paddr(0);
    }
    page_set_type(page, PAGE_USED, PAGE_TABLE);
    if (a) {
        a->tables++;
        list_push_back(&a->table_pages, &page->link);
    }
    table_counts[cpu_id()].tables++;
    return page_to_phys(page);
}

// Gathers: aspace_free_tables ends them once no CPU walks them any more.
void paging_table_free(void *context, paddr_t table) {
    struct aspace *a = context;
    struct page *page = phys_to_page(table);
    list_remove(&page->link);
    page->owner = a->dead_tables;
    a->dead_tables = page;
    a->tables--;
    table_counts[cpu_id()].tables--;
}

// Those of one grace period hang together by page->owner.
static void tables_free_later(struct rcu_head *head) {
    struct page *page = container_of((void *)head, struct page, word);
    while (page) {
        struct page *next = page->owner;
        page_set_type(page, PAGE_TABLE, PAGE_USED);
        page_free(page);
        page = next;
    }
}

// Hardware has forgotten them; a VMO on another CPU may still read them until it passes a quiescent point.
void aspace_free_tables(struct aspace *a) {
    while (a->dead_tables) {
        struct page *first = a->dead_tables, *last = first;
        unsigned count = 1;
        for (; count < TABLES_AT_ONCE && last->owner; count++) last = last->owner;
        a->dead_tables = last->owner;
        last->owner = NULL;
        job_uncharge(a->job, JOB_PAGES, count);
        rcu_call((struct rcu_head *)first->word, tables_free_later);
    }
}

void aspace_end_tables(struct aspace *a) {
    struct list_node *node;
    while ((node = list_first(&a->table_pages)) != NULL) paging_table_free(a, page_to_phys(list_entry(node, struct page, link)));
    aspace_free_tables(a);
}
_Static_assert(sizeof(struct rcu_head) <= sizeof(((struct page *)0)->word), "an RCU head fits struct page");

bool aspace_prune_locked(struct aspace *a, uint64_t start, uint64_t end) {
    unsigned budget = STEP_TABLES;
    size_t freed = paging_prune(a, a->root, start, end, &budget);
    if (freed == 0) return true;
    struct tlb_batch batch = {.aspace = a, .count = TLB_BATCH + 1};
    tlb_batch_flush(&batch);
    aspace_free_tables(a);
    if (budget == 0) a->prune_at = 0;
    return budget != 0;
}

uint64_t aspace_table_count(void) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < cpu_count; i++) sum += __atomic_load_n(&table_counts[i].tables, __ATOMIC_RELAXED);
    return sum < 0 ? 0 : (uint64_t)sum;
}
