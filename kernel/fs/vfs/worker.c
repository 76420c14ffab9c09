// The VFS's kernel thread: inodes that leave memory, mounts that end, where the place of the last reference must not block.
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/fs/vfs/mount.h"
#include "kernel/fs/vfs/name.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"

#define RECLAIM_ITEMS 1024

static struct {
    struct wait_queue work;   // its lock guards all of this
    struct list inodes, dirty, mounts;
    uint64_t given, done;     // how many
    bool pressure;            // memory is short; atomic
} worker;

static void wake_locked(void) {
    worker.given++;
    (void)wait_queue_wake_locked(&worker.work, 1, 0);
}

void inode_put_later(struct inode *inode) {
    if (!inode_drop(inode)) return;
    spin_lock(&worker.work.lock);
    list_push_back(&worker.inodes, &inode->lru);
    wake_locked();
    spin_unlock(&worker.work.lock);
}

static void write_later(struct inode *inode) {
    spin_lock(&worker.work.lock);
    list_push_back(&worker.dirty, &inode->lru);
    wake_locked();
    spin_unlock(&worker.work.lock);
}

void vfs_worker_add_mount(struct mount *m) {
    spin_lock(&worker.work.lock);
    list_push_back(&worker.mounts, &m->node);
    wake_locked();
    spin_unlock(&worker.work.lock);
}

static void mount_free(struct rcu_head *head) { kfree(container_of(head, struct mount, rcu)); }

static void mount_end(struct mount *m) {
    struct mount *parent = m->parent;
    if (m->root != NULL) inode_put(m->root);
    if (m->point != NULL) inode_put(m->point);
    if (m->fs != NULL) filesystem_put(m->fs);
    rcu_call(&m->rcu, mount_free);
    if (parent != NULL) mount_put(parent);
}

bool vfs_worker_help(void) {
    spin_lock(&worker.work.lock);
    struct inode *inode = list_pop_front_entry(&worker.inodes, struct inode, lru);
    spin_unlock(&worker.work.lock);
    if (inode == NULL) return false;
    inode_leave(inode);
    spin_lock(&worker.work.lock);
    worker.done++;
    spin_unlock(&worker.work.lock);
    return true;
}

// Inodes first: a file system ends after the last of them.
static bool work_once(void) {
    spin_lock(&worker.work.lock);
    struct inode *inode = list_pop_front_entry(&worker.inodes, struct inode, lru);
    struct inode *dirty = inode == NULL ? list_pop_front_entry(&worker.dirty, struct inode, lru) : NULL;
    struct mount *m = inode == NULL && dirty == NULL ? list_pop_front_entry(&worker.mounts, struct mount, node) : NULL;
    spin_unlock(&worker.work.lock);
    if (inode != NULL) inode_leave(inode);
    if (dirty != NULL) inode_write_and_put(dirty);
    if (m != NULL) mount_end(m);
    if (inode == NULL && dirty == NULL && m == NULL) return false;
    spin_lock(&worker.work.lock);
    worker.done++;
    spin_unlock(&worker.work.lock);
    return true;
}

// In the middle of somebody's allocation, with whatever locks: only asks the thread, and for now gives nothing.
static size_t ask(size_t wanted) {
    __atomic_store_n(&worker.pressure, true, __ATOMIC_RELAXED);
    if (spin_trylock(&worker.work.lock)) {
        (void)wait_queue_wake_locked(&worker.work, 1, 0);
        spin_unlock(&worker.work.lock);
    }
    return 0;
}
static struct page_reclaimer reclaimer = {.reclaim = ask};

static void worker_run(void *arg) {
    for (;;) {
        while (work_once()) (void)sched_preempt_point();
        if (__atomic_exchange_n(&worker.pressure, false, __ATOMIC_RELAXED)) {
            names_reclaim(RECLAIM_ITEMS);
            (void)inodes_reclaim(RECLAIM_ITEMS);
        }
        spin_lock(&worker.work.lock);
        bool idle = list_is_empty(&worker.inodes) && list_is_empty(&worker.dirty) && list_is_empty(&worker.mounts);
        if (!idle) {
            spin_unlock(&worker.work.lock);
            continue;
        }
        wait_queue_join_always_unlock(&worker.work);
        wait_block_always();
    }
}

void vfs_worker_flush(void) {
    spin_lock(&worker.work.lock);
    uint64_t until = worker.given;
    spin_unlock(&worker.work.lock);
    while (__atomic_load_n(&worker.done, __ATOMIC_RELAXED) < until) sched_sleep_until(arch_now() + 100000);
}

int vfs_worker_start(void) {
    wait_queue_init(&worker.work, "vfs worker");
    list_init(&worker.inodes);
    list_init(&worker.dirty);
    list_init(&worker.mounts);
    inode_write_later = write_later;
    page_reclaimer_register(&reclaimer);
    return sched_kthread_create("vfs", worker_run, NULL) != NULL ? 0 : -ENOMEM;
}
