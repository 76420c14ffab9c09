// links: kernel/object/handle.c kernel/object/handle_table.c kernel/object/derivation.c kernel/object/revoke.c
// links: kernel/object/handle_transfer.c kernel/object/handle_pool.c kernel/object/handle_clone.c lib/string.c
// Handles against a model: which handles live, who descends from whom. The kernel around them is played by the stand-ins
// below: memory comes from malloc, so ASan sees a use after the grace period; that ends only in quiesce().
#include <stdlib.h>
#include <string.h>

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "kernel/object/audit.h"
#include "kernel/object/handle_expiry.h"
#include "kernel/object/handle_pool.h"
#include "kernel/object/handle_table.h"
#include "kernel/object/process.h"
#include "kernel/sched/sched.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/unit.h"

// ---- stand-ins ----------------------------------------------------------------------------------------------------------

void spin_lock_wait(struct spinlock *lock) { abort(); }  // one CPU: never contended

static int64_t live_handles;
static uint64_t charged, charge_limit = UINT64_MAX;
static struct rcu_head *deferred;
static void (*at_preemption)(void);

void slub_cache_init(struct kmem_cache *cache, const char *name, size_t size, size_t align) { cache->object_size = (uint32_t)size; }
void *slub_alloc(struct kmem_cache *cache) { return live_handles++, aligned_alloc(64, 64); }
void slub_free(struct kmem_cache *cache, void *object) { live_handles--, free(object); }
void *kmalloc(size_t size) { return malloc(size); }
void *kzalloc(size_t size) { return calloc(1, size); }
void kfree(void *object) { free(object); }
void rcu_call(struct rcu_head *head, void (*release)(struct rcu_head *)) {
    head->next = deferred;
    head->free = release;
    deferred = head;
}
static void quiesce(void) {
    if (handle_pool()->ended) handle_batch_retire(handle_pool());
    while (deferred) {
        struct rcu_head *head = deferred;
        deferred = head->next;
        head->free(head);
    }
}
int job_charge(struct job *job, enum job_resource what, uint64_t n) {
    if (charged + n > charge_limit) return -ENFILE;
    charged += n;
    return 0;
}
void job_uncharge(struct job *job, enum job_resource what, uint64_t n) { charged -= n; }
bool sched_preempt_point(void) {
    if (at_preemption) at_preemption();
    return false;
}
void audit_record(enum audit_event event, kpio_handle value, const struct object *o, uint32_t rights, int error) {}
void handle_expiry_init(void) {}
bool handle_has_expired(const struct handle *h) { return false; }
nanos_t handle_expiry_of(const struct handle *h) { return TIME_NEVER; }
void handle_expiry_forget(struct handle *h) {}
int handle_expiry_copy(struct handle *to, const struct handle *from) { return 0; }
void object_unbind_handle(struct object *o, const struct handle *h) {}
static unsigned mappings_pinned, mappings_revoked;
void aspace_mapping_pin(struct handle *node) { mappings_pinned++; }
void aspace_mapping_revoked(struct handle *node) { mappings_revoked++; }

static unsigned unreachable_calls, no_receivers_calls, gone_calls;
static void on_unreachable(struct object *o) { unreachable_calls++; }
static void on_no_receivers(struct object *o) { no_receivers_calls++; }
static void on_gone(struct object *o, struct handle *h) { gone_calls++; }
static const struct object_ops ops = {.name = "test", .rights = KPIO_RIGHTS_ALL, .unreachable = on_unreachable,
                                      .no_receivers = on_no_receivers, .handle_gone = on_gone};
void object_put(struct object *o) { __atomic_fetch_sub(&o->refs, 1, __ATOMIC_RELAXED); }
void object_abandon(struct object *o) { object_put(o); }

static struct job_cpu stock;
static struct job job = {.cpus = &stock};
static struct process process_a = {.job = &job}, process_b = {.job = &job};
static struct thread thread;
static struct object object;

void job_stock_trim(struct job *trimmed, enum job_resource what) {
    charged -= stock.stock[what] - job_stock_batch(what);
    stock.stock[what] = job_stock_batch(what);
}

