// Domains: the files of a mounted file system that have something to write back, and the thread that does it.
//
// A file is in its domain's list while it has dirty pages or requests of theirs at work. Who works on it without owning it
// (the thread, a sync of everything) counts as a visit, which the file's end waits for.
//
// Locks: `domains_lock` guards the list of all; domain->lock its files. Both are leaves.
#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define AGE_NANOS 5000000000ull   // dirty pages are not older than this and TICK_NANOS
#define TICK_NANOS 1000000000ull
#define SPARE_VECTORS 32
#define VISIT_PAGES 2048u

static struct spinlock domains_lock = SPINLOCK_INIT("cache domains");
static struct list domains = LIST_INIT(domains);

// ---- the list of files -----------------------------------------------------------------------------------------------------

static void tick(struct ktimer *timer) {
    struct cache_domain *domain = container_of(timer, struct cache_domain, timer);
    spin_lock(&domain->queue.lock);
    domain->timer_armed = false;
    (void)wait_queue_wake_locked(&domain->queue, 1, 0);
    spin_unlock(&domain->queue.lock);
}

static void arm_locked(struct cache_domain *domain, nanos_t when) {
    if (domain->timer_armed) return;
    domain->timer_armed = true;
    ktimer_arm(&domain->timer, when);
}

void cache_domain_enter_locked(struct file_cache *cache) {
    struct cache_domain *domain = cache->domain;
    cache->dirty_since = arch_now();
    spin_lock(&domain->lock);
    if (!list_node_is_linked(&cache->node)) list_push_back(&domain->files, &cache->node);
    spin_unlock(&domain->lock);
    if (__atomic_load_n(&domain->timer_armed, __ATOMIC_RELAXED)) return;
    spin_lock(&domain->queue.lock);
    arm_locked(domain, cache->dirty_since + AGE_NANOS);
    spin_unlock(&domain->queue.lock);
}

void cache_domain_leave(struct file_cache *cache) {
    spin_lock(&cache->domain->lock);
    if (list_node_is_linked(&cache->node) && cache->dirty_pages == 0) list_remove(&cache->node);
    spin_unlock(&cache->domain->lock);
}

static void wait_visits(struct file_cache *cache) {
    struct wait_queue *queue = cache_queue(cache);
    for (;;) {
        spin_lock(&queue->lock);
        if (__atomic_load_n(&cache->visits, __ATOMIC_ACQUIRE) == 0) break;
        wait_queue_join_always_unlock(queue);
        wait_block_always();
    }
    spin_unlock(&queue->lock);
}

void cache_domain_wait_visits(struct file_cache *cache) {
    bool again;
    do {
        wait_visits(cache);
        spin_lock(&cache->domain->lock);
        if (list_node_is_linked(&cache->node)) list_remove(&cache->node);  // none begins any more
        again = __atomic_load_n(&cache->visits, __ATOMIC_ACQUIRE) != 0;
        spin_unlock(&cache->domain->lock);
    } while (again);
}

// ---- visits ----------------------------------------------------------------------------------------------------------------

static void visit_end(struct file_cache *cache) {
    struct wait_queue *queue = cache_queue(cache);
    __atomic_fetch_sub(&cache->visits, 1, __ATOMIC_RELEASE);
    cache_wake(queue);
}

// It counts as a visit already, which may end here only once the inode cannot leave memory for it.
static int visit(struct file_cache *cache, uint64_t first, uint64_t end, uint64_t most) {
    bool holds = cache->ops->visit != NULL;
    int error = 0;
    if (!holds || cache->ops->visit(cache)) {
        mutex_lock(&cache->writeback);
        error = cache_writeback(cache, first, end, most);
        mutex_unlock(&cache->writeback);
    } else {
        holds = false;
    }
    visit_end(cache);
    if (holds) cache->ops->mapped(cache, false);
    return error;
}

// The next file that this pass has not seen, visited; it goes to the end of the list. NULL: none, or it is not old enough.
static struct file_cache *next_file(struct cache_domain *domain, uint32_t pass, nanos_t dirty_before) {
    spin_lock(&domain->lock);
    struct file_cache *cache = list_first_entry(&domain->files, struct file_cache, node);
    if (cache && (cache->pass == pass || cache->dirty_since > dirty_before)) cache = NULL;
    if (cache) {
        cache->pass = pass;
        list_remove(&cache->node);
        list_push_back(&domain->files, &cache->node);
        __atomic_fetch_add(&cache->visits, 1, __ATOMIC_RELAXED);
    }
    spin_unlock(&domain->lock);
    return cache;
}

