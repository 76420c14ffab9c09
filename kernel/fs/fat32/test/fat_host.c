#include "kernel/fs/fat32/test/fat_host.h"

#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "tests/unit/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- what lies below ----------------------------------------------------------------------------------------------------------
#define weak __attribute__((weak))

// What the kernel says, on request.
void log_write(enum log_level level, const char *format, ...)
{
    va_list args;

    (void)level;
    if (getenv("FAT_LOG") == NULL)
        return;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}
weak bool sched_preempt_point(void) { return false; }
weak int cache_domain_create(const char *name, struct block_device *device, uint64_t limit_pages, struct cache_domain **out)
{
    (void)name, (void)device, (void)limit_pages;
    *out = NULL;
    return 0;
}
weak void cache_domain_destroy(struct cache_domain *domain) { (void)domain; }

// ---- the image --------------------------------------------------------------------------------------------------------------

int fat_host_run(struct fat_host *h, const char *command)
{
    char line[512];

    snprintf(line, sizeof line, command, h->path, h->path);
    strncat(line, " > /dev/null 2>&1", sizeof line - strlen(line) - 1);
    return system(line);
}

void fat_host_load(struct fat_host *h)
{
    FILE *file = fopen(h->path, "rb");

    if (file == NULL || fread(h->disk.data, 1, h->bytes, file) != h->bytes)
        abort();
    fclose(file);
}

void fat_host_store(struct fat_host *h)
{
    FILE *file = fopen(h->path, "wb");

    if (file == NULL || fwrite(h->disk.data, 1, h->bytes, file) != h->bytes)
        abort();
    fclose(file);
}

void fat_host_make(struct fat_host *h, unsigned mib, const char *options)
{
    char line[256];

    memset(h, 0, sizeof *h);
    h->bytes = (uint64_t)mib << 20;
    snprintf(h->path, sizeof h->path, "/tmp/kpio-fat-%d-XXXXXX", (int)getpid());
    close(mkstemp(h->path));
    if (truncate(h->path, (off_t)h->bytes) != 0)
        abort();
    snprintf(line, sizeof line, "PATH=$PATH:/usr/sbin:/sbin mkfs.fat -F 32 %s %%s", options);
    if (fat_host_run(h, line) != 0)
        unit_fail(__FILE__, __LINE__, "mkfs.fat %s", options);
    disk_host_create(&h->disk, h->bytes);
    fat_host_load(h);
}

int fat_host_mount(struct fat_host *h, unsigned flags)
{
    h->disk.device.claims = BLOCK_CLAIMED;
    h->disk.device.refs = 2;
    return fat32_type.mount(&h->disk.device, flags, "", &h->fs);
}

void fat_host_unmount(struct fat_host *h)
{
    CHECK_EQ(inodes_write(h->fs), 0);
    CHECK_EQ(inodes_release(h->fs), 0);
    h->fs->ops->unmount(h->fs);
    h->fs = NULL;
}

void fat_host_destroy(struct fat_host *h)
{
    if (h->fs != NULL)
        fat_host_unmount(h);
    unlink(h->path);
    disk_host_destroy(&h->disk);
}

int fat_host_check(struct fat_host *h)
{
    fat_host_store(h);
    // Its status does not tell of all that it says.
    return fat_host_run(h, "{ PATH=$PATH:/usr/sbin:/sbin; fsck.fat -n %s && ! fsck.fat -n %s | "
                           "grep -E 'differ|wrong|Reclaimed|uninit'; }");
}

// ---- names --------------------------------------------------------------------------------------------------------------------

// The directory that holds the last name of the path; *name is that.
static struct inode *walk(struct fat_host *h, const char *path, const char **name, int *error)
{
    struct inode *at, *next;

    *error = inode_get(h->fs, h->fs->root, &at);
    for (const char *slash; *error == 0 && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        uint64_t number;

        *error = at->ops->lookup(at, path, (size_t)(slash - path), &number);
        if (*error == 0)
            *error = inode_get(h->fs, number, &next);
        inode_put(at);
        at = next;
    }
    *name = path;
    return *error == 0 ? at : NULL;
}

struct inode *fat_host_find(struct fat_host *h, const char *path, int *error)
{
    const char *name;
    struct inode *dir = walk(h, path, &name, error), *found = NULL;
    uint64_t number;

    if (dir == NULL || *name == '\0')
        return dir;
    *error = dir->ops->lookup(dir, name, strlen(name), &number);
    if (*error == 0)
        *error = inode_get(h->fs, number, &found);
    inode_put(dir);
    return *error == 0 ? found : NULL;
}

struct inode *fat_host_create(struct fat_host *h, const char *path, uint32_t mode, int *error)
{
    const char *name;
    struct inode *dir = walk(h, path, &name, error), *made = NULL;
    struct inode_new init = {.mode = mode};

    if (dir == NULL)
        return NULL;
    *error = dir->ops->create(dir, name, strlen(name), &init, &made);
    inode_put(dir);
    return *error == 0 ? made : NULL;
}

