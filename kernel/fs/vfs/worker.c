// The VFS's kernel thread: inodes that leave memory, mounts that end, where the place of the last reference must not block.
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/fs/vfs/mount.h"
#include "kernel/fs/vfs/name.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"

#define RECLAIM_ITEMS 1024
#define FLUSH_PATIENCE 2000000000ull

static struct {
    struct wait_queue work;   // its lock guards all of this
    struct list inodes, dirty, mounts;
    struct list ending;       // file systems: tried again when `let_go`
    bool let_go;              // an inode of such a one was let go
    uint64_t given, done;     // how many; `done` is atomic
    bool pressure;            // memory is short; atomic
    struct wait_queue flush;  // who waits for `done`
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

static void look_again_locked(void) {
    worker.let_go = true;
    (void)wait_queue_wake_locked(&worker.work, 1, 0);
}

void vfs_worker_add_filesystem(struct filesystem *fs) {
    spin_lock(&worker.work.lock);
    list_push_back(&worker.ending, &fs->end_node);
    look_again_locked();
    spin_unlock(&worker.work.lock);
}

static void let_go(void) {
    spin_lock(&worker.work.lock);
    look_again_locked();
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
    __atomic_store_n(&worker.done, worker.done + 1, __ATOMIC_RELEASE);  // only this thread does
    spin_lock(&worker.flush.lock);
    (void)wait_queue_wake_locked(&worker.flush, UINT32_MAX, 0);
    spin_unlock(&worker.flush.lock);
    return true;
}

// Each file system that could not end gets another try, once an inode of one was let go since the last.
static void end_filesystems(void) {
    struct list still_used = LIST_INIT(still_used);
    spin_lock(&worker.work.lock);
    bool look = worker.let_go;
    worker.let_go = false;
    while (look) {
        struct filesystem *fs = list_pop_front_entry(&worker.ending, struct filesystem, end_node);
        if (fs == NULL) break;
        spin_unlock(&worker.work.lock);
        if (!filesystem_end(fs)) list_push_back(&still_used, &fs->end_node);
        (void)sched_preempt_point();
        spin_lock(&worker.work.lock);
    }
    for (struct list_node *node; (node = list_pop_front(&still_used)) != NULL;) list_push_back(&worker.ending, node);
    spin_unlock(&worker.work.lock);
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
        end_filesystems();
        if (__atomic_exchange_n(&worker.pressure, false, __ATOMIC_RELAXED)) {
            names_reclaim(RECLAIM_ITEMS);
            (void)inodes_reclaim(RECLAIM_ITEMS);
        }
        spin_lock(&worker.work.lock);
        bool idle = list_is_empty(&worker.inodes) && list_is_empty(&worker.dirty) && list_is_empty(&worker.mounts) &&
                    !worker.let_go;
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
    nanos_t deadline = arch_now() + FLUSH_PATIENCE;
    for (int64_t error = 0; error == 0;) {
        spin_lock(&worker.flush.lock);
        if (__atomic_load_n(&worker.done, __ATOMIC_ACQUIRE) >= until) {
            spin_unlock(&worker.flush.lock);
            return;
        }
        wait_queue_join_unlock(&worker.flush, NULL, NULL);
        error = wait_block(deadline);
    }
}

int vfs_worker_start(void) {
    wait_queue_init(&worker.work, "vfs worker");
    wait_queue_init(&worker.flush, "vfs flush");
    list_init(&worker.ending);
    list_init(&worker.inodes);
    list_init(&worker.dirty);
    list_init(&worker.mounts);
    inode_write_later = write_later;
    inode_let_go = let_go;
    page_reclaimer_register(&reclaimer);
    return sched_kthread_create("vfs", worker_run, NULL) != NULL ? 0 : -ENOMEM;
}
