// Mounting and unmounting.
#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/fs/vfs/mount.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"
#include "lib/text.h"

#define FUSE_MAGIC 0x65735546u
#define DIRTY_SHARE 32u           // of the memory, and
#define DIRTY_PAGES_MOST 16384u   // at most, may be dirty in a mount
#define DIRTY_PAGES_LEAST 64u
#define TIMEOUT_MOST 3600u         // s
#define RETRY_NANOS 20000000ull
#define DRAIN_TRIES 100u          // for what nobody waits for to reach the driver, at unmounting

static const struct fs_type fuse_type = {.name = "fuse", .no_device = true};

const struct inode_ops fuse_inode_ops = {
    .create = fuse_create,
    .link = fuse_link,
    .unlink = fuse_unlink,
    .rename = fuse_rename,
    .read_directory = fuse_read_directory,
    .read_link = fuse_read_link,
    .change = fuse_change,
    .resize = fuse_resize,
    .allocate = fuse_allocate,
    .sync = fuse_sync,
    .xattr_get = fuse_xattr_get,
    .xattr_set = fuse_xattr_set,
    .xattr_remove = fuse_xattr_remove,
    .xattr_list = fuse_xattr_list,
    .find = fuse_find,
    .was_free = fuse_was_free,
    .revalidate = fuse_revalidate,
    .open = fuse_open,
    .release = fuse_release,
    .read = fuse_read,
    .write = fuse_write,
    .written = fuse_written,
    .seek = fuse_seek,
    .lock = fuse_lock,
    .lock_gone = fuse_lock_gone,
    .poll = fuse_poll,
    .poll_signals = fuse_poll_signals,
    .control = fuse_control,
    .copy = fuse_copy,
};

// ---- the file system as a whole -----------------------------------------------------------------------------------------

static void statistics(struct filesystem *fs, struct fs_statistics *out) {
    struct fuse_statfs_out s = {0};
    const struct fuse_question q = {.opcode = FUSE_STATFS, .out = &s, .out_least = sizeof s, .out_most = sizeof s};
    if (fuse_ask(fuse_of(fs), &q) < 0) memset(&s, 0, sizeof s);
    *out = (struct fs_statistics){
        .block_size = s.frsize != 0 ? s.frsize : s.bsize != 0 ? s.bsize : PAGE_SIZE, .blocks = s.blocks, .blocks_free = s.bfree,
        .blocks_available = s.bavail, .inodes = s.files, .inodes_free = s.ffree,
        .name_max = s.namelen != 0 ? MIN(s.namelen, FS_NAME_MAX) : FS_NAME_MAX, .type_magic = FUSE_MAGIC,
    };
}

static void about(struct filesystem *fs, struct kpio_mount_info *out) {
    struct fuse_fs *f = fuse_of(fs);
    memcpy(out->source, f->source, sizeof out->source);
    memcpy(out->subtype, f->subtype, sizeof out->subtype);
    fuse_channel_info(f->channel, &out->fuse);
    for (uint32_t i = 0; i < cpu_count; i++) {
        out->fuse.reads += f->reads[i].all;
        out->fuse.reads_asked += f->reads[i].asked;
    }
}

static void abort(struct filesystem *fs) {
    fuse_connection_close(fuse_of(fs)->c);
    fuse_connection_lose(fuse_of(fs)->c, "a mount was given up");
}

static nanos_t name_until(struct inode *inode) { return fuse_node_of(inode)->name_until; }

static void free_fs(struct fuse_fs *f) {
    kfree(f->reads);
    kfree(f->spare);
    kfree(f);
}
static void fuse_free(struct rcu_head *head) { free_fs(container_of(head, struct fuse_fs, rcu)); }

// RELEASE and FORGET have nobody who waits for them; still a driver wants to know of them.
static void drain(struct fuse_connection *c) {
    for (unsigned i = 0; i < DRAIN_TRIES; i++) {
        spin_lock(&c->idle.lock);
        bool over = c->state != FUSE_READY || (list_is_empty(&c->queue) && c->forgets == NULL && c->counts.sent == 0);
        spin_unlock(&c->idle.lock);
        if (over) return;
        sched_sleep_until(arch_now() + RETRY_NANOS);
    }
}

static void leave_channel(struct fuse_fs *f) {
    struct fuse_channel *channel = f->channel;
    struct fuse_connection *c = f->c;
    for (bool used = true; used;) {
        spin_lock(&c->idle.lock);
        channel->fs = NULL;
        used = channel->fs_users != 0;
        spin_unlock(&c->idle.lock);
        if (used) sched_yield();
    }
}

static void unmount(struct filesystem *fs) {
    struct fuse_fs *f = fuse_of(fs);
    if (fs->domain != NULL) cache_domain_destroy(fs->domain);
    leave_channel(f);
    drain(f->c);
    fuse_connection_end(f->c);
    object_put(&f->channel->object);
    rcu_call(&f->rcu, fuse_free);
}

static void finish(struct filesystem *fs) {
    struct fuse_fs *f = fuse_of(fs);
    spin_lock(&f->finish.lock);
    f->finishing = true;
    (void)wait_queue_wake_locked(&f->finish, 1, 0);
    spin_unlock(&f->finish.lock);
}

