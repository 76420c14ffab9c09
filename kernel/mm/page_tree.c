#include "kernel/mm/page_tree.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "lib/util.h"

struct page_node {
    uint32_t refs;   // trees and parent nodes that lead here; atomic
    uint8_t level;   // 0: slots are pages
    bool paged;      // freed after a grace period
    union {
        struct {
            union {
                struct job *job;         // who pays
                struct page_node *next;  // in a grave (then nothing is paid any more)
            };
            uint64_t marks;  // of a paged tree: bit i: slot i is marked, or something below it
        };
        struct rcu_head rcu;
    };
    uint64_t slots[PAGE_TREE_SLOTS];
};

static struct kmem_cache node_cache;

void page_tree_init(void) { slub_cache_init(&node_cache, "page_node", sizeof(struct page_node), 16); }

static unsigned slot_index(uint64_t index, unsigned level) {
    return (unsigned)(index >> (PAGE_TREE_BITS * level)) & (PAGE_TREE_SLOTS - 1);
}
static bool fits(uint64_t index, unsigned height) { return index >> (PAGE_TREE_BITS * height) == 0; }
static bool is_shared(const struct page_node *node) { return __atomic_load_n(&node->refs, __ATOMIC_ACQUIRE) > 1; }
static struct page_node *slot_node(uint64_t slot) { return (struct page_node *)slot; }

// A node with refs 1 and undefined slots.
static int node_alloc(struct job *job, unsigned level, struct page_node **out) {
    int error = job_charge(job, JOB_KERNEL_BYTES, sizeof(struct page_node));
    if (error) return error;
    struct page_node *node = slub_alloc(&node_cache);
    if (!node) {
        job_uncharge(job, JOB_KERNEL_BYTES, sizeof(struct page_node));
        return -ENOMEM;
    }
    node->refs = 1;
    node->level = (uint8_t)level;
    node->paged = false;
    node->job = job;
    node->marks = 0;
    *out = node;
    return 0;
}

static int node_alloc_empty(struct job *job, unsigned level, struct page_node **out) {
    int error = node_alloc(job, level, out);
    if (error) return error;
    for (unsigned i = 0; i < PAGE_TREE_SLOTS; i++) (*out)->slots[i] = 0;
    return 0;
}

static void child_get(unsigned level, uint64_t slot) {
    uint32_t *refs = level == 0 ? &entry_page(slot)->refs : &slot_node(slot)->refs;
    __atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
}

