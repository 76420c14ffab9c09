// Hit ratios of the page cache's policy (kernel/block/car.c) beside LRU, Clock and the optimum (Belady: gives up the page that
// is used again last), on generated traces. Prints a JSON object per trace, size and policy. A host program:
// `./kpio bench cache-policy` builds and runs it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/block/car.h"

#define PAGES 40000u       // different pages that the traces know, without those of scans
#define ACCESSES 1000000u
#define SCAN_PAGES (PAGES + ACCESSES)
#define NEVER UINT32_MAX

static uint32_t trace[ACCESSES];
static uint64_t random_state;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

// ---- traces ----------------------------------------------------------------------------------------------------------------

static double zipf_sum[PAGES];

static void zipf_init(double exponent) {
    double sum = 0;
    for (uint32_t i = 0; i < PAGES; i++) zipf_sum[i] = sum += 1 / pow(i + 1, exponent);
}

static uint32_t zipf(void) {
    double wanted = (double)(next_random() >> 11) / (double)(1ull << 53) * zipf_sum[PAGES - 1];
    uint32_t low = 0, high = PAGES - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (zipf_sum[middle] < wanted) low = middle + 1;
        else high = middle;
    }
    return low;
}

static uint32_t fresh;  // pages that a scan has not met yet

static void make_scan(void) {
    for (uint32_t i = 0; i < ACCESSES; i++) trace[i] = PAGES + i;
}
static void make_loop(void) {
    for (uint32_t i = 0; i < ACCESSES; i++) trace[i] = i % (PAGES / 2);
}
static void make_zipf(void) {
    zipf_init(0.9);
    for (uint32_t i = 0; i < ACCESSES; i++) trace[i] = zipf();
}
// Programs at work, while every now and then somebody reads a lot once: a backup, a search.
static void make_scan_zipf(void) {
    zipf_init(0.9);
    for (uint32_t i = 0; i < ACCESSES;) {
        for (uint32_t k = 0; k < 10000 && i < ACCESSES; k++) trace[i++] = zipf();
        for (uint32_t k = 0; k < 15000 && i < ACCESSES; k++) trace[i++] = PAGES + fresh++;
    }
}
// Reads once and pages that are used again, page by page.
static void make_mixed(void) {
    zipf_init(0.9);
    for (uint32_t i = 0; i < ACCESSES; i++) trace[i] = next_random() % 2 ? zipf() : PAGES + fresh++;
}
// What is used often changes all at once.
static void make_shifting(void) {
    zipf_init(0.9);
    for (uint32_t i = 0; i < ACCESSES; i++) trace[i] = (zipf() + i / 100000 * 7001) % PAGES;
}

static const struct {
    const char *name;
    void (*make)(void);
} traces[] = {{"scan", make_scan}, {"loop", make_loop}, {"zipf", make_zipf}, {"scan+zipf", make_scan_zipf},
              {"mixed", make_mixed}, {"shifting", make_shifting}};

// ---- policies ---------------------------------------------------------------------------------------------------------------

struct item {
    struct list_node link;
    uint32_t page;
    bool there, used;
};
static struct item items[SCAN_PAGES];

static void items_init(void) {
    memset(items, 0, sizeof(items));
    for (uint32_t i = 0; i < SCAN_PAGES; i++) items[i].page = i;
}

static enum car_answer look(void *context, struct list_node *node, unsigned clock, uint64_t *key) {
    struct item *item = list_entry(node, struct item, link);
    if (item->used) {
        item->used = false;
        return CAR_USED;
    }
    item->there = false;
    *key = item->page;
    return CAR_EVICTED;
}

static uint32_t run_car(uint32_t size) {
    struct car car;
    uint64_t chunks = 1;
    while (chunks * CAR_CHUNK_GHOSTS < size) chunks *= 2;
    struct car_ghost **directory = calloc(chunks, sizeof(*directory));
    uint32_t hits = 0;
    items_init();
    car_init(&car, directory, chunks);
    for (uint32_t i = 0; i < ACCESSES; i++) {
        struct item *item = &items[trace[i]];
        if (item->there) {
            item->used = true;
            hits++;
            continue;
        }
        if (car_pages(&car) == size) car_evict(&car, 1, SIZE_MAX, look, NULL);
        struct car_ghost **missing = car_missing_chunk(&car, item->page);
        if (missing) *missing = calloc(CAR_CHUNK_GHOSTS, sizeof(struct car_ghost));
        car_insert(&car, &item->link, item->page);
        item->there = true;
    }
    for (uint64_t i = 0; i < chunks; i++) free(directory[i]);
    free(directory);
    return hits;
}