static int write_files(struct cache_domain *domain, nanos_t dirty_before, uint64_t most) {
    struct file_cache *cache;
    int first_error = 0;
    spin_lock(&domain->lock);
    if (++domain->pass == 0) domain->pass = 1;
    uint32_t pass = domain->pass;
    spin_unlock(&domain->lock);
    while ((cache = next_file(domain, pass, dirty_before)) != NULL) {
        int error = visit(cache, 0, PAGE_TREE_PAGES_MAX, most);
        if (!first_error) first_error = error;
    }
    return first_error;
}

// ---- writing for others, in a domain that may wait for a process ------------------------------------------------------------
// Who asks waits in the domain's row until its thread has done it; one that is killed leaves the order behind, which keeps the inode.

struct cache_order {
    struct list_node node;      // domain->asked, under domain->lock
    struct file_cache *cache;   // NULL: all of the domain
    uint64_t first, end, most;
    int error;
    bool done, left;            // under domain->served.lock: it was carried out; nobody waits for it any more
};

static int carry_out(struct cache_domain *domain, const struct cache_order *order) {
    struct file_cache *cache = order->cache;
    if (!cache) return write_files(domain, TIME_NEVER, UINT64_MAX);
    __atomic_fetch_add(&cache->visits, 1, __ATOMIC_RELAXED);
    int error = visit(cache, order->first, order->end, order->most);
    if (cache->ops->visit) cache->ops->mapped(cache, false);
    return error;
}

static void serve(struct cache_domain *domain, struct cache_order *order) {
    int error = carry_out(domain, order);
    spin_lock(&domain->served.lock);
    bool left = order->left;
    order->error = error;
    order->done = true;
    (void)wait_queue_wake_locked(&domain->served, UINT32_MAX, 0);
    spin_unlock(&domain->served.lock);
    if (left) kfree(order);
}

static void serve_orders(struct cache_domain *domain) {
    for (;;) {
        spin_lock(&domain->lock);
        struct cache_order *order = list_pop_front_entry(&domain->asked, struct cache_order, node);
        spin_unlock(&domain->lock);
        if (!order) return;
        serve(domain, order);
    }
}

static int ask(struct cache_domain *domain, const struct cache_order *what) {
    struct cache_order *order = kmalloc(sizeof *order);
    if (!order) return -ENOMEM;
    *order = *what;
    if (order->cache && order->cache->ops->visit) verify(order->cache->ops->visit(order->cache));  // the caller holds it
    spin_lock(&domain->lock);
    list_push_back(&domain->asked, &order->node);
    spin_unlock(&domain->lock);
    spin_lock(&domain->queue.lock);
    (void)wait_queue_wake_locked(&domain->queue, 1, 0);
    spin_unlock(&domain->queue.lock);
    for (int64_t result = 0;;) {
        spin_lock(&domain->served.lock);
        bool done = order->done, leaves = !done && result == -ECANCELED;
        int error = leaves ? -EINTR : order->error;
        if (leaves) order->left = true;
        if (done || leaves) {
            spin_unlock(&domain->served.lock);
            if (done) kfree(order);
            return error;
        }
        wait_queue_join_unlock(&domain->served, NULL, NULL);
        result = wait_block_killable(TIME_NEVER);
    }
}

int cache_ask_writeback(struct file_cache *cache, uint64_t first, uint64_t end, uint64_t most) {
    return ask(cache->domain, &(struct cache_order){.cache = cache, .first = first, .end = end, .most = most});
}

int cache_domain_sync(struct cache_domain *domain) {
    if (domain->limit_pages) return ask(domain, &(struct cache_order){.cache = NULL});
    return write_files(domain, TIME_NEVER, UINT64_MAX);
}

// ---- the thread ------------------------------------------------------------------------------------------------------------

void cache_domain_kick(struct cache_domain *domain) {
    __atomic_store_n(&domain->kicked, true, __ATOMIC_RELEASE);
    spin_lock(&domain->queue.lock);
    (void)wait_queue_wake_locked(&domain->queue, 1, 0);
    spin_unlock(&domain->queue.lock);
}

void cache_kick_all(void) {
    if (!spin_trylock(&domains_lock)) return;
    list_for_each_entry(domain, &domains, struct cache_domain, node) {
        __atomic_store_n(&domain->kicked, true, __ATOMIC_RELEASE);
        if (!spin_trylock(&domain->queue.lock)) continue;
        (void)wait_queue_wake_locked(&domain->queue, 1, 0);
        spin_unlock(&domain->queue.lock);
    }
    spin_unlock(&domains_lock);
}

void cache_domain_start(struct cache_domain *domain) { cache_domain_kick(domain); }

static bool has_files(struct cache_domain *domain) {
    spin_lock(&domain->lock);
    bool some = !list_is_empty(&domain->files);
    spin_unlock(&domain->lock);
    return some;
}