static void set_up(void) {
    if (!this_cpu()->handle_pool) handle_pool_init();
    memset(&stock, 0, sizeof(stock));
    charged = 0;
    charge_limit = UINT64_MAX;
    at_preemption = NULL;
    mappings_pinned = mappings_revoked = unreachable_calls = no_receivers_calls = gone_calls = 0;
    object = (struct object){.ops = &ops, .refs = 1, .kind = KPIO_KIND_ENDPOINT, .waited = true};
    spin_init(&object.tree_lock, "tree");
    object.tree = &object.tree_lock;
    CHECK_EQ(handle_table_init(&process_a.handles, &process_a), 0);
    CHECK_EQ(handle_table_init(&process_b.handles, &process_b), 0);
    thread.process = &process_a;
    this_cpu()->current = &thread;
}

static void tear_down(void) {
    handle_table_close_all(&process_a.handles);
    handle_table_close_all(&process_b.handles);
    handle_table_destroy(&process_a.handles);
    handle_table_destroy(&process_b.handles);
    quiesce();
    CHECK_EQ(handle_count(), 0);
    CHECK_EQ(charged, stock.stock[JOB_HANDLES]);
    CHECK_EQ(object.handles, 0);
    CHECK_EQ(object.refs, 0);
    CHECK_EQ(object.receivers, 0);
    CHECK_EQ(unreachable_calls, 1);
    CHECK_EQ(no_receivers_calls, 1);
}

static bool is_alive(kpio_handle value) { return handle_table_lookup(&process_a.handles, value) != NULL; }

// ---- cases ----------------------------------------------------------------------------------------------------------------

TEST(closed_value_never_names_the_next_handle)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    kpio_handle first = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    CHECK_EQ(handle_close(&process_a.handles, first), 0);
    for (int i = 0; i < 9000; i++) {  // more than there are generations
        kpio_handle next = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
        CHECK(next > 0);
        CHECK((next == first) == is_alive(first));
        CHECK_EQ(handle_close(&process_a.handles, next), 0);
        CHECK_EQ(handle_close(&process_a.handles, next), -EBADF);
        quiesce();
    }
    tear_down();
}

TEST(duplicates_only_lose_rights)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    kpio_handle caller = (kpio_handle)handle_dup(root, KPIO_RIGHT_CALL | KPIO_RIGHT_DUPLICATE);
    CHECK_EQ(handle_dup(caller, KPIO_RIGHT_CALL | KPIO_RIGHT_RECEIVE), -EINVAL);
    CHECK_EQ(handle_dup(caller, KPIO_RIGHTS_ALL + 1), -EINVAL);
    kpio_handle last = (kpio_handle)handle_dup(caller, KPIO_RIGHT_CALL);
    CHECK(last > 0);
    CHECK_EQ(handle_dup(last, 0), -EACCES);
    struct handle *h;
    CHECK_EQ(handle_get_full(last, KPIO_KIND_VMO, 0, &h), -EWRONGTYPE);
    CHECK_EQ(handle_get_full(last, KPIO_KIND_VMO, KPIO_RIGHT_WRITE, &h), -EWRONGTYPE);  // type before rights
    CHECK_EQ(handle_get_full(last, KPIO_KIND_ENDPOINT, KPIO_RIGHT_RECEIVE, &h), -EACCES);
    CHECK_EQ(handle_get_full(last, KPIO_KIND_ENDPOINT, KPIO_RIGHT_CALL, &h), 0);
    CHECK_EQ(handle_get_full(last + 1, KPIO_KIND_ENDPOINT, 0, &h), -EBADF);
    CHECK_EQ(handle_get_full(0, KPIO_KIND_NONE, 0, &h), -EBADF);
    CHECK_EQ(handle_get_full(-1, KPIO_KIND_NONE, 0, &h), -EBADF);
    tear_down();
}

TEST(badged_duplicate_keeps_its_badge)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    uint64_t badge = 77, other = 78;
    kpio_handle badged = (kpio_handle)handle_dup_badged(root, KPIO_RIGHTS_SAME, badge);
    CHECK_EQ(handle_lookup(badged)->badge, 77);
    CHECK_EQ(handle_dup_badged(badged, KPIO_RIGHTS_SAME, other), -EACCES);
    kpio_handle copy = (kpio_handle)handle_dup(badged, KPIO_RIGHTS_SAME);
    CHECK_EQ(handle_lookup(copy)->badge, 77);
    tear_down();
}