static uint32_t run_queue(uint32_t size, bool clock) {
    struct list pages;
    uint32_t hits = 0, count = 0;
    items_init();
    list_init(&pages);
    for (uint32_t i = 0; i < ACCESSES; i++) {
        struct item *item = &items[trace[i]];
        if (item->there) {
            hits++;
            item->used = true;
            if (clock) continue;
            list_remove(&item->link);
            list_push_back(&pages, &item->link);
            continue;
        }
        while (count == size) {
            struct item *first = list_entry(list_pop_front(&pages), struct item, link);
            if (clock && first->used) {
                first->used = false;
                list_push_back(&pages, &first->link);
                continue;
            }
            first->there = false;
            count--;
        }
        item->there = true;
        item->used = false;
        count++;
        list_push_back(&pages, &item->link);
    }
    return hits;
}
static uint32_t run_lru(uint32_t size) { return run_queue(size, false); }
static uint32_t run_clock(uint32_t size) { return run_queue(size, true); }

// A heap of (next use, page), latest first; entries whose page was used since are stale.
static struct {
    uint32_t next, page;
} heap[ACCESSES + 1];
static uint32_t heap_count, next_use[ACCESSES], due[SCAN_PAGES];

static void heap_push(uint32_t next, uint32_t page) {
    uint32_t i = heap_count++;
    for (; i > 0 && heap[(i - 1) / 2].next < next; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i].next = next, heap[i].page = page;
}

static uint32_t heap_pop(uint32_t *next) {
    uint32_t page = heap[0].page, i = 0;
    *next = heap[0].next;
    typeof(heap[0]) last = heap[--heap_count];
    for (uint32_t child; (child = 2 * i + 1) < heap_count; i = child) {
        if (child + 1 < heap_count && heap[child + 1].next > heap[child].next) child++;
        if (heap[child].next <= last.next) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return page;
}

static uint32_t run_optimum(uint32_t size) {
    uint32_t hits = 0, count = 0;
    items_init();
    for (uint32_t i = 0; i < SCAN_PAGES; i++) due[i] = NEVER;
    for (uint32_t i = ACCESSES; i-- > 0; due[trace[i]] = i) next_use[i] = due[trace[i]];
    heap_count = 0;
    for (uint32_t i = 0; i < ACCESSES; i++) {
        struct item *item = &items[trace[i]];
        if (item->there) hits++;
        while (!item->there && count == size) {
            uint32_t next, page = heap_pop(&next);
            if (!items[page].there || due[page] != next) continue;
            items[page].there = false;
            count--;
        }
        if (!item->there) count++;
        item->there = true;
        due[trace[i]] = next_use[i];
        heap_push(next_use[i], trace[i]);
    }
    return hits;
}

static const struct {
    const char *name;
    uint32_t (*run)(uint32_t size);
} policies[] = {{"car", run_car}, {"lru", run_lru}, {"clock", run_clock}, {"optimum", run_optimum}};

int main(void) {
    static const uint32_t sizes[] = {500, 1000, 2000, 4000, 8000, 16000};
    for (unsigned t = 0; t < sizeof(traces) / sizeof(traces[0]); t++) {
        random_state = 88172645463325252ull;
        fresh = 0;
        traces[t].make();
        for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
            for (unsigned p = 0; p < sizeof(policies) / sizeof(policies[0]); p++)
                printf("{\"trace\": \"%s\", \"pages\": %u, \"policy\": \"%s\", \"hits\": %.4f}\n", traces[t].name, sizes[s],
                       policies[p].name, (double)policies[p].run(sizes[s]) / ACCESSES);
    }
    return 0;
}
