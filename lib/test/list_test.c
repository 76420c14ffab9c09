// Lists: order, removal, splicing, and that a damaged list stops.
#include "lib/list.h"

#include "tests/unit/unit.h"

struct item {
    int value;
    struct list_node node;
};

static void check_order(const struct list *list, const int *values, int count) {
    int i = 0;

    list_for_each(node, list) {
        CHECK(i < count);
        CHECK_EQ(list_entry(node, struct item, node)->value, values[i]);
        CHECK(node->next->prev == node && node->prev->next == node);
        i++;
    }
    CHECK_EQ(i, count);
}

TEST(list_keeps_order) {
    struct list list;
    struct item items[4] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};

    list_init(&list);
    CHECK(list_is_empty(&list) && list_first(&list) == NULL && list_last(&list) == NULL);
    CHECK(list_pop_front(&list) == NULL && list_pop_back(&list) == NULL);
    list_push_back(&list, &items[1].node);
    list_push_front(&list, &items[0].node);
    list_push_back(&list, &items[3].node);
    list_insert_before(&items[3].node, &items[2].node);
    check_order(&list, (int[]){1, 2, 3, 4}, 4);
    CHECK(list_next(&list, &items[3].node) == NULL && list_prev(&list, &items[0].node) == NULL);
    CHECK(list_next(&list, &items[0].node) == &items[1].node && list_prev(&list, &items[1].node) == &items[0].node);
    list_remove(&items[1].node);
    CHECK(!list_node_is_linked(&items[1].node) && list_node_is_linked(&items[2].node));
    check_order(&list, (int[]){1, 3, 4}, 3);
    list_insert_after(&items[2].node, &items[1].node);
    check_order(&list, (int[]){1, 3, 2, 4}, 4);
    CHECK(list_pop_front_entry(&list, struct item, node) == &items[0]);
    CHECK(list_pop_back(&list) == &items[3].node);
    check_order(&list, (int[]){3, 2}, 2);
}

TEST(list_splice_moves_all) {
    struct list to = LIST_INIT(to), from = LIST_INIT(from);
    struct item items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};

    list_push_back(&to, &items[0].node);
    list_splice_back(&to, &from);
    check_order(&to, (int[]){1}, 1);
    list_push_back(&from, &items[1].node);
    list_push_back(&from, &items[2].node);
    list_splice_back(&to, &from);
    check_order(&to, (int[]){1, 2, 3}, 3);
    CHECK(list_is_empty(&from));
    list_splice_back(&from, &to);
    check_order(&from, (int[]){1, 2, 3}, 3);
}

TEST(list_entries_may_be_removed_while_walking) {
    struct list list = LIST_INIT(list);
    struct item items[5] = {{0, {0}}, {1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};

    for (int i = 0; i < 5; i++) list_push_back(&list, &items[i].node);
    list_for_each_entry_safe(item, &list, struct item, node) {
        if (item->value % 2 == 0) list_remove(&item->node);
    }
    check_order(&list, (int[]){1, 3}, 2);
    list_for_each_safe(node, &list) list_remove(node);
    CHECK(list_is_empty(&list));
}