TEST(close_hands_children_to_the_grandparent)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    kpio_handle middle = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    kpio_handle sibling = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    kpio_handle leaves[5];
    for (int i = 0; i < 5; i++) leaves[i] = (kpio_handle)handle_dup(middle, KPIO_RIGHTS_SAME);
    CHECK_EQ(handle_close(&process_a.handles, middle), 0);
    CHECK_EQ(handle_revoke(sibling, false), 0);  // they are not the sibling's
    for (int i = 0; i < 5; i++) CHECK(is_alive(leaves[i]));
    CHECK_EQ(handle_revoke(root, false), 6);
    for (int i = 0; i < 5; i++) CHECK(!is_alive(leaves[i]));
    CHECK(is_alive(root));
    tear_down();
}

TEST(tombstones_never_outnumber_handles)
{
    set_up();
    kpio_handle at = (kpio_handle)handle_install(&object);
    // A chain that moves on: each link is duplicated twice and closed.
    for (int i = 0; i < 2000; i++) {
        kpio_handle next = (kpio_handle)handle_dup(at, KPIO_RIGHTS_SAME);
        kpio_handle extra = (kpio_handle)handle_dup(at, KPIO_RIGHTS_SAME);
        CHECK_EQ(handle_close(&process_a.handles, at), 0);
        CHECK_EQ(handle_close(&process_a.handles, extra), 0);
        at = next;
        quiesce();
        CHECK(handle_count() <= 2);
    }
    tear_down();
}

TEST(move_keeps_the_place_and_copy_makes_a_child)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    kpio_handle given = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    kpio_handle below = (kpio_handle)handle_dup(given, KPIO_RIGHTS_SAME);
    int64_t there = handle_give(&process_b.handles, given, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    CHECK(there > 0);
    CHECK(!is_alive(given));
    struct handle *moved = handle_table_lookup(&process_b.handles, (kpio_handle)there);
    CHECK(moved && handle_lookup(below)->parent == moved);
    int64_t copy = handle_give(&process_b.handles, below, KPIO_RIGHT_CALL, KPIO_SEND_COPY);
    CHECK(copy > 0 && is_alive(below));
    CHECK_EQ(handle_table_lookup(&process_b.handles, (kpio_handle)copy)->rights, KPIO_RIGHT_CALL);
    CHECK_EQ(handle_revoke(root, false), 3);
    CHECK(!handle_table_lookup(&process_b.handles, (kpio_handle)there));
    CHECK(!handle_table_lookup(&process_b.handles, (kpio_handle)copy));
    tear_down();
}

TEST(revoked_in_flight_arrives_as_nothing)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    struct handle *flying, *dropped;
    CHECK_EQ(handle_take(&process_a.handles, root, KPIO_RIGHTS_SAME, KPIO_SEND_COPY, &flying), 0);
    CHECK_EQ(handle_take(&process_a.handles, root, KPIO_RIGHT_CALL, KPIO_SEND_COPY, &dropped), 0);
    CHECK_EQ(handle_revoke(root, false), 2);
    CHECK_EQ(handle_put(&process_b.handles, flying), -EBADF);
    handle_drop(dropped);
    tear_down();
}

TEST(no_room_at_the_other_table_loses_nothing)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    kpio_handle given = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    process_b.handles.room = 0;
    process_b.handles.limit = 0;
    CHECK_EQ(handle_give(&process_b.handles, given, KPIO_RIGHTS_SAME, KPIO_SEND_COPY), -EMFILE);
    CHECK(is_alive(given));
    CHECK_EQ(handle_give(&process_b.handles, given, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE), -EMFILE);
    CHECK_EQ(handle_table_count(&process_a.handles), 2);
    tear_down();
}

TEST(quota_is_exact)
{
    set_up();
    charge_limit = 10;
    kpio_handle root = (kpio_handle)handle_install(&object);
    for (int i = 0; i < 9; i++) CHECK(handle_dup(root, KPIO_RIGHTS_SAME) > 0);
    CHECK_EQ(handle_dup(root, KPIO_RIGHTS_SAME), -ENFILE);
    CHECK_EQ(handle_table_count(&process_a.handles), 10);
    tear_down();
}

