#include "kernel/fs/vfs/name.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"

#define BATCH 16

struct name **name_table;
unsigned name_shift;

static struct {
    struct spinlock lock;
    struct list by_age;  // the oldest first
    uint64_t count, limit;
} names = {.lock = SPINLOCK_INIT("name cache"), .by_age = LIST_INIT(names.by_age)};

// Inodes whose references are to be dropped once names.lock is.
struct unused {
    struct inode *inode[BATCH];
    unsigned count;
};

static void put_all(struct unused *u) {
    for (unsigned i = 0; i < u->count; i++) inode_put(u->inode[i]);
}

int names_init(uint64_t limit) {
    if (__atomic_load_n(&name_table, __ATOMIC_ACQUIRE) != NULL) return 0;
    unsigned bits = log2_ceil(MIN(MAX(limit, 512ul), 1ul << 19));
    struct name **table = kcalloc(1ul << bits, sizeof *table), **none = NULL;
    if (table == NULL) return -ENOMEM;
    name_shift = 64 - bits;
    names.limit = limit;
    if (!__atomic_compare_exchange_n(&name_table, &none, table, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) kfree(table);
    return 0;
}

uint64_t names_count(void) { return names.count; }

// ---- without regard to case ---------------------------------------------------------------------------------------------

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

static uint32_t hash_of(const struct inode *dir, const struct component *c) {
    if (likely(!dir->fs->case_insensitive)) return c->hash;
    uint32_t hash = NAME_HASH_START;
    for (uint32_t i = 0; i < c->bytes; i++) hash = name_hash_add(hash, fold(c->text[i]));
    return hash;
}

struct name *name_find_folded(const struct inode *dir, const struct component *c) {
    uint32_t hash = hash_of(dir, c);
    for (struct name *n = __atomic_load_n(name_chain(dir, hash), __ATOMIC_ACQUIRE); n != NULL;
         n = __atomic_load_n(&n->next, __ATOMIC_ACQUIRE)) {
        if (n->hash != hash || n->dir != dir || n->bytes != c->bytes) continue;
        uint32_t same = 0;
        while (same < c->bytes && fold(n->text[same]) == fold(c->text[same])) same++;
        if (same < c->bytes) continue;
        n->used = NAME_USED;
        return n;
    }
    return NULL;
}

bool name_holds(const struct name *n) {
    return n->until > arch_now() && n->generation == (uint16_t)__atomic_load_n(&n->dir->fs->generation, __ATOMIC_RELAXED);
}

// ---- changes ------------------------------------------------------------------------------------------------------------

static void name_free(struct rcu_head *head) { kfree(container_of(head, struct name, rcu)); }

static void remove_locked(struct name *n, struct unused *u) {
    __atomic_store_n(n->link, n->next, __ATOMIC_RELEASE);
    if (n->next != NULL) n->next->link = n->link;
    list_remove(&n->age);
    list_remove(&n->in_dir);
    names.count--;
    n->dir->fs->names--;
    if (n->inode != NULL) u->inode[u->count++] = n->inode;
    rcu_call(&n->rcu, name_free);
}

static void insert_locked(struct name *n) {
    struct name **chain = name_chain(n->dir, n->hash);
    n->next = *chain;
    n->link = chain;
    if (n->next != NULL) n->next->link = &n->next;
    __atomic_store_n(chain, n, __ATOMIC_RELEASE);
    list_push_back(&names.by_age, &n->age);
    list_push_back(&n->dir->names, &n->in_dir);
    names.count++;
    n->dir->fs->names++;
}

// One that was found lately gets another round.
static void trim_locked(struct unused *u, uint64_t limit) {
    for (unsigned tries = 0; names.count > limit && tries < BATCH / 2; tries++) {
        struct name *n = list_first_entry(&names.by_age, struct name, age);
        if (n->used == NAME_USED) {
            n->used = NAME_UNUSED;
            list_remove(&n->age);
            list_push_back(&names.by_age, &n->age);
        } else {
            remove_locked(n, u);
        }
    }
}

static struct name *name_make(struct inode *dir, const struct component *c, struct inode *inode) {
    struct name *n = kmalloc(sizeof *n + c->bytes);
    if (n == NULL) return NULL;
    n->dir = dir;
    n->inode = inode;
    n->hash = hash_of(dir, c);
    n->bytes = (uint8_t)c->bytes;
    n->used = NAME_UNUSED;
    memcpy(n->text, c->text, c->bytes);
    if (inode != NULL) inode_hold(inode);
    return n;
}

// Whether or not it holds.
static struct name *find_locked(const struct inode *dir, const struct component *c) {
    if (unlikely(dir->fs->case_insensitive)) return name_find_folded(dir, c);
    for (struct name *n = *name_chain(dir, c->hash); n != NULL; n = n->next)
        if (n->hash == c->hash && n->dir == dir && n->bytes == c->bytes && name_equal(n->text, c->text, c->bytes)) return n;
    return NULL;
}

// fresh NULL: it is only forgotten.
static void replace(struct inode *dir, const struct component *c, struct name *fresh) {
    struct unused u = {.count = 0};
    spin_lock(&names.lock);
    struct name *old = find_locked(dir, c);
    if (old != NULL) remove_locked(old, &u);
    if (fresh != NULL) insert_locked(fresh);
    trim_locked(&u, names.limit);
    spin_unlock(&names.lock);
    put_all(&u);
}

void name_forget(struct inode *dir, const struct component *c) { replace(dir, c, NULL); }

void name_enter_until(struct inode *dir, const struct component *c, struct inode *inode, nanos_t until) {
    struct name *fresh = until != 0 ? name_make(dir, c, inode) : NULL;
    if (fresh != NULL) {
        fresh->used = NAME_TIMED;
        fresh->until = until;
        fresh->generation = (uint16_t)__atomic_load_n(&dir->fs->generation, __ATOMIC_RELAXED);
    }
    replace(dir, c, fresh);
}

void name_learn(struct inode *dir, const struct component *c, struct inode *inode) {
    if (unlikely(dir->fs->remote)) name_enter_until(dir, c, inode, inode != NULL ? dir->fs->ops->name_until(inode) : 0);
    else replace(dir, c, name_make(dir, c, inode));
}

void name_enter(struct inode *dir, const struct component *c, struct inode *inode) {
    // An entry may have several spellings there, and a second name: all that was known of the directory goes.
    if (unlikely(dir->fs->case_insensitive)) names_forget_in(dir);
    name_learn(dir, c, inode);
}

size_t name_of_child(struct inode *dir, const struct inode *child, char text[FS_NAME_MAX]) {
    size_t bytes = 0;
    spin_lock(&names.lock);
    list_for_each_entry(n, &dir->names, struct name, in_dir) {
        if (n->inode != child) continue;
        bytes = n->bytes;
        memcpy(text, n->text, bytes);
        break;
    }
    spin_unlock(&names.lock);
    return bytes;
}

void names_reclaim(uint64_t count) {
    for (uint64_t steps = 0; steps < 2 * count && names.count > 0; steps += BATCH / 2) {
        struct unused u = {.count = 0};
        spin_lock(&names.lock);
        trim_locked(&u, 0);
        spin_unlock(&names.lock);
        put_all(&u);
    }
}

void names_forget_in(struct inode *dir) {
    for (bool more = true; more;) {
        struct unused u = {.count = 0};
        spin_lock(&names.lock);
        for (unsigned i = 0; i < BATCH && !list_is_empty(&dir->names); i++)
            remove_locked(list_first_entry(&dir->names, struct name, in_dir), &u);
        more = !list_is_empty(&dir->names);
        spin_unlock(&names.lock);
        put_all(&u);
    }
}

// Moves what it leaves behind it to the end, and so do others: it goes round until there are none.
void names_forget_all(struct filesystem *fs) {
    for (bool more = true; more;) {
        struct unused u = {.count = 0};
        spin_lock(&names.lock);
        for (unsigned i = 0; i < BATCH && fs->names > 0; i++) {
            struct name *n = list_first_entry(&names.by_age, struct name, age);
            if (n->dir->fs == fs) {
                remove_locked(n, &u);
            } else {
                list_remove(&n->age);
                list_push_back(&names.by_age, &n->age);
            }
        }
        more = fs->names > 0;
        spin_unlock(&names.lock);
        put_all(&u);
        if (more) (void)sched_preempt_point();
    }
}