int fat_host_unlink(struct fat_host *h, const char *path)
{
    const char *name;
    int error;
    struct inode *dir = walk(h, path, &name, &error), *inode;

    if (dir == NULL)
        return error;
    inode = fat_host_find(h, path, &error);
    if (inode != NULL) {
        error = dir->ops->unlink(dir, name, strlen(name), inode);
        inode_put(inode);
    }
    inode_put(dir);
    return error;
}

int fat_host_rename(struct fat_host *h, const char *from, const char *to)
{
    const char *from_name, *to_name;
    int error;
    struct inode *from_dir = walk(h, from, &from_name, &error);
    int to_error, found_error;
    struct inode *to_dir = walk(h, to, &to_name, &to_error);
    struct inode *inode = fat_host_find(h, from, &found_error), *replaced = NULL;

    if (error == 0)
        error = to_error != 0 ? to_error : found_error;
    if (error == 0)
        replaced = fat_host_find(h, to, &found_error);
    if (error == 0 && replaced == NULL && found_error != -ENOENT)
        error = found_error;
    if (error == 0)
        error = from_dir->ops->rename(from_dir, from_name, strlen(from_name), inode, to_dir, to_name, strlen(to_name), replaced, 0);
    if (replaced != NULL)
        inode_put(replaced);
    if (inode != NULL)
        inode_put(inode);
    if (to_dir != NULL)
        inode_put(to_dir);
    if (from_dir != NULL)
        inode_put(from_dir);
    return error;
}

struct listing {
    char *out;
    size_t room;
};

static bool list_one(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next)
{
    struct listing *l = context;

    (void)number, (void)type, (void)next;
    if (bytes + 2 > l->room)
        return false;
    memcpy(l->out, name, bytes);
    l->out += bytes;
    *l->out++ = '\n';
    l->room -= bytes + 1;
    *l->out = '\0';
    return true;
}

int fat_host_list(struct inode *dir, char *out, size_t room)
{
    struct listing l = {out, room};

    *out = '\0';
    return dir->ops->read_directory(dir, 0, list_one, &l);
}

// ---- data ---------------------------------------------------------------------------------------------------------------------

static uint8_t *pages_make(uint64_t bytes)
{
    uint8_t *pages = aligned_alloc(PAGE_SIZE, bytes);

    return memset(pages, 0, bytes);
}

int fat_host_read(struct inode *file, uint64_t offset, void *data, uint64_t bytes)
{
    uint64_t first = align_down(offset, PAGE_SIZE), end = align_up(offset + bytes, PAGE_SIZE);
    uint8_t *pages = pages_make(end - first);
    int error = 0;

    for (uint64_t at = first; at < end && error == 0;) {
        struct file_extent e;

        error = file->cache.ops->map(&file->cache, at, end - at, &e);
        if (error == 0 && (e.offset != at || e.bytes == 0 || e.bytes > end - at))
            unit_fail(__FILE__, __LINE__, "extent of %ld bytes at %ld for %ld", (long)e.bytes, (long)e.offset, (long)at);
        if (error == 0 && e.state == FILE_MAPPED)
            error = block_read(file->fs->device, e.sector, pages + (at - first), e.bytes);
        at += e.bytes;
    }
    memcpy(data, pages + (offset - first), bytes);
    free(pages);
    return error;
}

static int write_back(struct inode *file, uint64_t first, const uint8_t *pages, uint64_t bytes)
{
    const struct file_cache_ops *ops = file->cache.ops;
    int error = 0;

    for (uint64_t at = first; at < first + bytes && error == 0;) {
        struct file_extent e;

        error = ops->prepare(&file->cache, at, first + bytes - at, file->cache.size, &e);
        if (error != 0)
            break;
        if (e.offset != at || e.bytes == 0 || e.bytes > first + bytes - at)
            unit_fail(__FILE__, __LINE__, "extent of %ld bytes at %ld for %ld", (long)e.bytes, (long)e.offset, (long)at);
        if (e.state != FILE_HOLE) {
            error = block_write(file->fs->device, e.sector, pages + (at - first), e.bytes, 0);
            int told = ops->complete(&file->cache, &e, file->cache.size, error);
            error = error != 0 ? error : told;
        }
        at += e.bytes;
    }
    return error;
}

int fat_host_write(struct inode *file, uint64_t offset, const void *data, uint64_t bytes)
{
    uint64_t first = align_down(offset, PAGE_SIZE), end = align_up(offset + bytes, PAGE_SIZE);
    int error = file->cache.ops->reserve(&file->cache, first, end - first);
    uint8_t *pages;

    if (error != 0)
        return error;
    pages = pages_make(end - first);
    uint64_t there = file->cache.size > first ? file->cache.size - first : 0;
    error = there > 0 ? fat_host_read(file, first, pages, there < end - first ? there : end - first) : 0;
    memcpy(pages + (offset - first), data, bytes);
    if (offset + bytes > file->cache.size)
        file->cache.size = offset + bytes;
    if (error == 0)
        error = write_back(file, first, pages, end - first);
    free(pages);
    return error;
}

int fat_host_truncate(struct inode *file, uint64_t size)
{
    file->cache.size = size;
    return file->ops->resize(file, size);
}
