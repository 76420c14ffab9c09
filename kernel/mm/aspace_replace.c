// A mapping in place of others (KPIO_MAP_FIXED), in one step as other threads see it: nobody gets the place in between.
//
//     1. one hold of aspace->lock: edges cut (all that can fail), old mappings out of the tree, the new one in, dying
//     2. in steps: page tables of the old ones emptied, which then end
//     3. with the last of them the new one lives; a fault meanwhile does a part of step 2 and tries again
//
// What is out of the tree in step 2 lies in aspace->replaced. Leaf entries there still belong to the old VMOs, so nothing else
// may be mapped in the range until they are gone: whoever would take a dying mapping out of the tree ends what was replaced
// first, whoever would replace it adds to the list.
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/tlb.h"
#include "kernel/sched/sched.h"

// Takes what is in [start, end), whose ends are boundaries, out of the tree. Returns what is above.
static struct mapping *take_out_locked(struct aspace *a, uint64_t start, uint64_t end) {
    struct mapping *m = mapping_tree_from(&a->mappings, start), *next;
    for (; m && m->start < end; m = next) {
        next = mapping_next(m);
        m->flags |= MAPPING_DYING;
        aspace_remove_locked(a, m);
        m->next = a->replaced;
        a->replaced = m;
    }
    return m ? m : mapping_tree_edge(&a->mappings);
}

static void put_in_locked(struct aspace *a, struct mapping *m, struct mapping *above) {
    aspace_insert_locked(a, m, above);
    if (!a->replaced) return;
    m->flags |= MAPPING_DYING;
    bool first = a->replaced_start == a->replaced_end;
    a->replaced_start = first ? m->start : MIN(a->replaced_start, m->start);
    a->replaced_end = first ? m->end : MAX(a->replaced_end, m->end);
}

// Nothing is left in the list: what took its place lives. What is being unmapped there is marked again by the next step.
static void settle_locked(struct aspace *a) {
    struct mapping *m = mapping_tree_from(&a->mappings, a->replaced_start);
    for (; m && m->start < a->replaced_end; m = mapping_next(m)) {
        if (!(m->flags & MAPPING_DYING)) continue;
        m->flags &= (uint8_t)~MAPPING_DYING;
        if (m->end - m->start >= LARGE_PAGE_SIZE) (void)aspace_prune_locked(a, m->start, m->end);
    }
    a->replaced_start = a->replaced_end = 0;
}

void aspace_end_replaced(struct aspace *a) {
    for (bool more = true; more;) {
        spin_lock(&a->lock);
        struct mapping *m = a->replaced;
        bool empty = m && mapping_clear_step(m);
        if (empty) {
            a->replaced = m->next;
            if (!a->replaced) settle_locked(a);
        }
        more = a->replaced != NULL;
        spin_unlock(&a->lock);
        if (empty) mapping_end(m);
        if (more) (void)sched_preempt_point();
    }
}

void aspace_replace_locked(struct aspace *a, uint64_t start, uint64_t end, struct mapping *m) {
    struct mapping *above = take_out_locked(a, start, end);
    m->start = start;
    m->end = end;
    put_in_locked(a, m, above);
}

int64_t aspace_replace(struct aspace *a, uint64_t start, uint64_t end, struct mapping *m) {
    spin_lock(&a->lock);
    int error = a->closed ? -EDESTROYED : aspace_cut_locked(a, start);
    if (!error) error = aspace_cut_locked(a, end);
    if (!error) aspace_replace_locked(a, start, end, m);
    spin_unlock(&a->lock);
    if (error) return error;
    aspace_end_replaced(a);
    aspace_settle(a);
    return (int64_t)start;
}
