// The lock-order checker of debug builds. Locks of one name are one class. For every pair of classes that was ever nested
// it keeps that fact and where; a lock taken in the other order, even indirectly, panics although nothing hung this time.
//
// Locks of the same class may nest only where the caller says so by the order of their addresses (low first).
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/spinlock.h"
#include "lib/string.h"

#if CONFIG_LOCKDEP

#define MAX_CLASSES 128
#define MAX_HELD 16

struct class_info {
    const char *name;
    uint64_t after[MAX_CLASSES / 64];  // classes seen taken while this one was held, directly or through others
};
static struct class_info classes[MAX_CLASSES];
static uint32_t class_count;
static uint32_t order_from[MAX_CLASSES][MAX_CLASSES];  // low half of the address where the pair was first seen

struct held {
    struct spinlock *lock;
    uint16_t class_;
};
static struct {
    struct held held[MAX_HELD];
    uint32_t count;
} cacheline_aligned cpu_held[CONFIG_MAX_CPUS];

static uint32_t table_lock;  // a plain word: the checker does not check itself
static bool off;             // a violation is being reported

static void table_acquire(void) {
    while (__atomic_exchange_n(&table_lock, 1, __ATOMIC_ACQUIRE)) __builtin_ia32_pause();
}
static void table_release(void) { __atomic_store_n(&table_lock, 0, __ATOMIC_RELEASE); }

static bool has(const uint64_t *set, unsigned i) { return set[i / 64] >> (i % 64) & 1; }

// Names that were looked up before, by their address: most locks are new ones of a class that is known. A word holds the
// low 48 bits of the address and the class, so that it is read and written whole.
#define KNOWN_NAMES 512
#define NAME_BITS 48
static uint64_t known_names[KNOWN_NAMES];

static unsigned class_search(const char *name) {
    uint32_t count = __atomic_load_n(&class_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < count; i++)
        if (classes[i].name == name || strcmp(classes[i].name, name) == 0) return i;
    table_acquire();
    unsigned i = 0;
    while (i < class_count && strcmp(classes[i].name, name) != 0) i++;
    if (i == class_count) {
        if (class_count == MAX_CLASSES) panic("lock order: more than %u lock classes", MAX_CLASSES);
        classes[i].name = name;
        __atomic_store_n(&class_count, i + 1, __ATOMIC_RELEASE);
    }
    table_release();
    return i;
}

static unsigned class_of_name(const char *name) {
    if (name == NULL) name = "(unnamed)";
    uint64_t key = (uint64_t)name << (64 - NAME_BITS) >> (64 - NAME_BITS);
    uint64_t *known = &known_names[(key ^ key >> 9) % KNOWN_NAMES], word = __atomic_load_n(known, __ATOMIC_RELAXED);
    if (word << (64 - NAME_BITS) >> (64 - NAME_BITS) == key) return (unsigned)(word >> NAME_BITS);
    unsigned class_ = class_search(name);
    __atomic_store_n(known, key | (uint64_t)class_ << NAME_BITS, __ATOMIC_RELAXED);
    return class_;
}

// A lock keeps its class once it is known: each taking of a lock asks.
static inline unsigned class_of(struct spinlock *lock) {
    uint16_t known = __atomic_load_n(&lock->class_, __ATOMIC_RELAXED);
    if (likely(known != 0)) return known - 1u;
    unsigned class_ = class_of_name(lock->name);
    __atomic_store_n(&lock->class_, (uint16_t)(class_ + 1), __ATOMIC_RELAXED);
    return class_;
}

// Notes "before, then after", and everything that follows from it.
static void learn(unsigned before, unsigned after, uint64_t where) {
    table_acquire();
    order_from[before][after] = (uint32_t)where;
    for (unsigned i = 0; i < class_count; i++) {
        if (i != before && !has(classes[i].after, before)) continue;
        classes[i].after[after / 64] |= 1ull << (after % 64);
        for (unsigned w = 0; w < MAX_CLASSES / 64; w++) classes[i].after[w] |= classes[after].after[w];
    }
    table_release();
}

static void complain(const char *what, unsigned held, unsigned taken) {
    off = true;
    log_error("lock order: %s: \"%s\" is taken while \"%s\" is held", what, classes[taken].name, classes[held].name);
    for (unsigned i = 0; i < class_count; i++)
        if (order_from[taken][i] != 0 && (i == held || has(classes[i].after, held))) {
            log_error("  earlier \"%s\" was taken while \"%s\" was held, at:", classes[i].name, classes[taken].name);
            backtrace_print(0xffffffff00000000ull | order_from[taken][i], 0);
        }
    panic("lock order: \"%s\" while \"%s\" is held", classes[taken].name, classes[held].name);
}

static void note_held(struct spinlock *lock, unsigned taken) {
    uint32_t cpu = cpu_id(), count = cpu_held[cpu].count;
    if (count == MAX_HELD) panic("lock order: more than %u locks held", MAX_HELD);
    cpu_held[cpu].held[count] = (struct held){lock, (uint16_t)taken};
    cpu_held[cpu].count = count + 1;
    lock->holder = (uint16_t)(cpu + 1);
}

void lockdep_acquire(struct spinlock *lock) {
    if (off) return;
    unsigned taken = class_of(lock);
    uint64_t where = (uint64_t)__builtin_return_address(0);
    uint32_t cpu = cpu_id(), count = cpu_held[cpu].count;
    for (uint32_t i = 0; i < count; i++) {
        unsigned held = cpu_held[cpu].held[i].class_;
        if (cpu_held[cpu].held[i].lock == lock) complain("recursion", held, taken);
        if (held == taken) {
            if ((uint64_t)cpu_held[cpu].held[i].lock > (uint64_t)lock) complain("same class, higher address first", held, taken);
            continue;
        }
        if (has(classes[taken].after, held)) complain("inversion", held, taken);
        if (!has(classes[held].after, taken)) learn(held, taken, where);
    }
    note_held(lock, taken);
}

void lockdep_acquire_try(struct spinlock *lock) {
    if (!off) note_held(lock, class_of(lock));
}

void lockdep_release(struct spinlock *lock) {
    if (off) return;
    uint32_t cpu = cpu_id(), count = cpu_held[cpu].count;
    for (uint32_t i = count; i-- > 0;) {
        if (cpu_held[cpu].held[i].lock != lock) continue;
        for (; i + 1 < count; i++) cpu_held[cpu].held[i] = cpu_held[cpu].held[i + 1];
        cpu_held[cpu].count = count - 1;
        lock->holder = 0;
        return;
    }
    panic("spin lock \"%s\" released by CPU %u, which does not hold it", lock->name != NULL ? lock->name : "", cpu);
}

unsigned lockdep_held(void) { return cpu_held[cpu_id()].count; }

#else

// Never called: spin_lock's own test is constant.
void lockdep_acquire(struct spinlock *lock) { (void)lock; }
void lockdep_acquire_try(struct spinlock *lock) { (void)lock; }
void lockdep_release(struct spinlock *lock) { (void)lock; }
unsigned lockdep_held(void) { return 0; }

#endif
