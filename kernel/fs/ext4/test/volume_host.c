#include "kernel/fs/ext4/test/volume_host.h"

#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/core/random.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((weak)) bool sched_preempt_point(void) { return false; }
__attribute__((weak)) uint64_t random_u64(void) { return 0x243f6a8885a308d3; }
void log_write(enum log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (level <= LOG_WARN && getenv("EXT4_LOG") != NULL) vprintf(format, arguments), printf("\n");
    va_end(arguments);
}

// ---- the device ---------------------------------------------------------------------------------------------------------------

// Worse than forgetting: what is read there afterwards has never been written.
static int discard(struct volume_host *v, const struct block_request *r) {
    uint8_t junk[SECTOR_SIZE];
    memset(junk, 0xdd, sizeof junk);
    for (uint64_t i = 0; i < r->sectors; i++)
        if (pwrite(v->fd, junk, sizeof junk, (off_t)((r->sector + i) * SECTOR_SIZE)) != sizeof junk) return -EIO;
    v->discarded += r->sectors;
    return 0;
}

static int move(struct volume_host *v, struct block_request *r) {
    off_t at = (off_t)(r->sector * SECTOR_SIZE);
    v->requests++;
    if (v->fail_after != 0 && --v->fail_after == 0) {
        v->fail_after = !v->fail_once;
        return -EIO;
    }
    if (r->op == BLOCK_DISCARD) return v->fail_discards ? -EIO : discard(v, r);
    for (unsigned i = 0; i < r->vector_count && (r->op == BLOCK_READ || r->op == BLOCK_WRITE); i++) {
        struct block_vector *d = &r->vectors[i];
        ssize_t done = r->op == BLOCK_READ ? pread(v->fd, d->data, d->bytes, at) : pwrite(v->fd, d->data, d->bytes, at);
        if (done < 0) return -EIO;
        if (r->op == BLOCK_READ) memset((char *)d->data + done, 0, d->bytes - (size_t)done);
        at += d->bytes;
    }
    return 0;
}

static void submit(struct block_device *device, struct block_request *r) {
    r->error = move(container_of(device, struct volume_host, device), r);
    r->done(r);
}

// ---- images -------------------------------------------------------------------------------------------------------------------

int volume_host_run(struct volume_host *v, const char *format) {
    char command[1024];
    snprintf(command, sizeof command, format, v->image, v->image, v->image);
    int status = system(command);
    return status < 0 ? status : WEXITSTATUS(status);
}

static void open_image(struct volume_host *v) {
    static const struct block_ops ops = {.submit = submit};
    v->fd = open(v->image, O_RDWR);
    CHECK(v->fd >= 0);
    v->device = (struct block_device){.ops = &ops, .name = "host", .logical_block = 512, .physical_block = 4096, .max_vectors = 126,
                                      .max_sectors = 2048, .discards = true, .refs = 1};
    v->device.sectors = (uint64_t)lseek(v->fd, 0, SEEK_END) / SECTOR_SIZE;
}

void volume_host_make(struct volume_host *v, const char *arguments, const char *size) {
    char command[1024];
    const char *folder = getenv("TMPDIR");
    memset(v, 0, sizeof *v);
    snprintf(v->image, sizeof v->image, "%s/kpio-ext4-XXXXXX", folder != NULL ? folder : "/tmp");
    close(mkstemp(v->image));
    snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F %s %s %s", arguments, v->image, size);
    CHECK_EQ(system(command), 0);
    open_image(v);
}

void volume_host_open(struct volume_host *v, const char *image) {
    memset(v, 0, sizeof *v);
    snprintf(v->image, sizeof v->image, "%s", image);
    open_image(v);
}

void volume_host_remove(struct volume_host *v) {
    close(v->fd);
    unlink(v->image);
}

int volume_host_mount(struct volume_host *v, unsigned flags) {
    v->fail_after = 0;
    return ext4_type.mount(&v->device, flags, v->options != NULL ? v->options : "", &v->fs);
}

void volume_host_unmount(struct volume_host *v) {
    CHECK_EQ(inodes_release(v->fs), 0);
    v->fs->ops->unmount(v->fs);
    v->fs = NULL;
}

void volume_host_check(struct volume_host *v) {
    char command[512];
    char line[256];
    snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin e2fsck -fn %s 2>&1", v->image);
    FILE *out = popen(command, "r");
    bool told = false;
    char all[8192] = "";
    CHECK(out != NULL);
    while (fgets(line, sizeof line, out) != NULL) {
        if (strncmp(line, "Pass ", 5) != 0 && strstr(line, "files (") == NULL && strncmp(line, "e2fsck ", 7) != 0) told = true;
        strncat(all, line, sizeof all - strlen(all) - 1);
    }
    int status = pclose(out);
    if (status != 0 || told) {
        printf("%s", all);
        unit_fail(__FILE__, __LINE__, "e2fsck finds faults: status %d", status);
    }
}