static bool has_orders(struct cache_domain *domain) {
    spin_lock(&domain->lock);
    bool some = !list_is_empty(&domain->asked);
    spin_unlock(&domain->lock);
    return some;
}

// Waits for the timer or a kick. False: the domain ends.
static bool thread_wait(struct cache_domain *domain) {
    spin_lock(&domain->queue.lock);
    if (!domain->stop && has_files(domain)) arm_locked(domain, arch_now() + TICK_NANOS);
    if (domain->stop || __atomic_load_n(&domain->kicked, __ATOMIC_ACQUIRE) || has_orders(domain)) {
        spin_unlock(&domain->queue.lock);
    } else {
        wait_queue_join_always_unlock(&domain->queue);
        wait_block_always();
    }
    return !__atomic_load_n(&domain->stop, __ATOMIC_ACQUIRE);
}

static void thread_run(void *arg) {
    struct cache_domain *domain = arg;
    sched_thread_begin();
    while (thread_wait(domain)) {
        bool kicked = __atomic_exchange_n(&domain->kicked, false, __ATOMIC_ACQ_REL);
        serve_orders(domain);
        nanos_t now = arch_now();
        // Errors wait in the files for their next sync.
        (void)write_files(domain, kicked ? TIME_NEVER : now > AGE_NANOS ? now - AGE_NANOS : 0, VISIT_PAGES);
    }
    spin_lock(&domain->queue.lock);
    domain->stopped = true;
    (void)wait_queue_wake_locked(&domain->queue, UINT32_MAX, 0);
    spin_unlock(&domain->queue.lock);
}

// ---- life --------------------------------------------------------------------------------------------------------------------

int cache_domain_create(const char *name, struct block_device *device, uint64_t limit_pages, struct cache_domain **out) {
    struct cache_domain *domain = kzalloc(sizeof(*domain));
    uint32_t capacity = device ? MIN(device->max_vectors, (uint32_t)SPARE_VECTORS) : 0;
    struct cache_io *spare = kzalloc(sizeof(*spare) + capacity * sizeof(spare->vectors[0]));
    if (!domain || !spare) goto fail;
    spare->capacity = capacity;
    domain->name = name;
    domain->device = device;
    domain->limit_pages = limit_pages;
    domain->spare = spare;
    spin_init(&domain->lock, "cache domain");
    list_init(&domain->files);
    wait_queue_init(&domain->queue, "write-back thread");
    wait_queue_init(&domain->served, "write-back orders");
    list_init(&domain->asked);
    mutex_init(&domain->spare_lock, "spare request");
    ktimer_init(&domain->timer, tick);
    domain->thread = sched_kthread_create(name, thread_run, domain);
    if (!domain->thread) goto fail;
    spin_lock(&domains_lock);
    list_push_back(&domains, &domain->node);
    spin_unlock(&domains_lock);
    *out = domain;
    return 0;
fail:
    kfree(spare);
    kfree(domain);
    return -ENOMEM;
}

static void domain_free(struct rcu_head *head) { kfree(container_of(head, struct cache_domain, rcu)); }

void cache_domain_destroy(struct cache_domain *domain) {
    for (bool gone = false; !gone;) {
        spin_lock(&domains_lock);
        gone = domain->users == 0;
        if (gone) list_remove(&domain->node);
        spin_unlock(&domains_lock);
        if (!gone) sched_yield();
    }
    spin_lock(&domain->queue.lock);
    domain->stop = true;
    (void)wait_queue_wake_locked(&domain->queue, UINT32_MAX, 0);
    while (!domain->stopped) {
        wait_queue_join_always_unlock(&domain->queue);
        wait_block_always();
        spin_lock(&domain->queue.lock);
    }
    spin_unlock(&domain->queue.lock);
    (void)ktimer_cancel(&domain->timer);
    verify(list_is_empty(&domain->files));
    kfree(domain->spare);
    rcu_call(&domain->rcu, domain_free);  // the timer may fire right now, on another CPU
}

// Domains with a limit of their own may wait for a process (FUSE): they are only told.
int page_cache_sync_all(void) {
    int first_error = 0;
    struct cache_domain *domain = NULL;
    spin_lock(&domains_lock);
    for (struct list_node *node = list_first(&domains); node; node = list_next(&domains, &domain->node)) {
        domain = list_entry(node, struct cache_domain, node);
        domain->users++;
        spin_unlock(&domains_lock);
        int error = 0;
        if (domain->limit_pages == 0) error = cache_domain_sync(domain);
        else cache_domain_kick(domain);
        if (!first_error) first_error = error;
        spin_lock(&domains_lock);
        domain->users--;
    }
    spin_unlock(&domains_lock);
    return first_error;
}