TEST(table_grows_to_its_limit)
{
    set_up();
    process_a.handles.room = process_a.handles.limit = 3000;
    kpio_handle root = (kpio_handle)handle_install(&object);
    for (int i = 0; i < 2999; i++) CHECK(handle_dup(root, KPIO_RIGHT_CALL) > 0);
    CHECK_EQ(handle_dup(root, KPIO_RIGHT_CALL), -EMFILE);
    CHECK_EQ(handle_revoke(root, true), 3000);
    CHECK_EQ(handle_table_count(&process_a.handles), 0);
    kpio_handle again = (kpio_handle)handle_install(&object);  // the object lost its last handle: only the table matters
    CHECK(again > 0);
    object.refs++;
    unreachable_calls = no_receivers_calls = 0;
    tear_down();
}

TEST(waits_end_where_somebody_may_wait)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    for (int waited = 0; waited < 2; waited++) {
        object.waited = waited;
        gone_calls = 0;
        kpio_handle closed = (kpio_handle)handle_dup(root, KPIO_RIGHT_CALL);
        CHECK_EQ(handle_close(&process_a.handles, closed), 0);
        CHECK_EQ(gone_calls, waited);
        for (int i = 0; i < 100; i++) CHECK(handle_dup(root, i % 2 ? KPIO_RIGHT_CALL : KPIO_RIGHTS_SAME) > 0);
        CHECK_EQ(handle_revoke(root, false), 100);
        CHECK_EQ(gone_calls, 101 * waited);
    }
    tear_down();
}

// A duplicate below a root that is being revoked fails, also while the revocation lets others run.
static kpio_handle race_leaf;
static unsigned races;
static void duplicate_meanwhile(void) {
    if (!is_alive(race_leaf)) return;
    races++;
    CHECK_EQ(handle_dup(race_leaf, KPIO_RIGHTS_SAME), -EBADF);
}

TEST(no_duplicates_below_a_revocation)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    race_leaf = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    for (int i = 0; i < 500; i++) CHECK(handle_dup(root, KPIO_RIGHTS_SAME) > 0);
    races = 0;
    at_preemption = duplicate_meanwhile;
    CHECK_EQ(handle_revoke(root, false), 501);
    at_preemption = NULL;
    CHECK(races > 10);
    CHECK(handle_dup(root, KPIO_RIGHTS_SAME) > 0);
    tear_down();
}

static kpio_handle closed_root;
static void close_root_meanwhile(void) {
    if (is_alive(closed_root)) CHECK_EQ(handle_close(&process_a.handles, closed_root), 0);
}

TEST(root_closed_while_it_is_revoked)
{
    set_up();
    kpio_handle top = (kpio_handle)handle_install(&object);
    closed_root = (kpio_handle)handle_dup(top, KPIO_RIGHTS_SAME);
    for (int i = 0; i < 300; i++) CHECK(handle_dup(closed_root, KPIO_RIGHTS_SAME) > 0);
    at_preemption = close_root_meanwhile;
    CHECK_EQ(handle_revoke(closed_root, true), 300);
    at_preemption = NULL;
    quiesce();
    CHECK_EQ(handle_count(), 1);
    tear_down();
}

TEST(deep_chain_is_revoked_in_bounded_steps)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object), at = root;
    for (int i = 0; i < 20000; i++) at = (kpio_handle)handle_dup(at, KPIO_RIGHTS_SAME);
    CHECK_EQ(handle_revoke(root, false), 20000);
    tear_down();
}

TEST(mappings_die_with_their_handle_and_count_on_the_object)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    kpio_handle given = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    static struct handle node, second;
    CHECK_EQ(handle_mapping_link(&node, handle_lookup(given)), 0);
    CHECK_EQ(handle_mapping_link_sibling(&second, &node), 0);
    CHECK_EQ(handle_close(&process_a.handles, given), 0);
    CHECK_EQ(object.handles, 3);
    handle_mapping_unlink(&second);
    CHECK_EQ(handle_revoke(root, true), 2);
    CHECK_EQ(mappings_pinned, 1);
    CHECK_EQ(mappings_revoked, 1);
    handle_mapping_unlink(&node);  // a dead node: nothing
    CHECK_EQ(handle_mapping_link_sibling(&second, &node), -EBADF);
    tear_down();
}

