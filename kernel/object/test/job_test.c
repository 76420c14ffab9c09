// links: kernel/object/job.c kernel/object/object.c kernel/object/id.c lib/string.c
// Quotas: charges along the ancestors, stocks of CPUs, the end of jobs; and ids. One thread plays all CPUs in turn.
#include <stdlib.h>
#include <string.h>

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "kernel/object/id.h"
#include "kernel/object/job.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/unit.h"

// ---- stand-ins ----------------------------------------------------------------------------------------------------------

void spin_lock_wait(struct spinlock *lock) { abort(); }  // never contended

static int64_t live_memory;
static struct rcu_head *deferred;
static unsigned signalled;

void slub_cache_init(struct kmem_cache *cache, const char *name, size_t size, size_t align) {
    cache->object_size = (uint32_t)size;
}
void *slub_alloc_zeroed(struct kmem_cache *cache) { return kzalloc(align_up(cache->object_size, 64)); }
void slub_free(struct kmem_cache *cache, void *object) { kfree(object); }
void *kzalloc(size_t size) {
    void *memory = aligned_alloc(64, align_up(size, 64));
    live_memory++;
    return memset(memory, 0, size);
}
void kfree(void *object) { live_memory--, free(object); }
void rcu_call(struct rcu_head *head, void (*release)(struct rcu_head *)) {
    head->next = deferred;
    head->free = release;
    deferred = head;
}
static void quiesce(void) {
    while (deferred) {
        struct rcu_head *head = deferred;
        deferred = head->next;
        head->free(head);
    }
}
void object_signal(struct object *o) { signalled++; }
void wait_queue_cancel_locked(struct wait_queue *q, const struct handle *via, int64_t result) {}
void arch_call_cpus(uint64_t mask, void (*fn)(void *arg), void *arg) {
    uint32_t caller = cpu_id();
    for (; mask != 0; mask &= mask - 1) {
        unit_become_cpu((uint32_t)__builtin_ctzll(mask));
        fn(arg);
    }
    unit_become_cpu(caller);
}
void object_unbind_all(struct object *o) {}

static void begin(void) {
    cpu_count = 4;
    unit_become_cpu(0);
    if (job_root == NULL) job_init();
    signalled = 0;
}

static struct job *make(struct job *parent, uint64_t pages, uint64_t handles) {
    const struct kpio_job_limits limits = {.pages = pages, .handles = handles, .threads = UINT64_MAX,
                                           .kernel_bytes = UINT64_MAX, .processes = UINT64_MAX};
    struct job *job;
    CHECK_EQ(job_create(parent, &limits, "test", &job), 0);
    return job;
}

static struct kpio_job_info info_of(struct job *job) {
    struct kpio_job_info info;
    job_get_info(job, &info);
    return info;
}

// ---- charging -------------------------------------------------------------------------------------------------------------

TEST(charge_counts_in_all_ancestors) {
    begin();
    struct job *a = make(job_root, UINT64_MAX, UINT64_MAX), *b = make(a, UINT64_MAX, UINT64_MAX);
    uint64_t before = info_of(job_root).used.pages;
    CHECK_EQ(job_charge(b, JOB_PAGES, 5), 0);
    CHECK_EQ(job_charge(a, JOB_PAGES, 7), 0);
    CHECK_EQ(info_of(b).used.pages, 5);
    CHECK_EQ(info_of(a).used.pages, 12);
    CHECK_EQ(info_of(job_root).used.pages, before + 12);
    job_uncharge(b, JOB_PAGES, 5);
    job_uncharge(a, JOB_PAGES, 7);
    CHECK_EQ(info_of(a).used.pages, 0);
    object_put(&b->object);
    object_put(&a->object);
    quiesce();
    CHECK_EQ(info_of(job_root).used.pages, before);
}

TEST(limit_is_exact_and_failure_changes_nothing) {
    begin();
    struct job *a = make(job_root, 100, 10), *b = make(a, UINT64_MAX, UINT64_MAX);
    CHECK_EQ(job_charge(b, JOB_PAGES, 60), 0);
    CHECK_EQ(job_charge(b, JOB_PAGES, 41), -ENOMEM);
    CHECK_EQ(info_of(b).used.pages, 60);
    CHECK_EQ(info_of(a).used.pages, 60);
    CHECK_EQ(job_charge(b, JOB_PAGES, 40), 0);
    CHECK_EQ(job_charge(a, JOB_PAGES, 1), -ENOMEM);
    CHECK_EQ(info_of(a).used.pages, 100);
    CHECK_EQ(info_of(a).peak.pages, 100);
    CHECK_EQ(job_charge(b, JOB_HANDLES, UINT64_MAX), -ENFILE);
    job_uncharge(b, JOB_PAGES, 100);
    object_put(&b->object);
    object_put(&a->object);
    quiesce();
}