// The mount's own thread, which waits for its end: nobody else is to wait for the driver then.
static void finish_run(void *arg) {
    struct fuse_fs *f = arg;
    sched_thread_begin();
    spin_lock(&f->finish.lock);
    if (!f->finishing) {
        wait_queue_join_always_unlock(&f->finish);
        wait_block_always();
        spin_lock(&f->finish.lock);
    }
    spin_unlock(&f->finish.lock);
    if (filesystem_finish(&f->fs)) return;
    // Something is still on its way out of memory.
    do sched_sleep_until(arch_now() + RETRY_NANOS);
    while (!filesystem_end(&f->fs));
}

static const struct fs_ops fuse_ops = {
    .alloc_inode = fuse_alloc_inode,
    .free_inode = fuse_free_inode,
    .read_inode = fuse_read_inode,
    .statistics = statistics,
    .unmount = unmount,
    .name_until = name_until,
    .finish = finish,
    .abort = abort,
    .about = about,
};

// ---- mounting -----------------------------------------------------------------------------------------------------------

struct options {
    uint64_t timeout, dirty_pages;  // ns
    bool stateless;
    char source[128], subtype[32];
};
_Static_assert(sizeof((struct kpio_mount_info *)NULL)->source == sizeof((struct options *)NULL)->source, "as it is told");

static bool set_text(char *to, size_t size, struct text from) {
    if (from.size >= size) return false;
    memcpy(to, from.data, from.size);
    to[from.size] = '\0';
    return true;
}

static bool set_option(struct options *o, struct text key, struct text value) {
    uint64_t number;
    if (text_equal(key, TEXT("timeout")) && text_to_u64(value, &number) && number > 0 && number <= TIMEOUT_MOST)
        o->timeout = number * 1000000000ull;
    else if (text_equal(key, TEXT("dirty")) && text_to_size(value, &number) && number >= DIRTY_PAGES_LEAST * PAGE_SIZE)
        o->dirty_pages = MIN(number >> PAGE_SHIFT, (uint64_t)DIRTY_PAGES_MOST);
    else if (text_equal(key, TEXT("source"))) return set_text(o->source, sizeof o->source, value);
    else if (text_equal(key, TEXT("subtype"))) return set_text(o->subtype, sizeof o->subtype, value);
    else if (text_equal(key, TEXT("stateless")) && value.size == 0) o->stateless = true;
    else return key.size == 0 && value.size == 0;
    return true;
}

static int read_options(struct options *o, const char *options) {
    for (struct text rest = text_of(options); rest.data != NULL && rest.size > 0;) {
        struct text value = text_split(&rest, ','), whole = value, key = text_split(&value, '=');
        if (set_option(o, key, value)) continue;
        log_warn("fuse: option \"%.*s\" is unknown or has no good value", TEXT_ARG(whole));
        return -EINVAL;
    }
    return 0;
}

static struct fuse_fs *make(struct fuse_channel *channel, unsigned flags, const struct options *o) {
    struct fuse_fs *f = kzalloc(sizeof *f);
    if (f == NULL) return NULL;
    filesystem_init(&f->fs, &fuse_type, &fuse_ops);
    f->fs.flags = flags;
    f->fs.block_size = PAGE_SIZE;
    f->fs.max_file_bytes = MIN(VMO_SIZE_MAX, (uint64_t)INT64_MAX & ~PAGE_MASK);
    f->fs.remote = true;
    f->fs.root = FUSE_ROOT;
    f->channel = channel;
    f->c = &channel->connection;
    spin_init(&f->lock, "fuse handles");
    for (unsigned i = 0; i < FUSE_POLLED_ROWS; i++) list_init(&f->polled[i]);
    wait_queue_init(&f->finish, "fuse end");
    memcpy(f->source, o->source, sizeof f->source);
    memcpy(f->subtype, o->subtype, sizeof f->subtype);
    f->reads = kzalloc(cpu_count * sizeof *f->reads);
    if (f->reads == NULL || cache_domain_create("fuse write-back", NULL, o->dirty_pages, &f->fs.domain) != 0) {
        free_fs(f);
        return NULL;
    }
    if (sched_kthread_create("fuse end", finish_run, f) == NULL) {
        cache_domain_destroy(f->fs.domain);
        free_fs(f);
        return NULL;
    }
    return f;
}

static bool claim(struct fuse_channel *channel) {
    bool mounted = false;
    return __atomic_compare_exchange_n(&channel->mounted, &mounted, true, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

int fuse_mount(struct fuse_channel *channel, unsigned flags, const char *options, struct filesystem **out) {
    struct page_stats memory;
    page_get_stats(&memory);
    struct options o = {.timeout = FUSE_TIMEOUT_DEFAULT};
    o.dirty_pages = MAX(MIN(memory.total / DIRTY_SHARE, (uint64_t)DIRTY_PAGES_MOST), (uint64_t)DIRTY_PAGES_LEAST);
    int error = read_options(&o, options);
    if (error != 0) return error;
    if (!claim(channel)) return -EALREADY;
    struct fuse_fs *f = make(channel, flags, &o);
    if (f == NULL) {
        __atomic_store_n(&channel->mounted, false, __ATOMIC_RELEASE);
        return -ENOMEM;
    }
    object_get(&channel->object);
    spin_lock(&f->c->idle.lock);
    channel->fs = f;
    f->c->timeout = o.timeout;
    f->c->stateless = o.stateless;
    spin_unlock(&f->c->idle.lock);
    *out = &f->fs;
    return 0;
}

void fuse_init(void) { fuse_channel_init(); }
