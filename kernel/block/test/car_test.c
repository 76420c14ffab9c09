// links: kernel/block/car.c
#include "kernel/block/car.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define PAGES 4096

struct item {
    struct list_node link;
    uint64_t page;
    bool there, used, busy;
    unsigned clock;
};
static struct item items[PAGES];
static struct car car;
static struct car_ghost *chunks[8];

static void start(void) {
    memset(items, 0, sizeof(items));
    for (unsigned i = 0; i < PAGES; i++) items[i].page = i;
    memset(chunks, 0, sizeof(chunks));
    car_init(&car, chunks, 8);
}
static void end(void) {
    for (unsigned i = 0; i < 8; i++) free(chunks[i]);
}

static enum car_answer look(void *context, struct list_node *node, unsigned clock, uint64_t *key) {
    struct item *item = list_entry(node, struct item, link);
    CHECK(item->there && item->clock == clock);
    if (item->busy) return CAR_BUSY;
    if (item->used) {
        item->used = false;
        item->clock = CAR_FREQUENT;
        return CAR_USED;
    }
    item->there = false;
    *key = item->page;
    return CAR_EVICTED;
}

static bool access_page(uint64_t page, uint64_t size) {
    struct item *item = &items[page];
    if (item->there) return item->used = true;
    if (car_pages(&car) >= size) CHECK_EQ(car_evict(&car, 1, SIZE_MAX, look, NULL), 1);
    struct car_ghost **chunk = car_missing_chunk(&car, page);
    if (chunk) *chunk = calloc(CAR_CHUNK_GHOSTS, sizeof(struct car_ghost));
    CHECK(car_missing_chunk(&car, page) == NULL);
    item->there = true;
    item->clock = car_insert(&car, &item->link, page);
    return false;
}

static void check_state(uint64_t size) {
    uint64_t count[CAR_CLOCKS] = {0}, listed[CAR_CLOCKS] = {0};
    for (unsigned i = 0; i < PAGES; i++)
        if (items[i].there) count[items[i].clock]++;
    for (unsigned clock = 0; clock < CAR_CLOCKS; clock++) {
        list_for_each(node, &car.clocks[clock].pages) listed[clock]++;
        CHECK_EQ(listed[clock], count[clock]);
        CHECK_EQ(car.clocks[clock].count, count[clock]);
    }
    CHECK(car_pages(&car) <= size);
    CHECK(car.target <= size);
    CHECK(count[CAR_RECENT] + car.clocks[CAR_RECENT].live <= size);
    CHECK(car_pages(&car) + car_ghosts(&car) <= 2 * size);
}

TEST(car_keeps_account) {
    start();
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t page = unit_random() % PAGES;
        if (unit_random() % 2) page = unit_random() % 300;
        access_page(page, 500);
        struct item *other = &items[unit_random() % PAGES];
        if (unit_random() % 50 == 0 && other->there) {
            car_remove(&car, &other->link, other->clock);
            other->there = other->used = false;
        }
        if (i % 1000 == 0) check_state(500);
    }
    end();
}

TEST(car_survives_a_scan) {
    start();
    for (unsigned round = 0; round < 6; round++)
        for (unsigned page = 0; page < 200; page++) access_page(page, 400);
    for (unsigned page = 1000; page < PAGES; page++) access_page(page, 400);
    unsigned hits = 0;
    for (unsigned page = 0; page < 200; page++) hits += access_page(page, 400);
    CHECK(hits >= 190);
    end();
}

TEST(car_learns_from_ghosts) {
    start();
    for (unsigned round = 0; round < 3; round++)
        for (unsigned page = 0; page < 200; page++) access_page(page, 400);
    for (unsigned page = 1000; page < 2000; page++) access_page(page, 400);
    CHECK(car_ghosts(&car) > 0 && car_ghosts(&car) <= 400 && car.clocks[CAR_FREQUENT].count > 0);
    unsigned last = 1999;
    while (items[last].there) last--;
    uint64_t target = car.target;
    access_page(last, 400);  // evicted last: its clock was too small
    CHECK(car.target > target);
    CHECK_EQ(items[last].clock, CAR_FREQUENT);
    access_page(3000, 400);
    CHECK_EQ(items[3000].clock, CAR_RECENT);
    end();
}

TEST(car_passes_busy_pages_by) {
    start();
    for (unsigned page = 0; page < 100; page++) access_page(page, 100);
    for (unsigned page = 0; page < 100; page++) items[page].busy = page != 77;
    CHECK_EQ(car_evict(&car, 5, SIZE_MAX, look, NULL), 1);
    CHECK(!items[77].there);
    CHECK_EQ(car_evict(&car, 5, SIZE_MAX, look, NULL), 0);
    CHECK_EQ(car_pages(&car), 99);
    for (unsigned page = 0; page < 100; page++) items[page].busy = false;
    CHECK_EQ(car_evict(&car, 200, SIZE_MAX, look, NULL), 99);
    CHECK_EQ(car_evict(&car, 1, SIZE_MAX, look, NULL), 0);
    end();
}

TEST(car_works_without_memory_for_ghosts) {
    start();
    for (unsigned page = 0; page < 1000; page++) {
        items[page].there = true;
        items[page].clock = car_insert(&car, &items[page].link, page);
        if (page >= 100) CHECK_EQ(car_evict(&car, 1, SIZE_MAX, look, NULL), 1);
    }
    CHECK_EQ(car_ghosts(&car), 0);
    end();
}
