// Intrusive doubly linked list: a ring through the list's own node. A node that is in no list holds NULL.
// The caller locks. Unlinking always checks the neighbours, so that a corrupted list stops here and not later.
#pragma once

#include "lib/util.h"

struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

struct list {
    struct list_node ring;
};

#define LIST_INIT(name) { .ring = { &(name).ring, &(name).ring } }

static inline void list_init(struct list *list)
{
    list->ring.next = &list->ring;
    list->ring.prev = &list->ring;
}

static inline void list_node_init(struct list_node *node)
{
    node->next = NULL;
    node->prev = NULL;
}

static inline bool list_node_is_linked(const struct list_node *node)
{
    return node->next != NULL;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->ring.next == &list->ring;
}

static inline void list_insert_between(struct list_node *node, struct list_node *prev, struct list_node *next)
{
    node->next = next;
    node->prev = prev;
    next->prev = node;
    prev->next = node;
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
    list_insert_between(node, &list->ring, list->ring.next);
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
    list_insert_between(node, list->ring.prev, &list->ring);
}

// Puts `node` before `position`, which is in a list.
static inline void list_insert_before(struct list_node *position, struct list_node *node)
{
    list_insert_between(node, position->prev, position);
}

static inline void list_insert_after(struct list_node *position, struct list_node *node)
{
    list_insert_between(node, position, position->next);
}

// Takes `node` out of the list it is in.
static inline void list_remove(struct list_node *node)
{
    struct list_node *next = node->next;
    struct list_node *prev = node->prev;

    if (unlikely(next->prev != node || prev->next != node))
        __builtin_trap();
    next->prev = prev;
    prev->next = next;
    list_node_init(node);
}

// First node, last node, neighbours: NULL at the end.
static inline struct list_node *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->ring.next;
}

static inline struct list_node *list_last(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->ring.prev;
}

static inline struct list_node *list_next(const struct list *list, const struct list_node *node)
{
    return node->next == &list->ring ? NULL : node->next;
}

static inline struct list_node *list_prev(const struct list *list, const struct list_node *node)
{
    return node->prev == &list->ring ? NULL : node->prev;
}

static inline struct list_node *list_pop_front(struct list *list)
{
    struct list_node *node = list_first(list);

    if (node != NULL)
        list_remove(node);
    return node;
}

static inline struct list_node *list_pop_back(struct list *list)
{
    struct list_node *node = list_last(list);

    if (node != NULL)
        list_remove(node);
    return node;
}

// Moves everything in `from` to the end of `to`; `from` is empty afterwards.
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->ring.next->prev = to->ring.prev;
    to->ring.prev->next = from->ring.next;
    from->ring.prev->next = &to->ring;
    to->ring.prev = from->ring.prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

// The entry at the front or NULL.
#define list_first_entry(list, type, member)                                                                 \
    ({                                                                                                       \
        struct list_node *list_first_node = list_first(list);                                                \
        list_first_node == NULL ? NULL : list_entry(list_first_node, type, member);                          \
    })

// Removes and returns the entry at the front, or NULL.
#define list_pop_front_entry(list, type, member)                                                             \
    ({                                                                                                       \
        struct list_node *list_popped_node = list_pop_front(list);                                           \
        list_popped_node == NULL ? NULL : list_entry(list_popped_node, type, member);                        \
    })

// Iterates over nodes; the list must not change under it.
#define list_for_each(node, list)                                                                            \
    for (struct list_node *node = (list)->ring.next; node != &(list)->ring; node = node->next)

// The same, but `node` may be removed in the body.
#define list_for_each_safe(node, list)                                                                       \
    for (struct list_node *node = (list)->ring.next, *node##_next = node->next; node != &(list)->ring;       \
         node = node##_next, node##_next = node->next)

// The node inside an entry, by arithmetic: at the end of a loop `entry` stands for the list's own node and is no entry.
#define list_node_of(entry, type, member) ((struct list_node *)((char *)(entry) + offsetof(type, member)))
#define list_next_entry(entry, type, member) list_entry(list_node_of(entry, type, member)->next, type, member)

// Iterates over entries: `entry` is declared by the loop as `type *`.
#define list_for_each_entry(entry, list, type, member)                                                       \
    for (type *entry = list_entry((list)->ring.next, type, member);                                          \
         list_node_of(entry, type, member) != &(list)->ring; entry = list_next_entry(entry, type, member))

#define list_for_each_entry_safe(entry, list, type, member)                                                  \
    for (type *entry = list_entry((list)->ring.next, type, member),                                          \
              *entry##_next = list_next_entry(entry, type, member);                                          \
         list_node_of(entry, type, member) != &(list)->ring;                                                 \
         entry = entry##_next, entry##_next = list_next_entry(entry, type, member))
