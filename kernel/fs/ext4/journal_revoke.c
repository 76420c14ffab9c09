// The blocks that a transaction revokes.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define FIRST_SIZE 64u

static uint32_t slot_of(const struct revoke_set *set, uint64_t block) {
    return (uint32_t)(block * 0x9e3779b97f4a7c15ull >> 40) & (set->size - 1);
}

static uint64_t *find(const struct revoke_set *set, uint64_t block) {
    for (uint32_t i = slot_of(set, block);; i = (i + 1) & (set->size - 1))
        if (set->slots[i] == block || set->slots[i] == REVOKE_NONE) return &set->slots[i];
}

static void move(struct revoke_set *to, const struct revoke_set *from) {
    for (uint32_t i = 0; i < from->size; i++) {
        if (from->slots[i] >= REVOKE_GONE) continue;
        *find(to, from->slots[i]) = from->slots[i];
        to->count++;
    }
    to->used = to->count;
}

// j->lock is held.
static bool add(struct revoke_set *set, uint64_t block) {
    if (set->size == 0 || set->used + 1 > set->size / 4 * 3) return false;
    uint64_t *slot = find(set, block);
    if (*slot == block) return true;
    *slot = block;
    set->used++;
    set->count++;
    return true;
}

int revoke_set_add(struct journal *j, struct revoke_set *set, uint64_t block) {
    spin_lock(&j->lock);
    while (!add(set, block)) {
        uint32_t size = set->size == 0 ? FIRST_SIZE : set->count * 2 > set->size ? set->size * 2 : set->size;
        spin_unlock(&j->lock);
        struct revoke_set larger = {.size = size, .slots = kmalloc(size * sizeof(uint64_t))};
        if (larger.slots == NULL) return -ENOMEM;
        memset(larger.slots, 0xff, size * sizeof(uint64_t));
        spin_lock(&j->lock);
        uint64_t *unused = larger.slots;
        if (set->used + 1 > set->size / 4 * 3 && set->count < size / 4 * 3) {
            unused = set->slots;
            move(&larger, set);
            *set = larger;
        }
        spin_unlock(&j->lock);
        kfree(unused);
        spin_lock(&j->lock);
    }
    spin_unlock(&j->lock);
    return 0;
}

void revoke_set_remove(struct revoke_set *set, uint64_t block) {
    if (set->count == 0) return;
    uint64_t *slot = find(set, block);
    if (*slot != block) return;
    *slot = REVOKE_GONE;
    set->count--;
}

void revoke_set_free(struct revoke_set *set) {
    kfree(set->slots);
    *set = (struct revoke_set){0};
}