static void node_put(struct page_node *node, struct page_grave *grave) {
    if (__atomic_sub_fetch(&node->refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    job_uncharge(node->job, JOB_KERNEL_BYTES, sizeof(struct page_node));
    node->next = grave->nodes;
    grave->nodes = node;
}

// Puts a copy of a shared node into *slot. If the other owners went away meanwhile the old one goes as well; its
// children all have another parent by then, the copy.
static int node_unshare(uint64_t *slot, struct job *job) {
    struct page_node *old = slot_node(*slot), *copy;
    int error = node_alloc(job, old->level, &copy);
    if (error) return error;
    for (unsigned i = 0; i < PAGE_TREE_SLOTS; i++) {
        copy->slots[i] = old->slots[i];
        if (old->slots[i]) child_get(old->level, old->slots[i]);
    }
    *slot = (uint64_t)copy;
    struct page_grave grave = {NULL};
    node_put(old, &grave);
    while (page_grave_step(&grave, 1)) {
    }
    return 0;
}

uint64_t page_tree_lookup(const struct page_tree *tree, uint64_t index, bool *exclusive) {
    uint64_t entry = tree->root;
    *exclusive = true;
    if (unlikely(!fits(index, tree->height))) return 0;
    for (unsigned level = tree->height; level-- > 0 && entry;) {
        const struct page_node *node = slot_node(entry);
        if (is_shared(node)) *exclusive = false;
        entry = node->slots[slot_index(index, level)];
    }
    return entry;
}

uint64_t page_tree_look(const struct page_tree *tree, uint64_t index) {
    uint64_t entry = tree->root, shared = 0;
    if (entry == 0 || unlikely(!fits(index, tree->height))) return 0;
    for (unsigned level = tree->height; level-- > 0;) {
        const struct page_node *node = slot_node(entry);
        if (unlikely(is_shared(node))) shared = ENTRY_SHARED;
        entry = node->slots[slot_index(index, level)];
        if (entry == 0) return 0;
    }
    return entry | shared;
}

const uint64_t *page_tree_leaf(const struct page_tree *tree, uint64_t index, bool *exclusive) {
    const struct page_node *node = NULL;
    uint64_t entry = fits(index, tree->height) ? tree->root : 0;
    *exclusive = true;
    for (unsigned level = tree->height; level-- > 0 && entry; entry = node->slots[slot_index(index, level)]) {
        node = slot_node(entry);
        if (is_shared(node)) *exclusive = false;
        if (level == 0) return node->slots;
    }
    return NULL;
}

// Adds levels above the root until `index` fits.
static int tree_grow(struct page_tree *tree, uint64_t index, struct job *job) {
    while (!fits(index, tree->height)) {
        if (tree->root) {
            struct page_node *node;
            int error = node_alloc_empty(job, tree->height, &node);
            if (error) return error;
            node->slots[0] = tree->root;
            node->paged = tree->paged;
            if (tree->paged && slot_node(tree->root)->marks != 0) node->marks = 1;
            __atomic_store_n(&tree->root, (uint64_t)node, __ATOMIC_RELEASE);
        }
        tree->height++;
    }
    return 0;
}

static coldpath uint64_t *slot_make(struct page_tree *tree, uint64_t index, struct job *job) {
    if (!fits(index, tree->height) && tree_grow(tree, index, job)) return NULL;
    uint64_t *slot = &tree->root;
    for (unsigned level = tree->height; level-- > 0;) {
        int error = 0;
        struct page_node *node;
        if (*slot == 0) {
            error = node_alloc_empty(job, level, &node);
            if (error) return NULL;
            node->paged = tree->paged;
            __atomic_store_n(slot, (uint64_t)node, __ATOMIC_RELEASE);
        } else if (is_shared(slot_node(*slot))) {
            error = node_unshare(slot, job);
        }
        if (error) return NULL;
        slot = &slot_node(*slot)->slots[slot_index(index, level)];
    }
    return slot;
}

// The way down where all is there and the tree's own; a leaf function, as every fault comes through.
uint64_t *page_tree_slot(struct page_tree *tree, uint64_t index, struct job *job) {
    assert(index < PAGE_TREE_PAGES_MAX);
    uint64_t *slot = &tree->root;
    unsigned shift = PAGE_TREE_BITS * tree->height;
    if (unlikely(index >> shift != 0)) return slot_make(tree, index, job);
    while (shift != 0) {
        struct page_node *node = slot_node(*slot);
        if (unlikely(!node || is_shared(node))) return slot_make(tree, index, job);
        shift -= PAGE_TREE_BITS;
        slot = &node->slots[index >> shift & (PAGE_TREE_SLOTS - 1)];
    }
    return slot;
}

uint64_t page_tree_next(const struct page_tree *tree, uint64_t index, uint64_t end) {
    while (index < end && tree->root && fits(index, tree->height)) {
        uint64_t slot = tree->root;
        for (unsigned level = tree->height; slot && level-- > 0;) {
            const struct page_node *node = slot_node(slot);
            unsigned shift = PAGE_TREE_BITS * level, first = slot_index(index, level), i = first;
            while (i < PAGE_TREE_SLOTS && !node->slots[i]) i++;
            if (i != first) index = ((index >> shift) - first + i) << shift;
            slot = i < PAGE_TREE_SLOTS ? node->slots[i] : 0;
        }
        if (slot) return index < end ? index : end;
    }
    return end;
}

void page_tree_share(struct page_tree *to, const struct page_tree *from) {
    assert(to->root == 0);
    *to = *from;
    if (!from->root) return;
    child_get(from->height, from->root);
}

// ---- of PAGED VMOs -----------------------------------------------------------------------------------------------------

void page_tree_init_paged(struct page_tree *tree) {
    tree->paged = true;
    tree->height = 1;  // so that the root is always a node, which says its level
}

const uint64_t *page_tree_find(const struct page_tree *tree, uint64_t index) {
    const struct page_node *node = slot_node(__atomic_load_n(&tree->root, __ATOMIC_ACQUIRE));
    if (unlikely(!node)) return NULL;
    unsigned shift = PAGE_TREE_BITS * node->level;
    if (unlikely(index >> shift >= PAGE_TREE_SLOTS)) return NULL;
    while (shift != 0) {
        node = slot_node(__atomic_load_n(&node->slots[index >> shift & (PAGE_TREE_SLOTS - 1)], __ATOMIC_ACQUIRE));
        if (unlikely(!node)) return NULL;
        shift -= PAGE_TREE_BITS;
    }
    return &node->slots[index & (PAGE_TREE_SLOTS - 1)];
}

// way[level]: the node of that level on the way to index. False: there is no leaf.
static bool find_way(const struct page_tree *tree, uint64_t index, struct page_node *way[]) {
    uint64_t slot = fits(index, tree->height) ? tree->root : 0;
    for (unsigned level = tree->height; level-- > 0; slot = way[level]->slots[slot_index(index, level)]) {
        if (!slot) return false;
        way[level] = slot_node(slot);
    }
    return true;
}

void page_tree_mark(struct page_tree *tree, uint64_t index) {
    struct page_node *way[PAGE_TREE_HEIGHT_MAX];
    verify(find_way(tree, index, way));
    for (unsigned level = 0; level < tree->height; level++) {
        uint64_t bit = 1ull << slot_index(index, level);
        if (way[level]->marks & bit) return;
        way[level]->marks |= bit;
    }
}

void page_tree_unmark(struct page_tree *tree, uint64_t index) {
    struct page_node *way[PAGE_TREE_HEIGHT_MAX];
    if (!find_way(tree, index, way)) return;
    for (unsigned level = 0; level < tree->height; level++) {
        way[level]->marks &= ~(1ull << slot_index(index, level));
        if (way[level]->marks != 0) return;
    }
}

uint64_t page_tree_next_marked(const struct page_tree *tree, uint64_t index, uint64_t end) {
    while (index < end && tree->root && fits(index, tree->height)) {
        uint64_t slot = tree->root;
        bool found = true;
        for (unsigned level = tree->height; level-- > 0;) {
            const struct page_node *node = slot_node(slot);
            unsigned shift = PAGE_TREE_BITS * level, first = slot_index(index, level);
            uint64_t marks = node->marks >> first;
            unsigned skip = marks ? (unsigned)__builtin_ctzll(marks) : PAGE_TREE_SLOTS - first;
            if (skip) index = ((index >> shift) + skip) << shift;
            found = marks != 0;
            if (!found) break;
            slot = node->slots[first + skip];
        }
        if (found) return MIN(index, end);
    }
    return end;
}

static bool node_is_empty(const struct page_node *node) {
    for (unsigned i = 0; i < PAGE_TREE_SLOTS; i++)
        if (node->slots[i]) return false;
    return true;
}

// Frees nodes on the way to a removed entry that are empty now. way[level] is the slot that leads to the node of `level`.
static void prune(struct page_tree *tree, uint64_t *const way[], unsigned level) {
    struct page_grave grave = {NULL};
    for (; level < tree->height && node_is_empty(slot_node(*way[level])); level++) {
        node_put(slot_node(*way[level]), &grave);
        *way[level] = 0;
    }
    while (page_grave_step(&grave, 1)) {
    }
}

uint64_t page_tree_take(struct page_tree *tree, uint64_t index) {
    uint64_t *way[PAGE_TREE_HEIGHT_MAX], *slot = &tree->root;
    if (!fits(index, tree->height)) return 0;
    for (unsigned level = tree->height; level-- > 0; slot = &slot_node(*slot)->slots[slot_index(index, level)]) {
        if (!*slot) return 0;
        way[level] = slot;
    }
    uint64_t entry = *slot;
    assert(!(slot_node(*way[0])->marks >> slot_index(index, 0) & 1));
    __atomic_store_n(slot, 0, __ATOMIC_RELAXED);
    if (entry) prune(tree, way, 0);
    return entry;
}

static void take_entries(uint64_t *entries, unsigned from, unsigned to, struct page_tree_removal *out) {
    for (unsigned i = from; i < to; i++) {
        if (!entries[i]) continue;
        out->entries[out->count++] = entries[i];
        entries[i] = 0;
    }
}

int page_tree_remove(struct page_tree *tree, uint64_t index, uint64_t end, struct job *job,
                     struct page_tree_removal *out) {
    out->leaf = NULL;
    out->count = 0;
    index = page_tree_next(tree, index, end);
    out->first = out->end = index;
    if (index >= end) return 0;
    uint64_t *way[PAGE_TREE_HEIGHT_MAX], *slot = &tree->root;
    if (tree->height == 0) {
        take_entries(slot, 0, 1, out);
        out->end = index + 1;
        return 0;
    }
    unsigned from = slot_index(index, 0);
    unsigned to = (unsigned)(end - index < PAGE_TREE_SLOTS - from ? from + (end - index) : PAGE_TREE_SLOTS);
    // The entries before the first one found are none, so the whole leaf goes when the range reaches its end and
    // whatever lies before `from` is empty.
    for (unsigned level = tree->height; level-- > 0;) {
        way[level] = slot;
        if (level == 0) break;
        if (is_shared(slot_node(*slot))) {
            int error = node_unshare(slot, job);
            if (error) return error;
        }
        slot = &slot_node(*slot)->slots[slot_index(index, level)];
    }
    struct page_node *leaf = slot_node(*slot);
    bool whole = to == PAGE_TREE_SLOTS;
    for (unsigned i = 0; i < from && whole; i++) whole = leaf->slots[i] == 0;
    if (whole) {
        out->leaf = leaf;
        *slot = 0;
        prune(tree, way, 1);
    } else {
        if (is_shared(leaf)) {
            int error = node_unshare(slot, job);
            if (error) return error;
        }
        take_entries(slot_node(*slot)->slots, from, to, out);
        prune(tree, way, 0);
    }
    out->end = index + (to - from);
    return 0;
}

void page_tree_bury(struct page_tree *tree, struct page_grave *grave) {
    uint64_t root = tree->root;
    tree->root = 0;
    if (!root) return;
    if (tree->height == 0) page_entry_put(root);
    else node_put(slot_node(root), grave);
    tree->height = 0;
}

void page_tree_bury_removal(struct page_tree_removal *removal, struct page_grave *grave) {
    for (unsigned i = 0; i < removal->count; i++) page_entry_put(removal->entries[i]);
    removal->count = 0;
    if (removal->leaf) node_put(removal->leaf, grave);
    removal->leaf = NULL;
}

static void node_free(struct rcu_head *head) { slub_free(&node_cache, container_of(head, struct page_node, rcu)); }

bool page_grave_step(struct page_grave *grave, unsigned budget) {
    while (grave->nodes && budget-- > 0) {
        struct page_node *node = grave->nodes;
        grave->nodes = node->next;
        for (unsigned i = 0; i < PAGE_TREE_SLOTS; i++) {
            if (!node->slots[i]) continue;
            if (node->level == 0) page_entry_put(node->slots[i]);
            else node_put(slot_node(node->slots[i]), grave);
        }
        if (node->paged) rcu_call(&node->rcu, node_free);
        else slub_free(&node_cache, node);
    }
    return grave->nodes != NULL;
}
