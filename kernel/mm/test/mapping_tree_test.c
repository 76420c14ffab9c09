// Mappings by address: neighbours, gaps and their summaries, against a plain array.
// links: kernel/mm/mapping_tree.c
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/mapping.h"
#include "tests/unit/unit.h"

#define PLACES 512  // pages of the little address space that the model covers
#define BASE USER_MIN

static struct mapping_tree tree;
static struct mapping *at[PLACES];  // who covers the page

// The depth is bounded by what is being checked.
static uint64_t largest(const struct mapping *m) {
    if (!m) return 0;
    uint64_t most = mapping_gap(m), left = largest(m->left), right = largest(m->right);
    const struct mapping *children[] = {m->left, m->right};
    for (unsigned i = 0; i < 2; i++) {
        if (!children[i]) continue;
        CHECK(children[i]->parent == m);
        CHECK(children[i]->rank <= m->rank);
        CHECK(children[i]->max_gap <= m->max_gap);
        CHECK((children[i]->start < m->start) == (i == 0));
    }
    if (left > most) most = left;
    if (right > most) most = right;
    CHECK(m->max_gap >= most);
    return most;
}

static void check_tree(void) {
    const struct mapping *before = mapping_tree_edge(&tree);
    uint64_t end = USER_MIN;
    for (struct mapping *m = mapping_tree_first(&tree); m; before = m, m = mapping_next(m)) {
        CHECK(m->prev == before);
        CHECK(m->start >= end);
        end = m->end;
    }
    CHECK(tree.edge.prev == before);
    (void)largest(tree.root);
}

static bool is_free(uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; i++)
        if (at[i]) return false;
    return true;
}

static uint64_t model_gap(uint64_t count, uint64_t align, uint64_t low, uint64_t high) {
    for (uint64_t i = high - count + 1; i-- > low;)
        if ((BASE / PAGE_SIZE + i) % align == 0 && is_free(i, count)) return BASE + i * PAGE_SIZE;
    return 0;
}

static void set(struct mapping *m, struct mapping *value) {
    for (uint64_t a = m->start; a < m->end; a += PAGE_SIZE) at[(a - BASE) / PAGE_SIZE] = value;
}

static uint64_t find_gap(uint64_t size, uint64_t align, uint64_t low, uint64_t high) {
    struct mapping_place found = mapping_tree_find_gap(&tree, size, align, low, high);
    if (found.address) CHECK(found.address + size <= found.above->start && found.address >= found.above->prev->end);
    return found.address;
}

static void insert(uint64_t first, uint64_t count) {
    struct mapping *m = calloc(1, sizeof(*m));
    m->start = BASE + first * PAGE_SIZE;
    m->end = m->start + count * PAGE_SIZE;
    mapping_tree_insert(&tree, m);
    set(m, m);
}

static void take_out(struct mapping *m) {
    set(m, NULL);
    mapping_tree_remove(&tree, m);
    free(m);
}

static void check_from(uint64_t first) {
    struct mapping *found = mapping_tree_from(&tree, BASE + first * PAGE_SIZE + 5), *expected = NULL;
    for (uint64_t i = first; i < PLACES && !expected; i++) expected = at[i];
    CHECK(found == expected);
}

TEST(mapping_tree_against_array) {
    mapping_tree_init(&tree, unit_random());
    memset(at, 0, sizeof(at));
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t first = unit_random() % PLACES, count = 1 + unit_random() % 8;
        if (first + count > PLACES) continue;
        struct mapping *there = at[first];
        unsigned action = unit_random() % 4;
        if (action < 2 && is_free(first, count)) insert(first, count);
        else if (action == 2 && there) take_out(there);
        else if (action == 3 && there && there->end - there->start > PAGE_SIZE) {
            set(there, NULL);
            if (unit_random() & 1) there->end -= PAGE_SIZE;
            else there->start += PAGE_SIZE;
            set(there, there);
            mapping_tree_trimmed(&tree, there);
        }
        check_tree();
        check_from(first);
        uint64_t low = unit_random() % PLACES, high = low + unit_random() % (PLACES - low) + 1, align = 1u << unit_random() % 4;
        uint64_t need = 1 + unit_random() % 12;
        uint64_t expected = high - low >= need ? model_gap(need, align, low, high) : 0;
        CHECK_EQ(find_gap(need * PAGE_SIZE, align * PAGE_SIZE, BASE + low * PAGE_SIZE, BASE + high * PAGE_SIZE), expected);
    }
    for (unsigned i = 0; i < PLACES; i++)
        if (at[i]) take_out(at[i]);
}

TEST(mapping_tree_refuses_overlap) {
    mapping_tree_init(&tree, unit_random());
    memset(at, 0, sizeof(at));
    insert(10, 4);
    struct mapping over = {.start = BASE + 12 * PAGE_SIZE, .end = BASE + 20 * PAGE_SIZE};
    CHECK_PANICS(mapping_tree_insert(&tree, &over));
    take_out(at[10]);
}

TEST(mapping_tree_ends_of_the_range) {
    mapping_tree_init(&tree, unit_random());
    memset(at, 0, sizeof(at));
    CHECK_EQ(find_gap(PAGE_SIZE, PAGE_SIZE, USER_MIN, USER_MAX), USER_MAX - PAGE_SIZE);
    CHECK_EQ(find_gap(USER_MAX - USER_MIN, PAGE_SIZE, USER_MIN, USER_MAX), USER_MIN);
    CHECK_EQ(find_gap(USER_MAX, PAGE_SIZE, USER_MIN, USER_MAX), 0);
    insert(0, 1);
    CHECK_EQ(find_gap(USER_MAX - USER_MIN - PAGE_SIZE, PAGE_SIZE, USER_MIN, USER_MAX),
             USER_MIN + PAGE_SIZE);
    CHECK_EQ(find_gap(USER_MAX - USER_MIN, PAGE_SIZE, USER_MIN, USER_MAX), 0);
    take_out(at[0]);
}