TEST(shortage_drains_the_stocks_of_other_cpus_and_jobs) {
    begin();
    struct job *a = make(job_root, UINT64_MAX, 64), *b = make(a, UINT64_MAX, UINT64_MAX);
    CHECK_EQ(job_charge(b, JOB_HANDLES, 1), 0);  // CPU 0 holds a stock for b now
    unit_become_cpu(1);
    for (unsigned i = 0; i < 63; i++) CHECK_EQ(job_charge(a, JOB_HANDLES, 1), 0);
    CHECK_EQ(job_charge(a, JOB_HANDLES, 1), -ENFILE);
    CHECK_EQ(info_of(a).used.handles, 64);
    unit_become_cpu(2);
    job_uncharge(a, JOB_HANDLES, 63);  // comes back on a third CPU
    unit_become_cpu(3);
    CHECK_EQ(job_charge(b, JOB_HANDLES, 63), 0);
    job_uncharge(b, JOB_HANDLES, 64);
    CHECK_EQ(info_of(a).used.handles, 0);
    object_put(&b->object);
    object_put(&a->object);
    quiesce();
}

// What is in stock, and what is given back from then on, does not get past a limit below the use.
TEST(a_limit_below_use_ends_the_stocks) {
    begin();
    struct job *outer, *inner, *later;
    struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, tight = none;
    struct kpio_job_info info;
    CHECK_EQ(job_create(job_root, &none, "outer", &outer), 0);
    CHECK_EQ(job_create(outer, &none, "inner", &inner), 0);
    for (uint32_t cpu = 0; cpu < 4; cpu++) {
        unit_become_cpu(cpu);
        CHECK_EQ(job_charge(inner, JOB_PAGES, 10), 0);  // and some into its stock
    }
    tight.pages = 5;
    job_set_limits(outer, &tight);
    CHECK_EQ(job_create(outer, &none, "later", &later), 0);
    for (uint32_t cpu = 0; cpu < 4; cpu++) {
        unit_become_cpu(cpu);
        CHECK_EQ(job_charge(inner, JOB_PAGES, 1), -ENOMEM);
        CHECK_EQ(job_charge(later, JOB_PAGES, 1), -ENOMEM);
        job_uncharge(inner, JOB_PAGES, 8);
        CHECK_EQ(job_charge(inner, JOB_PAGES, 1), -ENOMEM);  // 8 are left at the end: more than 5
    }
    job_uncharge(inner, JOB_PAGES, 4);
    CHECK_EQ(job_charge(inner, JOB_PAGES, 1), 0);
    CHECK_EQ(job_charge(inner, JOB_PAGES, 1), -ENOMEM);
    job_set_limits(outer, &none);
    CHECK_EQ(outer->no_stock | inner->no_stock | later->no_stock, 0);
    CHECK_EQ(job_charge(later, JOB_PAGES, 50), 0);
    job_uncharge(later, JOB_PAGES, 50);
    job_uncharge(inner, JOB_PAGES, 5);
    job_get_info(outer, &info);
    CHECK_EQ(info.used.pages, 0);
    object_put(&later->object);
    object_put(&inner->object);
    object_put(&outer->object);
    quiesce();
}

TEST(random_charges_against_a_model) {
    begin();
    enum { JOBS = 6, LIMIT = 500 };
    struct job *jobs[JOBS] = {make(job_root, LIMIT, UINT64_MAX)};
    uint64_t own[JOBS] = {0};
    for (unsigned i = 1; i < JOBS; i++) jobs[i] = make(jobs[(i - 1) / 2], i == 2 ? LIMIT / 3 : UINT64_MAX, UINT64_MAX);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = unit_random() % JOBS, n = unit_random() % 40;
        unit_become_cpu(unit_random() % 4);
        if (unit_random() % 2 && own[i] >= n) {
            job_uncharge(jobs[i], JOB_PAGES, n);
            own[i] -= n;
            continue;
        }
        uint64_t all = own[0] + own[1] + own[2] + own[3] + own[4] + own[5], two = own[2] + own[5];
        bool fits = all + n <= LIMIT && (!(i == 2 || i == 5) || two + n <= LIMIT / 3);
        CHECK_EQ(job_charge(jobs[i], JOB_PAGES, n), fits ? 0 : -ENOMEM);
        if (fits) own[i] += n;
    }
    CHECK_EQ(info_of(jobs[2]).used.pages, own[2] + own[5]);
    for (unsigned i = JOBS; i-- > 0;) {
        job_uncharge(jobs[i], JOB_PAGES, own[i]);
        object_put(&jobs[i]->object);
    }
    quiesce();
}

