// links: kernel/fs/vfs/inode.c lib/fmt.c
#include "abi/gen/errors.h"
#include "kernel/fs/vfs/fs.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"
#include "tests/unit/unit.h"

static unsigned reads, evictions, writes, frees, live;
static int change_result;

static int change(struct inode *inode, const struct inode_change *what) {
    writes++;
    return change_result;
}
static void evict(struct inode *inode) { evictions++; }
static const struct inode_ops ops = {.change = change, .evict = evict};

static struct inode *alloc(struct filesystem *fs) {
    live++;
    return kzalloc(sizeof(struct inode));
}
static void free_inode(struct inode *inode) {
    frees++;
    live--;
    kfree(inode);
}
static int read_inode(struct inode *inode) {
    reads++;
    inode->ops = &ops;
    inode->mode = FS_DIRECTORY;
    return inode->number >= 1000 ? -ESTALE : 0;
}
static const struct fs_ops fs_ops = {.alloc_inode = alloc, .free_inode = free_inode, .read_inode = read_inode};
static const struct fs_type type = {.name = "test"};

static struct filesystem *fresh(void) {
    static struct filesystem fs[16];
    static unsigned used;
    struct filesystem *mine = &fs[used++];
    filesystem_init(mine, &type, &fs_ops);
    reads = evictions = writes = frees = 0;
    change_result = 0;
    inodes_set_limit(4096);
    return mine;
}

TEST(an_inode_is_read_once) {
    struct filesystem *fs = fresh();
    struct inode *a, *b;
    CHECK_EQ(inode_get(fs, 5, &a), 0);
    CHECK_EQ(inode_get(fs, 5, &b), 0);
    CHECK(a == b && a->refs == 2 && reads == 1);
    inode_put(a);
    inode_put(b);
    CHECK_EQ(inode_get(fs, 5, &b), 0);
    CHECK(a == b && reads == 1 && frees == 0);
    inode_put(b);
    CHECK_EQ(inodes_release(fs), 0);
    CHECK_EQ(live, 0);
}

TEST(two_file_systems_keep_apart) {
    struct filesystem *one = fresh(), *two = fresh();
    struct inode *a, *b;
    CHECK_EQ(inode_get(one, 5, &a), 0);
    CHECK_EQ(inode_get(two, 5, &b), 0);
    CHECK(a != b && a->fs == one && b->fs == two);
    inode_put(a);
    CHECK_EQ(inodes_release(two), -EBUSY);
    CHECK_EQ(inodes_release(one), 0);
    inode_put(b);
    CHECK_EQ(inodes_release(two), 0);
}

TEST(what_cannot_be_read_does_not_stay) {
    struct filesystem *fs = fresh();
    struct inode *a;
    CHECK_EQ(inode_get(fs, 1000, &a), -ESTALE);
    CHECK_EQ(inode_get(fs, 1000, &a), -ESTALE);
    CHECK(reads == 2 && frees == 2 && live == 0 && evictions == 0);
}

TEST(a_deleted_inode_is_evicted_with_its_last_reference) {
    struct filesystem *fs = fresh();
    struct inode *a;
    CHECK_EQ(inode_get(fs, 7, &a), 0);
    inode_hold(a);
    inode_mark_deleted(a);
    inode_put(a);
    CHECK_EQ(evictions, 0);
    inode_put(a);
    CHECK(evictions == 1 && frees == 1 && live == 0);
    CHECK_EQ(inode_get(fs, 7, &a), 0);  // the number may be used again
    CHECK_EQ(reads, 2);
    inode_put(a);
    CHECK_EQ(inodes_release(fs), 0);
}

TEST(the_longest_unused_goes_first) {
    struct filesystem *fs = fresh();
    struct inode *i;
    inodes_set_limit(10);
    for (uint64_t n = 0; n < 100; n++) {
        CHECK_EQ(inode_get(fs, n, &i), 0);
        inode_put(i);
    }
    CHECK(live <= 12 && fs->inodes == live);
    CHECK_EQ(inode_get(fs, 99, &i), 0);
    CHECK_EQ(reads, 100);
    inode_put(i);
    CHECK_EQ(inode_get(fs, 0, &i), 0);
    CHECK_EQ(reads, 101);
    inode_put(i);
    CHECK_EQ(inodes_release(fs), 0);
}

TEST(dirty_ones_are_written_before_they_go) {
    struct filesystem *fs = fresh();
    struct inode *i;
    CHECK_EQ(inode_get(fs, 3, &i), 0);
    inode_mark_dirty(i);
    inode_put(i);
    change_result = -EIO;
    CHECK_EQ(inodes_reclaim(1), 0);
    CHECK(writes >= 1 && live == 1);
    change_result = 0;
    CHECK_EQ(inodes_write(fs), 0);
    CHECK_EQ(inodes_reclaim(1), 1);
    CHECK_EQ(live, 0);
}

// No page is dirty while they are on their way to the disk, and the disk's inode does not tell of them yet.
TEST(one_whose_pages_are_being_written_stays) {
    static const struct file_cache_ops cache_ops;
    struct filesystem *fs = fresh();
    struct list written = LIST_INIT(written);
    struct inode *i;
    CHECK_EQ(inode_get(fs, 3, &i), 0);
    i->cache.ops = &cache_ops;
    list_push_back(&written, &i->cache.node);
    inode_put(i);
    CHECK_EQ(inodes_reclaim(1), 0);
    CHECK_EQ(live, 1);
    list_remove(&i->cache.node);
    CHECK_EQ(inodes_reclaim(1), 1);
    CHECK_EQ(live, 0);
}

TEST(all_dirty_inodes_are_written) {
    struct filesystem *fs = fresh();
    struct inode *i;
    for (uint64_t n = 0; n < 500; n++) {
        CHECK_EQ(inode_get(fs, n, &i), 0);
        if (n % 3 == 0) inode_mark_dirty(i);
        inode_put(i);
    }
    CHECK_EQ(inodes_write(fs), 0);
    CHECK_EQ(writes, 167);
    CHECK_EQ(inodes_write(fs), 0);
    CHECK_EQ(writes, 167);
    CHECK_EQ(inodes_release(fs), 0);
}

TEST(a_parent_goes_after_its_child) {
    struct filesystem *fs = fresh();
    struct inode *i, *previous = NULL;
    for (uint64_t n = 0; n < 300; n++) {
        CHECK_EQ(inode_get(fs, n, &i), 0);
        i->parent = previous != NULL ? previous : i;
        previous = i;
    }
    inode_put(previous);
    CHECK_EQ(inodes_reclaim(1), 1);
    CHECK_EQ(live, 299);
    CHECK_EQ(inodes_release(fs), 0);
    CHECK_EQ(live, 0);
}

TEST(damage_makes_read_only_and_is_told_once) {
    struct filesystem *fs = fresh();
    CHECK_EQ(fs_damaged(fs, "block %u", 77u), -EIO);
    CHECK_EQ(fs_damaged(fs, "another"), -EIO);
    CHECK(fs->flags & FS_MOUNT_READ_ONLY && strcmp(fs->damage, "block 77") == 0);
}
