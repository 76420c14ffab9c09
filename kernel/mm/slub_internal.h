// Inside SLUB: slabs and their states.
//
//   place       owner      free objects in        who changes it
//   CURRENT     a CPU      slub_cpu.free          the owner
//   FULL        a CPU      none                   the owner
//   PARTIAL     a CPU      slab.free              the owner; on its partial list
//   FLIGHT      either     slab.free              as the owner says; on no list, on its way from a CPU to SHARED
//   SHARED      none       slab.free              the holder of cache->lock; on the cache's partial list
//
// Whoever is not the owner pushes the object on slab.remote. The one who found that list empty posts the slab: into the
// owner's mailbox, or, when there is no owner, collects at once under the cache's lock. So a slab with a non-empty remote
// list is always on its way to be collected exactly once, and since objects in `remote` count as live, it cannot be freed
// before that. A slab may change its owner while it lies in a mailbox: who finds it there posts it on.
//
// A CPU that waits for a lock may be asked to shrink (cpu_relax). So lists of a CPU are whole whenever it takes a lock, and
// are looked at afresh afterwards.
#pragma once
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"

enum slab_place { SLAB_CURRENT, SLAB_FULL, SLAB_PARTIAL, SLAB_FLIGHT, SLAB_SHARED };

#define SLAB_NO_CPU 0xffffu

// Limits of what a CPU keeps for itself.
#define SLUB_MAX_PARTIAL 64  // slabs with free objects; more go to the shared list
#define SLUB_KEEP_EMPTY 12   // with at least so many slabs left, a slab without live objects is given back: room for the
                             // batches in which RCU frees

extern struct page_reclaimer slub_reclaimer;
extern struct kmem_cache *slub_caches[SLUB_MAX_CACHES];
extern unsigned slub_cache_count;  // written under a lock, only grows

static inline struct slub_cpu *slub_part(const struct kmem_cache *cache, const struct cpu *cpu) {
    return (struct slub_cpu *)((char *)cpu->slub + cache->offset);
}

static inline struct slub_cpu *slub_my_part(const struct kmem_cache *cache) {
    char *parts;

    __asm__("movq %%gs:%c1, %0" : "=r"(parts) : "i"(offsetof(struct cpu, slub)));
    return (struct slub_cpu *)(parts + cache->offset);
}

// `refs` of a slab's page: objects that are out below, place above.
static inline uint32_t slab_live(const struct page *slab) { return slab->refs & 0xffff; }
static inline enum slab_place slab_place(const struct page *slab) { return (enum slab_place)(slab->refs >> 16); }
static inline void slab_set(struct page *slab, enum slab_place place, uint32_t live) {
    slab->refs = (uint32_t)place << 16 | live;
}

static inline uint16_t slab_owner(const struct page *slab) { return __atomic_load_n(&slab->flags, __ATOMIC_ACQUIRE); }
static inline void slab_set_owner(struct page *slab, uint32_t cpu) {
    __atomic_store_n(&slab->flags, (uint16_t)cpu, __ATOMIC_RELEASE);
}

// The link to the next free object, as it is stored in a free object.
static inline uint64_t *slub_link(const struct kmem_cache *cache, void *object) {
    return (uint64_t *)((char *)object + cache->link_offset);
}
static inline void *slub_next(const struct kmem_cache *cache, void *object) {
    uint64_t *link = slub_link(cache, object);
    return (void *)(*link ^ cache->secret ^ __builtin_bswap64((uint64_t)link));
}
static inline void slub_set_next(const struct kmem_cache *cache, void *object, void *next) {
    uint64_t *link = slub_link(cache, object);
    *link = (uint64_t)next ^ cache->secret ^ __builtin_bswap64((uint64_t)link);
}

// ---- slub_slab.c: slabs ------------------------------------------------------------------------------------------------

// A slab with all objects free, on no list, owned by this CPU; or NULL.
struct page *slab_create(struct kmem_cache *cache);
// Gives the pages of a slab without live objects, on no list, back.
void slab_destroy(struct kmem_cache *cache, struct page *slab);
// Takes everything off slab.remote and links it before `list`; returns the new list, the number of objects in *count.
void *slab_collect_remote(struct kmem_cache *cache, struct page *slab, void *list, uint32_t *count);
// The slab that an object of this cache lies in; panics when it is not one of this cache's.
struct page *slab_of(const struct kmem_cache *cache, const void *object);
uint32_t slab_count_list(const struct kmem_cache *cache, void *list);

// ---- slub_share.c: slabs between CPUs ------------------------------------------------------------------------------------

// See the picture above: the slab's remote list was found empty and is not any more.
void slab_post(struct kmem_cache *cache, struct page *slab);
// Gives a slab of this CPU, on no list, to the cache's shared list.
void slab_share(struct kmem_cache *cache, struct page *slab);
// Takes a slab from the shared list for this CPU; on no list, or NULL.
struct page *slab_adopt(struct kmem_cache *cache);

// ---- slub_slow.c ----------------------------------------------------------------------------------------------------------

void *slub_alloc_slow(struct kmem_cache *cache);
void slub_free_slow(struct kmem_cache *cache, void *object);
// Puts the current slab aside, as FULL or PARTIAL.
void slub_retire_current(struct kmem_cache *cache, struct slub_cpu *part);
// Collects this CPU's mailbox; returns the slabs that turned out to belong to nobody, linked by `mail`: to be posted.
struct page *slub_collect_mail(struct kmem_cache *cache, struct slub_cpu *part);
// Takes a PARTIAL slab off its owner's list.
void slub_unlist_partial(struct slub_cpu *part, struct page *slab);

// ---- slub_debug.c: debug builds --------------------------------------------------------------------------------------------

// Fills red zones and objects of a fresh slab.
void slub_debug_new_slab(struct kmem_cache *cache, struct page *slab);
void slub_debug_alloc(struct kmem_cache *cache, void *object);
void slub_debug_free(struct kmem_cache *cache, void *object);
// Opens the KASAN shadow of a slab's pages before they go back.
void slub_debug_destroy(struct kmem_cache *cache, struct page *slab);

void slub_panic(const struct kmem_cache *cache, const void *object, const char *what) __attribute__((cold, noreturn));