// ---- life -----------------------------------------------------------------------------------------------------------------

TEST(an_orphan_stays_until_everything_is_given_back) {
    begin();
    quiesce();
    int64_t before = live_memory;
    uint64_t jobs = object_count(KPIO_KIND_JOB);
    struct job *a = make(job_root, UINT64_MAX, UINT64_MAX), *b = make(a, UINT64_MAX, UINT64_MAX);
    CHECK_EQ(job_charge(b, JOB_PAGES, 3), 0);
    CHECK_EQ(job_charge(b, JOB_HANDLES, 1), 0);
    object_put(&a->object);
    object_put(&b->object);
    CHECK_EQ(object_count(KPIO_KIND_JOB), jobs + 1);  // b keeps a
    job_uncharge(b, JOB_PAGES, 1);  // before the grace period
    quiesce();
    job_uncharge(b, JOB_PAGES, 2);
    quiesce();
    CHECK(live_memory > before);
    job_uncharge(b, JOB_HANDLES, 1);
    quiesce();
    CHECK_EQ(object_count(KPIO_KIND_JOB), jobs);
    CHECK_EQ(live_memory, before);
}

TEST(depth_is_bounded_and_a_killed_job_has_no_children) {
    begin();
    struct job *chain[JOB_DEPTH_MAX] = {job_root}, *job;
    unsigned depth = 1;
    while (job_create(chain[depth - 1], NULL, "deep", &job) == 0) chain[depth++] = job;
    CHECK_EQ(depth, JOB_DEPTH_MAX);
    CHECK(job_is_within(chain[depth - 1], chain[3]));
    CHECK(!job_is_within(chain[3], chain[4]));
    chain[2]->killed = true;
    CHECK_EQ(job_create(chain[5], NULL, "late", &job), -EDESTROYED);
    while (depth-- > 1) object_put(&chain[depth]->object);
    quiesce();
}

TEST(jobs_that_get_empty_say_so) {
    begin();
    struct job *a = make(job_root, UINT64_MAX, UINT64_MAX), *b = make(a, UINT64_MAX, UINT64_MAX);
    CHECK_EQ(job_charge(b, JOB_PROCESSES, 1), 0);
    CHECK_EQ(job_charge(a, JOB_PROCESSES, 1), 0);
    job_uncharge(b, JOB_PROCESSES, 1);
    job_tell_if_empty(b);
    CHECK_EQ(signalled, 1);
    job_uncharge(a, JOB_PROCESSES, 1);
    job_tell_if_empty(a);
    CHECK(signalled >= 2);
    object_put(&b->object);
    object_put(&a->object);
    quiesce();
}

// ---- ids ------------------------------------------------------------------------------------------------------------------

TEST(ids_find_the_living_and_come_back_late) {
    begin();
    enum { COUNT = 1200 };
    static struct object objects[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK_EQ(id_alloc(&objects[i]), 0);
        CHECK(objects[i].id != 0 && objects[i].id < ID_LIMIT);
    }
    for (unsigned i = 0; i < COUNT; i++) CHECK(id_find(objects[i].id) == &objects[i]);
    uint64_t old = objects[7].id;
    id_free(&objects[7]);
    CHECK(id_find(old) == NULL);
    CHECK_EQ(id_alloc(&objects[7]), 0);
    CHECK(objects[7].id != old);
    CHECK(id_find(old) == NULL);
    unsigned seen = 0;
    uint32_t cursor = 0;
    bool more = true;
    while (more) {
        struct object *o = id_next(&cursor, &more);
        seen += o >= objects && o < objects + COUNT;
    }
    CHECK_EQ(seen, COUNT);
    CHECK(id_find(0) == NULL);
    CHECK(id_find(UINT64_MAX) == NULL);
    for (unsigned i = 0; i < COUNT; i++) id_free(&objects[i]);
}
