#include "kernel/sched/fair.h"

static struct sched_entity *entity_of(struct rb_node *node) { return rb_entry(node, struct sched_entity, node); }

static bool update_min_deadline(struct rb_node *node) {
    struct sched_entity *e = entity_of(node);
    uint64_t least = e->deadline;
    if (node->left != NULL) {
        uint64_t left = entity_of(node->left)->min_deadline;
        if ((int64_t)(left - least) < 0) least = left;
    }
    if (node->right != NULL) {
        uint64_t right = entity_of(node->right)->min_deadline;
        if ((int64_t)(right - least) < 0) least = right;
    }
    if (e->min_deadline == least) return false;
    e->min_deadline = least;
    return true;
}

void fair_init(struct fair_queue *q) {
    *q = (struct fair_queue){0};
    rb_tree_init(&q->tree, update_min_deadline);
}

// Not ahead of V, without dividing.
static bool is_eligible(const struct fair_queue *q, const struct sched_entity *e) {
    return fair_relative(q, e) * (int64_t)q->sum_weight <= q->sum;
}

static void insert_into_tree(struct fair_queue *q, struct sched_entity *e) {
    struct rb_node *parent = NULL, **slot = &q->tree.root;
    while (*slot != NULL) {
        parent = *slot;
        slot = (int64_t)(e->vruntime - entity_of(parent)->vruntime) < 0 ? &parent->left : &parent->right;
    }
    e->min_deadline = e->deadline;
    rb_insert_at(&q->tree, &e->node, parent, slot);
}

// Others are queued already.
void fair_insert_more(struct fair_queue *q, struct sched_entity *e) {
    if (q->single != NULL) insert_into_tree(q, q->single);
    q->single = NULL;
    insert_into_tree(q, e);
}

void fair_remove_more(struct fair_queue *q, struct sched_entity *e) { rb_remove(&q->tree, &e->node); }

// The node of a subtree that has the subtree's earliest deadline.
static struct sched_entity *find_deadline(struct rb_node *node) {
    uint64_t wanted = entity_of(node)->min_deadline;
    for (;;) {
        struct sched_entity *e = entity_of(node);
        if (e->deadline == wanted) return e;
        node = node->left != NULL && entity_of(node->left)->min_deadline == wanted ? node->left : node->right;
    }
}

struct sched_entity *fair_pick_tree(struct fair_queue *q) {
    struct sched_entity *best = NULL;
    struct rb_node *best_subtree = NULL, *node = q->tree.root;
    uint64_t earliest = 0;
    if (node == NULL) return NULL;
    while (node != NULL) {
        struct sched_entity *e = entity_of(node);
        if (!is_eligible(q, e)) {
            node = node->left;
            continue;
        }
        // e and all of its left subtree are eligible.
        if ((best == NULL && best_subtree == NULL) || (int64_t)(e->deadline - earliest) < 0) {
            best = e;
            best_subtree = NULL;
            earliest = e->deadline;
        }
        if (node->left != NULL && (int64_t)(entity_of(node->left)->min_deadline - earliest) < 0) {
            best = NULL;
            best_subtree = node->left;
            earliest = entity_of(node->left)->min_deadline;
        }
        node = node->right;
    }
    if (best != NULL) return best;
    if (best_subtree != NULL) return find_deadline(best_subtree);
    // Nobody queued is eligible: the one that ran is behind all. The one least ahead goes first.
    return entity_of(rb_first(&q->tree));
}

bool fair_preempts(const struct fair_queue *q, const struct sched_entity *e, const struct sched_entity *running) {
    if (!is_eligible(q, e)) return false;
    return (int64_t)(e->deadline - running->deadline) < 0 || !is_eligible(q, running);
}

uint64_t fair_slice_left(const struct sched_entity *e) {
    int64_t left = (int64_t)(e->deadline - e->vruntime);
    if (left <= 0) return 0;
    return e->weight == FAIR_WEIGHT ? (uint64_t)left : (uint64_t)left * e->weight / FAIR_WEIGHT;
}
