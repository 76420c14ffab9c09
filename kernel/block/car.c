#include "kernel/block/car.h"

// ---- ghosts --------------------------------------------------------------------------------------------------------------

static uint64_t mix(uint64_t key) {
    key = (key ^ key >> 33) * 0xff51afd7ed558ccdull;
    key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53ull;
    return key ^ key >> 33;
}

static struct car_ghost **chunk_of(const struct car *car, uint64_t hash) {
    return &car->chunks[(hash / (CAR_CHUNK_GHOSTS / CAR_BUCKET)) & (car->chunk_count - 1)];
}

// The key's bucket, or NULL.
static struct car_ghost *bucket_of(const struct car *car, uint64_t hash) {
    struct car_ghost *chunk = *chunk_of(car, hash);
    return chunk ? chunk + hash % (CAR_CHUNK_GHOSTS / CAR_BUCKET) * CAR_BUCKET : NULL;
}

static uint32_t tag_of(uint64_t hash) { return (uint32_t)(hash >> 32) & ~1u; }
static unsigned clock_of(const struct car_ghost *ghost) { return ghost->tag & 1; }

// How long ago it was evicted, in evictions of its clock; those beyond the tail are forgotten.
static uint32_t age(const struct car *car, const struct car_ghost *ghost) { return car->clocks[clock_of(ghost)].head - ghost->when; }
static bool is_live(const struct car *car, const struct car_ghost *ghost) {
    const struct car_clock *clock = &car->clocks[clock_of(ghost)];
    return ghost->when != 0 && age(car, ghost) < clock->head - clock->tail;
}

static void ghost_drop(struct car *car, struct car_ghost *ghost) {
    struct car_clock *clock = &car->clocks[clock_of(ghost)];
    ghost->when = 0;
    if (clock->live > 0) clock->live--;
}

static unsigned ghost_take(struct car *car, uint64_t key) {
    uint64_t hash = mix(key);
    struct car_ghost *bucket = bucket_of(car, hash);
    for (unsigned i = 0; bucket && i < CAR_BUCKET; i++) {
        if ((bucket[i].tag & ~1u) != tag_of(hash) || !is_live(car, &bucket[i])) continue;
        ghost_drop(car, &bucket[i]);
        return clock_of(&bucket[i]);
    }
    return CAR_NONE;
}

static void ghost_put(struct car *car, uint64_t key, unsigned which) {
    struct car_clock *clock = &car->clocks[which];
    uint64_t hash = mix(key);
    struct car_ghost *bucket = bucket_of(car, hash);
    if (++clock->head == 0) clock->head = 1;  // 0 says that a ghost is none
    if (!bucket) return;
    struct car_ghost *place = &bucket[0];
    for (unsigned i = 0; i < CAR_BUCKET && is_live(car, place); i++)
        if (!is_live(car, &bucket[i]) || age(car, &bucket[i]) > age(car, place)) place = &bucket[i];
    if (is_live(car, place)) ghost_drop(car, place);
    *place = (struct car_ghost){tag_of(hash) | which, clock->head};
    clock->live++;
}

// Forgets the oldest of a clock: as many evictions as there are to one live ghost.
static void ghost_trim(struct car_clock *clock) {
    if (clock->live == 0) return;
    uint32_t window = clock->head - clock->tail, step = (uint32_t)(window / clock->live);
    clock->tail += step ? step : 1;
    if (--clock->live == 0) clock->tail = clock->head;
}

// ---- pages ---------------------------------------------------------------------------------------------------------------

void car_init(struct car *car, struct car_ghost **chunks, uint64_t chunk_count) {
    *car = (struct car){.chunks = chunks, .chunk_count = chunk_count};
    for (unsigned i = 0; i < CAR_CLOCKS; i++) list_init(&car->clocks[i].pages);
}

struct car_ghost **car_missing_chunk(struct car *car, uint64_t key) {
    struct car_ghost **chunk = chunk_of(car, mix(key));
    return *chunk ? NULL : chunk;
}

static void put(struct car *car, struct list_node *page, unsigned which) {
    list_push_back(&car->clocks[which].pages, page);
    car->clocks[which].count++;
}

void car_remove(struct car *car, struct list_node *page, unsigned which) {
    list_remove(page);
    car->clocks[which].count--;
}

// How far the target moves for a ghost of a clock that has `own` of them, while the other has `other`.
static uint64_t step(uint64_t other, uint64_t own) { return own < other ? other / MAX(own, 1ul) : 1; }

unsigned car_insert(struct car *car, struct list_node *page, uint64_t key) {
    struct car_clock *recent = &car->clocks[CAR_RECENT], *frequent = &car->clocks[CAR_FREQUENT];
    uint64_t b1 = recent->live, b2 = frequent->live;
    unsigned ghost = b1 + b2 ? ghost_take(car, key) : CAR_NONE;
    unsigned which = ghost == CAR_NONE ? CAR_RECENT : CAR_FREQUENT;
    put(car, page, which);
    if (car_pages(car) > car->capacity) car->capacity = car_pages(car);
    uint64_t c = car->capacity;
    if (ghost == CAR_RECENT) car->target = MIN(car->target + step(b2, b1), c);
    if (ghost == CAR_FREQUENT) car->target -= MIN(car->target, step(b1, b2));
    while (recent->live && recent->count + recent->live > c) ghost_trim(recent);
    while (frequent->live && car_pages(car) + car_ghosts(car) > 2 * c) ghost_trim(frequent);
    return which;
}

size_t car_evict(struct car *car, size_t wanted, size_t looks, car_look *look, void *context) {
    size_t evicted = 0, busy[CAR_CLOCKS] = {0};
    if (car_pages(car) != 0) car->capacity = car_pages(car);
    car->target = MIN(car->target, car->capacity);
    while (evicted < wanted && looks-- > 0) {
        unsigned which = car->clocks[CAR_RECENT].count >= MAX(car->target, 1ul) ? CAR_RECENT : CAR_FREQUENT;
        if (busy[which] >= car->clocks[which].count) which = !which;
        struct list_node *page = list_first(&car->clocks[which].pages);
        if (!page || busy[which] >= car->clocks[which].count) break;
        car_remove(car, page, which);
        uint64_t key;
        switch (look(context, page, which, &key)) {
            case CAR_EVICTED:
                ghost_put(car, key, which);
                evicted++;
                break;
            case CAR_USED:
                put(car, page, CAR_FREQUENT);
                break;
            case CAR_BUSY:
                put(car, page, which);
                busy[which]++;
                break;
        }
    }
    return evicted;
}