// ---- paths --------------------------------------------------------------------------------------------------------------------

int host_find(struct volume_host *v, const char *path, struct inode **out) {
    struct inode *at;
    int error = inode_get(v->fs, v->fs->root, &at);
    while (error == 0 && *path != 0) {
        size_t bytes = strcspn(path, "/");
        uint64_t number = 0;
        if (bytes != 0) {
            error = at->ops->lookup == NULL ? -ENOTDIR : at->ops->lookup(at, path, bytes, &number);
            inode_put(at);
            if (error == 0) error = inode_get(v->fs, number, &at);
        }
        path += bytes + (path[bytes] == '/');
    }
    if (error == 0) *out = at;
    return error;
}

// The directory of a path, held, and its last name.
static int find_directory(struct volume_host *v, const char *path, struct inode **out, const char **name) {
    char head[4096];
    const char *slash = strrchr(path, '/');
    size_t bytes = slash != NULL ? (size_t)(slash - path) : 0;
    memcpy(head, path, bytes);
    head[bytes] = 0;
    *name = slash != NULL ? slash + 1 : path;
    return host_find(v, head, out);
}

int host_create(struct volume_host *v, const char *path, const struct inode_new *init) {
    struct inode *dir, *made;
    const char *name;
    int error = find_directory(v, path, &dir, &name);
    if (error != 0) return error;
    error = dir->ops->create(dir, name, strlen(name), init, &made);
    if (error == 0) inode_put(made);
    inode_put(dir);
    return error;
}

int host_mkdir(struct volume_host *v, const char *path) { return host_create(v, path, &(struct inode_new){.mode = FS_DIRECTORY | 0755}); }

int host_unlink(struct volume_host *v, const char *path) {
    struct inode *dir, *inode;
    const char *name;
    int error = find_directory(v, path, &dir, &name);
    if (error != 0) return error;
    error = host_find(v, path, &inode);
    if (error == 0) {
        error = dir->ops->unlink(dir, name, strlen(name), inode);
        inode_put(inode);
    }
    inode_put(dir);
    return error;
}

int host_link(struct volume_host *v, const char *from, const char *to) {
    struct inode *dir, *inode;
    const char *name;
    int error = host_find(v, from, &inode);
    if (error != 0) return error;
    error = find_directory(v, to, &dir, &name);
    if (error == 0) {
        error = dir->ops->link(dir, name, strlen(name), inode);
        inode_put(dir);
    }
    inode_put(inode);
    return error;
}

int host_rename(struct volume_host *v, const char *from, const char *to, unsigned flags) {
    struct inode *from_dir, *to_dir, *inode, *replaced = NULL;
    const char *from_name, *to_name;
    int error = host_find(v, from, &inode);
    if (error != 0) return error;
    CHECK_EQ(find_directory(v, from, &from_dir, &from_name), 0);
    error = find_directory(v, to, &to_dir, &to_name);
    if (error == 0) {
        if (host_find(v, to, &replaced) != 0) replaced = NULL;
        error = from_dir->ops->rename(from_dir, from_name, strlen(from_name), inode, to_dir, to_name, strlen(to_name), replaced, flags);
        if (replaced != NULL) inode_put(replaced);
        inode_put(to_dir);
    }
    inode_put(from_dir);
    inode_put(inode);
    return error;
}

// ---- data ---------------------------------------------------------------------------------------------------------------------

int cache_domain_create(const char *name, struct block_device *device, uint64_t limit_pages, struct cache_domain **out) {
    (void)name, (void)device, (void)limit_pages;
    *out = NULL;
    return 0;
}
void cache_domain_destroy(struct cache_domain *domain) { (void)domain; }
int file_cache_resize(struct file_cache *cache, uint64_t size) {
    cache->size = size;
    return 0;
}

int64_t host_read(struct volume_host *v, struct inode *inode, uint64_t offset, void *data, uint64_t bytes) {
    uint32_t block = v->fs->block_size;
    uint64_t done = 0;
    uint8_t *buffer = malloc(block);
    int error = 0;
    bytes = offset >= inode_size(inode) ? 0 : MIN(bytes, inode_size(inode) - offset);
    while (done < bytes && error == 0) {
        struct file_extent e;
        uint64_t at = offset + done, inside = at % block, piece = MIN(block - inside, bytes - done);
        error = inode->cache.ops->map(&inode->cache, at - inside, block, &e);
        if (error != 0) break;
        memset(buffer, 0, block);
        if (e.state == FILE_MAPPED) error = block_read(&v->device, e.sector, buffer, block);
        memcpy((uint8_t *)data + done, buffer + inside, piece);
        done += piece;
    }
    free(buffer);
    return error != 0 ? error : (int64_t)done;
}