TEST(fork_makes_siblings_at_the_same_values)
{
    set_up();
    kpio_handle root = (kpio_handle)handle_install(&object);
    kpio_handle a = (kpio_handle)handle_dup(root, KPIO_RIGHTS_SAME);
    kpio_handle b = (kpio_handle)handle_dup(root, KPIO_RIGHT_CALL);
    CHECK_EQ(handle_close(&process_a.handles, a), 0);
    CHECK_EQ(handle_table_clone(&process_b.handles, &process_a.handles, &(struct handle_clone){0}), 0);
    CHECK(!handle_table_lookup(&process_b.handles, a));
    struct handle *copy = handle_table_lookup(&process_b.handles, b);
    CHECK(copy && copy->rights == KPIO_RIGHT_CALL && copy->parent == handle_lookup(root));
    CHECK_EQ(handle_revoke(b, false), 0);  // a sibling is not below
    CHECK(handle_table_lookup(&process_b.handles, b));
    CHECK_EQ(handle_revoke(root, false), 2);  // both: the original and its sibling
    tear_down();
}

// ---- model -----------------------------------------------------------------------------------------------------------------
// A forest of up to 200 nodes with parent indices; closing relinks children to the grandparent, plainly.

#define NODES 200
static struct {
    bool used, in_b;
    kpio_handle value;
    int parent;
} model[NODES];

static struct handle_table *table_of(int i) { return model[i].in_b ? &process_b.handles : &process_a.handles; }
static bool descends(int i, int from) {
    for (i = model[i].parent; i >= 0; i = model[i].parent)
        if (i == from) return true;
    return false;
}
static void model_check(void) {
    uint32_t a = 0, b = 0;
    for (int i = 0; i < NODES; i++) {
        if (!model[i].used) continue;
        CHECK(handle_table_lookup(table_of(i), model[i].value) != NULL);
        if (model[i].in_b) b++;
        else a++;
    }
    CHECK_EQ(handle_table_count(&process_a.handles), a);
    CHECK_EQ(handle_table_count(&process_b.handles), b);
    CHECK_EQ(object.handles, a + b);
}
static void step_close(int i) {
    CHECK_EQ(handle_close(table_of(i), model[i].value), 0);
    for (int c = 0; c < NODES; c++)
        if (model[c].used && model[c].parent == i) model[c].parent = model[i].parent;
    model[i].used = false;
}
static void step_revoke(int i, bool self) {
    thread.process = model[i].in_b ? &process_b : &process_a;
    int64_t expected = self;
    bool dies[NODES];
    for (int c = 0; c < NODES; c++) dies[c] = model[c].used && (descends(c, i) || (self && c == i));
    for (int c = 0; c < NODES; c++) expected += dies[c] && c != i;
    CHECK_EQ(handle_revoke(model[i].value, self), expected);
    for (int c = 0; c < NODES; c++)
        if (dies[c]) model[c].used = false;
    thread.process = &process_a;
}
static void step_dup(int i, int fresh) {
    thread.process = model[i].in_b ? &process_b : &process_a;
    int64_t value = handle_dup(model[i].value, KPIO_RIGHTS_SAME);
    CHECK(value > 0);
    thread.process = &process_a;
    model[fresh].used = true;
    model[fresh].in_b = model[i].in_b;
    model[fresh].value = (kpio_handle)value;
    model[fresh].parent = i;
}
static void step_move(int i) {
    thread.process = model[i].in_b ? &process_b : &process_a;
    struct handle_table *to = model[i].in_b ? &process_a.handles : &process_b.handles;
    int64_t value = handle_give(to, model[i].value, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    CHECK(value > 0);
    thread.process = &process_a;
    model[i].in_b = !model[i].in_b;
    model[i].value = (kpio_handle)value;
}

TEST(random_operations_match_the_model)
{
    set_up();
    memset(model, 0, sizeof(model));
    kpio_handle anchor = (kpio_handle)handle_install(&object);
    model[0].used = true;
    model[0].value = anchor;
    model[0].parent = -1;
    for (int step = 0; step < 60000; step++) {
        int i = (int)(unit_random() % NODES), fresh = (int)(unit_random() % NODES);
        if (!model[i].used) continue;
        unsigned what = (unsigned)(unit_random() % 100);
        if (what < 60 && !model[fresh].used) step_dup(i, fresh);
        else if (what < 85 && i != 0) step_close(i);
        else if (what < 93) step_move(i);
        else if (what < 97) step_revoke(i, i != 0 && unit_random() % 2);
        if (step % 16 == 0) quiesce();
        if (step % 64 == 0) model_check();
    }
    model_check();
    tear_down();
}
