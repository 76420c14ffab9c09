// Red-black trees: the invariants after every step of random insertions and removals, order, augmentation.
// links: lib/rbtree.c
#include "lib/rbtree.h"

#include <string.h>

#include "tests/unit/unit.h"

struct item {
    struct rb_node node;
    uint64_t key;
    uint64_t weight;
    uint64_t heaviest;  // of the subtree
};

static struct item *item_of(const struct rb_node *node) { return rb_entry((struct rb_node *)node, struct item, node); }

static bool less(const struct rb_node *a, const struct rb_node *b) { return item_of(a)->key < item_of(b)->key; }

static bool augment(struct rb_node *node) {
    struct item *item = item_of(node);
    uint64_t heaviest = item->weight;

    if (node->left != NULL) heaviest = MAX(heaviest, item_of(node->left)->heaviest);
    if (node->right != NULL) heaviest = MAX(heaviest, item_of(node->right)->heaviest);
    if (heaviest == item->heaviest) return false;
    item->heaviest = heaviest;
    return true;
}

// Checks a subtree and returns its black height. The depth is bounded by what is being checked.
static int check_subtree(const struct rb_node *node, const struct rb_node *parent, size_t *count, bool augmented) {
    bool black;
    uint64_t heaviest;
    int left, right;

    if (node == NULL) return 1;
    CHECK(rb_parent(node) == parent);
    black = node->parent_and_colour & 1;
    if (parent == NULL) CHECK(black);
    if (!black) {
        CHECK(node->left == NULL || (node->left->parent_and_colour & 1));
        CHECK(node->right == NULL || (node->right->parent_and_colour & 1));
    }
    if (node->left != NULL) CHECK(!less(node, node->left));
    if (node->right != NULL) CHECK(!less(node->right, node));
    left = check_subtree(node->left, node, count, augmented);
    right = check_subtree(node->right, node, count, augmented);
    CHECK_EQ(left, right);
    heaviest = item_of(node)->weight;
    if (node->left != NULL) heaviest = MAX(heaviest, item_of(node->left)->heaviest);
    if (node->right != NULL) heaviest = MAX(heaviest, item_of(node->right)->heaviest);
    if (augmented) CHECK_EQ(item_of(node)->heaviest, heaviest);
    ++*count;
    return left + black;
}

static void check_tree(const struct rb_tree *tree, size_t expected) {
    size_t count = 0, walked = 0;
    const struct rb_node *first = tree->root, *previous = NULL;

    check_subtree(tree->root, NULL, &count, tree->augment != NULL);
    CHECK_EQ(count, expected);
    while (first != NULL && first->left != NULL) first = first->left;
    CHECK(rb_first(tree) == first);
    rb_for_each(node, tree) {
        CHECK(rb_prev(node) == previous);
        if (previous != NULL) CHECK(!less(node, previous));
        previous = node;
        walked++;
    }
    CHECK_EQ(walked, expected);
    CHECK(rb_last(tree) == previous);
}

static void churn(rb_augment_fn *augment_fn, uint64_t keys) {
    static struct item items[200];
    struct rb_tree tree;
    size_t inside = 0;

    rb_tree_init(&tree, augment_fn);
    memset(items, 0, sizeof(items));
    for (size_t i = 0; i < ARRAY_SIZE(items); i++) rb_node_init(&items[i].node);
    for (int step = 0; step < 6000; step++) {
        struct item *item = &items[unit_random() % ARRAY_SIZE(items)];

        if (rb_node_is_linked(&item->node)) {
            if (unit_random() % 4 == 0) {
                item->weight = unit_random() % 1000;
                rb_update(&tree, &item->node);
            } else {
                rb_remove(&tree, &item->node);
                inside--;
            }
        } else {
            item->key = unit_random() % keys;
            item->weight = unit_random() % 1000;
            rb_insert(&tree, &item->node, less);
            inside++;
        }
        check_tree(&tree, inside);
    }
    while (!rb_is_empty(&tree)) {
        rb_remove(&tree, rb_first(&tree));
        check_tree(&tree, --inside);
    }
}

TEST(rbtree_keeps_invariants) { churn(NULL, UINT64_MAX); }
TEST(rbtree_keeps_invariants_with_equal_keys) { churn(NULL, 10); }
TEST(rbtree_keeps_summaries) { churn(augment, 1000); }

TEST(rbtree_equal_keys_stay_in_order) {
    struct rb_tree tree = RB_TREE_INIT(NULL);
    struct item items[50] = {0};
    size_t i = 0;

    for (i = 0; i < ARRAY_SIZE(items); i++) {
        items[i].key = 5;
        rb_insert(&tree, &items[i].node, less);
    }
    i = 0;
    rb_for_each(node, &tree) CHECK(node == &items[i++].node);
}

TEST(rbtree_replace_takes_the_place) {
    struct rb_tree tree = RB_TREE_INIT(augment);
    struct item items[20] = {0}, fresh = {0};

    for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
        items[i].key = items[i].weight = i;
        rb_insert(&tree, &items[i].node, less);
    }
    for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
        fresh.key = i;
        fresh.weight = 1000;
        rb_replace(&tree, &items[i].node, &fresh.node);
        CHECK(!rb_node_is_linked(&items[i].node));
        check_tree(&tree, ARRAY_SIZE(items));
        CHECK_EQ(item_of(tree.root)->heaviest, 1000);
        rb_replace(&tree, &fresh.node, &items[i].node);
        check_tree(&tree, ARRAY_SIZE(items));
    }
}