#define MEMORY_TRIES 3  // as the page cache, which waits meanwhile

// One extent is filled: whole blocks, with what was there where the data do not reach.
static int write_extent(struct volume_host *v, struct inode *inode, const struct file_extent *e, uint64_t offset, const uint8_t *data,
                        uint64_t bytes) {
    uint8_t *whole = calloc(1, e->bytes);
    uint64_t start = MAX(offset, e->offset), end = MIN(offset + bytes, e->offset + e->bytes);
    int error = 0;
    if (!e->fresh && e->state == FILE_MAPPED) error = block_read(&v->device, e->sector, whole, e->bytes);
    if (error == 0 && start < end) memcpy(whole + (start - e->offset), data + (start - offset), end - start);
    if (error == 0) error = block_write(&v->device, e->sector, whole, e->bytes, 0);
    free(whole);
    int completed = inode->cache.ops->complete(&inode->cache, e, inode_size(inode), error);
    for (unsigned tries = 0; completed == -ENOMEM && tries < MEMORY_TRIES; tries++)
        completed = inode->cache.ops->complete(&inode->cache, e, inode_size(inode), error);
    if (completed == -ENOMEM) (void)inode->cache.ops->complete(&inode->cache, e, 0, -ENOMEM);
    return error != 0 ? error : completed;
}

int64_t host_write(struct volume_host *v, struct inode *inode, uint64_t offset, const void *data, uint64_t bytes) {
    const struct file_cache_ops *ops = inode->cache.ops;
    uint64_t from = align_down(offset, PAGE_SIZE), to = align_up(offset + bytes, PAGE_SIZE);
    int error = ops->reserve(&inode->cache, from, to - from);
    if (error != 0) return error;
    uint64_t before = inode->cache.size;
    inode->cache.size = MAX(before, offset + bytes);
    for (uint64_t at = from; at < to && error == 0;) {
        struct file_extent e;
        for (unsigned tries = 0; tries <= MEMORY_TRIES; tries++)
            if ((error = ops->prepare(&inode->cache, at, to - at, inode_size(inode), &e)) != -ENOMEM) break;
        if (error != 0) {
            ops->unreserve(&inode->cache, at, to - at);
            break;
        }
        CHECK(e.offset == at && e.bytes != 0 && e.bytes <= to - at && (e.state == FILE_HOLE) == (at >= inode_size(inode)));
        if (e.state != FILE_HOLE) error = write_extent(v, inode, &e, offset, data, bytes);
        at += e.bytes;
    }
    if (error != 0 && inode->cache.size > before) inode->cache.size = MAX(before, MIN(inode->cache.size, before));
    return error != 0 ? error : (int64_t)bytes;
}

static int zero_range(struct volume_host *v, struct inode *inode, uint64_t from, uint64_t to) {
    static const uint8_t zeros[65536];
    struct file_extent e;
    uint32_t block = v->fs->block_size;
    to = MIN(to, align_up(inode_size(inode), block));
    if (from >= to) return 0;
    int error = inode->cache.ops->map(&inode->cache, align_down(from, block), block, &e);
    if (error != 0 || e.state != FILE_MAPPED) return error;
    uint64_t size = inode->cache.size;
    inode->cache.size = MAX(size, to);
    int64_t written = host_write(v, inode, from, zeros, to - from);
    inode->cache.size = size;
    return MIN((int)written, 0);
}

int host_resize(struct volume_host *v, struct inode *inode, uint64_t size) {
    int error = 0;
    if (size < inode->cache.size) {
        error = zero_range(v, inode, size, align_up(size, v->fs->block_size));
        inode->cache.size = size;
    }
    if (error == 0) error = inode->ops->resize(inode, size);
    if (error == 0) inode->cache.size = size;
    return error;
}

int host_allocate(struct volume_host *v, struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags) {
    uint64_t block = v->fs->block_size, end = offset + bytes;
    if (flags & (FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_ZERO_RANGE)) {
        uint64_t first = align_up(offset, block), last = align_down(end, block);
        int error = first > last ? zero_range(v, inode, offset, end) : zero_range(v, inode, offset, first);
        if (error == 0 && first <= last) error = zero_range(v, inode, last, end);
        if (error != 0) return error;
    }
    return inode->ops->allocate(inode, offset, bytes, flags);
}
