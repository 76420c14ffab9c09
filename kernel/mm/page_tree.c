#include "kernel/mm/page_tree.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"

struct page_node {
    uint32_t refs;   // trees and parent nodes that lead here; atomic
    uint8_t level;   // 0: slots are pages
    union {
        struct job *job;         // who pays
        struct page_node *next;  // in a grave (then nothing is paid any more)
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
    node->job = job;
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

// Adds levels above the root until `index` fits.
static int tree_grow(struct page_tree *tree, uint64_t index, struct job *job) {
    while (!fits(index, tree->height)) {
        if (tree->root) {
            struct page_node *node;
            int error = node_alloc_empty(job, tree->height, &node);
            if (error) return error;
            node->slots[0] = tree->root;
            tree->root = (uint64_t)node;
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
            if (!error) *slot = (uint64_t)node;
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

bool page_grave_step(struct page_grave *grave, unsigned budget) {
    while (grave->nodes && budget-- > 0) {
        struct page_node *node = grave->nodes;
        grave->nodes = node->next;
        for (unsigned i = 0; i < PAGE_TREE_SLOTS; i++) {
            if (!node->slots[i]) continue;
            if (node->level == 0) page_entry_put(node->slots[i]);
            else node_put(slot_node(node->slots[i]), grave);
        }
        slub_free(&node_cache, node);
    }
    return grave->nodes != NULL;
}
