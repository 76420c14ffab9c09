// Which page to give up: CAR, "Clock with Adaptive Replacement" (Bansal and Modha, FAST 2004). Pages lie on two clocks; a hit
// sets a bit in the page and does nothing here.
//
//     RECENT     seen once         hand: not used since ─▶ evicted, remembered as a ghost of RECENT
//                                        used           ─▶ to the end of FREQUENT
//     FREQUENT   seen again        hand: not used since ─▶ evicted, remembered as a ghost of FREQUENT
//                                        used           ─▶ to its end
//
// A miss that meets a ghost says that its clock was too small: `target`, the size that RECENT is to have, moves, and the
// page enters FREQUENT. A pass over many pages once (a scan) so displaces nothing of FREQUENT.
//
// Ghosts are 8 bytes in a hash table: a part of the key, and when it was evicted. A clock's ghosts are those of the last
// `head - tail` evictions; forgetting the oldest moves the tail. A hit takes one out of the middle, so `live` counts them.
//
// No memory is allocated and no lock taken here: the caller does both. Also built for host tests and the benchmark.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "lib/list.h"

enum { CAR_RECENT, CAR_FREQUENT, CAR_CLOCKS, CAR_NONE = CAR_CLOCKS };

#define CAR_BUCKET 8
#define CAR_CHUNK_GHOSTS 512u  // one page of them

struct car_ghost {
    uint32_t tag;   // bits of the key's hash; the lowest tells the clock
    uint32_t when;  // of that clock's evictions
};

struct car_clock {
    struct list pages;         // the first is under the hand
    uint64_t count;
    uint32_t head, tail;       // evictions so far; the oldest that is remembered
    uint64_t live;             // ghosts among them
};

struct car {
    struct car_clock clocks[CAR_CLOCKS];
    uint64_t target;           // pages that RECENT is to have
    uint64_t capacity;         // pages in the cache when it was last full
    struct car_ghost **chunks; // chunk_count (a power of two) pointers, NULL where no memory was given yet
    uint64_t chunk_count;
};

// `chunks` has chunk_count NULL pointers; chunk_count * CAR_CHUNK_GHOSTS should be at least the pages that may be cached.
void car_init(struct car *car, struct car_ghost **chunks, uint64_t chunk_count);
// Where a zeroed chunk of CAR_CHUNK_GHOSTS is missing for the key's ghost: the caller may store one. NULL: it is there.
struct car_ghost **car_missing_chunk(struct car *car, uint64_t key);

// A page comes in: onto which clock.
unsigned car_insert(struct car *car, struct list_node *page, uint64_t key);
// It goes for another reason than room.
void car_remove(struct car *car, struct list_node *page, unsigned clock);

enum car_answer {
    CAR_EVICTED,  // it is gone; *key is set
    CAR_USED,     // its bit was set, and is cleared now; it is on FREQUENT from now on
    CAR_BUSY,     // cannot go now
};
typedef enum car_answer car_look(void *context, struct list_node *page, unsigned clock, uint64_t *key);
// Evicts up to `wanted` pages in at most `looks` looks; returns how many.
size_t car_evict(struct car *car, size_t wanted, size_t looks, car_look *look, void *context);

static inline uint64_t car_ghosts(const struct car *car) { return car->clocks[0].live + car->clocks[1].live; }
static inline uint64_t car_pages(const struct car *car) { return car->clocks[0].count + car->clocks[1].count; }
