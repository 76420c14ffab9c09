#include "user/liblinux/local.h"

#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/directory.h"
#include "user/liblinux/entry.h"

static const struct lx_local_mount *const mounts[] = {&lx_local_dev, &lx_local_proc, &lx_local_sys};

const struct lx_local_mount *lx_local_find(uint64_t key) {
    for (unsigned i = 0; i < ARRAY_SIZE(mounts); i++)
        if (mounts[i]->key == key) return mounts[i];
    return NULL;
}

const struct lx_local_mount *lx_local_of(char path[KPIO_PATH_MAX]) {
    for (unsigned i = 0; i < ARRAY_SIZE(mounts); i++) {
        size_t bytes = strlen(mounts[i]->point);
        if (memcmp(path, mounts[i]->point, bytes) != 0 || (path[bytes] != '/' && path[bytes] != 0)) continue;
        const char *below = path + bytes + (path[bytes] == '/');
        memmove(path, below, strlen(below) + 1);
        return mounts[i];
    }
    return NULL;
}

// ---- what the calls ask --------------------------------------------------------------------------------------------------

void lx_local_stat_begin(const struct lx_local_mount *mount, struct kpio_stat *out) {
    *out = (struct kpio_stat){.links = 1, .block_size = 4096, .fs = mount->key << 8, .mount = mount->key << 32};
}

// Why nothing is there: it is below something that is no directory, or not at all.
static int64_t missing(struct lx_thread *t, const struct lx_at *at, struct kpio_stat *out) {
    char parent[256];  // no longer one is there
    if (strlen(at->text) >= sizeof parent) return -ENOENT;
    memcpy(parent, at->text, strlen(at->text) + 1);
    for (size_t end = strlen(parent); end > 0; end--) {
        if (parent[end] != '/') continue;
        parent[end] = 0;
        if (at->mount->stat(t, parent, true, out) == 0) return (out->mode & LX_S_IFMT) == LX_S_IFDIR ? -ENOENT : -ENOTDIR;
    }
    return -ENOENT;
}

int64_t lx_local_stat(struct lx_thread *t, const struct lx_at *at, bool follow, struct kpio_stat *out) {
    if (at->mount == NULL || at->mount->stat == NULL) return -ENOENT;
    lx_local_stat_begin(at->mount, out);
    const int64_t error = at->mount->stat(t, at->text, follow, out);
    if (error == 0 && at->slash && (out->mode & LX_S_IFMT) != LX_S_IFDIR) return -ENOTDIR;
    return error == -ENOENT ? missing(t, at, out) : error;
}

int64_t lx_local_open(struct lx_thread *t, const struct lx_at *at, uint64_t flags, struct lx_fd *out) {
    struct kpio_stat stat;
    const uint32_t link = LX_S_IFLNK;
    int64_t error = lx_local_stat(t, at, !(flags & LX_O_NOFOLLOW), &stat);
    if (flags & LX_O_CREAT && at->slash) return -EISDIR;
    if (error == -ENOENT && flags & LX_O_CREAT) return -EROFS;
    if (error != 0) return error;
    bool directory = (stat.mode & LX_S_IFMT) == LX_S_IFDIR;
    if ((flags & (LX_O_CREAT | LX_O_EXCL)) == (LX_O_CREAT | LX_O_EXCL)) return -EEXIST;
    if (flags & LX_O_DIRECTORY && !directory) return -ENOTDIR;
    if ((stat.mode & LX_S_IFMT) == link && !(flags & LX_O_PATH)) return -ELOOP;
    if (!directory) return at->mount->open == NULL ? -ENOENT : at->mount->open(t, at->text, flags, out);
    bool writes = flags & (LX_O_CREAT | LX_O_TRUNC) || (flags & LX_O_ACCMODE) != 0;
    return writes ? -EISDIR : lx_local_open_directory(t, at, out);
}

int64_t lx_local_readlink(struct lx_thread *t, const struct lx_at *at, uint64_t buffer, uint64_t size) {
    char text[1024];
    struct kpio_stat stat;
    int64_t result = lx_local_stat(t, at, false, &stat);
    if (result != 0) return result;
    if (at->mount->readlink == NULL) return -EINVAL;
    result = at->mount->readlink(t, at->text, text, MIN(size, sizeof text));
    if (result < 0) return result;
    int64_t error = lx_copy_out(buffer, text, (uint64_t)result);
    return error != 0 ? error : result;
}

bool lx_local_next_part(const char *path, bool last, size_t *bytes, char *part) {
    size_t end = *bytes;
    if (path[end] == 0) return false;
    end++;
    while (path[end] != 0 && path[end] != '/') end++;
    if (path[end] == 0 && !last) return false;
    memcpy(part, path, end);
    part[end] = 0;
    *bytes = end;
    return true;
}

bool lx_local_has_link(struct lx_thread *t, const struct lx_at *at, bool last) {
    char part[KPIO_PATH_MAX], text[KPIO_PATH_MAX];
    if (at->mount->readlink == NULL) return false;
    for (size_t bytes = 0; lx_local_next_part(at->text, last, &bytes, part);) {
        // Those at the top of /proc are links to a path; what is below a process stands for something open.
        const bool magic = at->mount == &lx_local_proc && strchr(part, '/') != NULL;
        if ((magic || at->refuse == LX_AT_NO_LINKS) && at->mount->readlink(t, part, text, sizeof text) >= 0) return true;
    }
    return false;
}

int64_t lx_local_change(struct lx_thread *t, const struct lx_at *at) {
    struct kpio_stat stat;
    int64_t error = lx_local_stat(t, at, false, &stat);
    return error != 0 ? error : -EROFS;
}

int64_t lx_local_make(struct lx_thread *t, const struct lx_at *at) {
    struct kpio_stat stat;
    return lx_local_stat(t, at, false, &stat) == 0 ? -EEXIST : -EROFS;
}

// ---- open directories ------------------------------------------------------------------------------------------------------

static int64_t write_all(kpio_handle file, const void *data, uint64_t size, uint64_t offset) {
    int64_t done = kpio_file_write(file, data, size, (int64_t)offset, 0);
    return done < 0 ? done : (uint64_t)done == size ? 0 : -ENOSPC;
}

// "/proc/self" of a mount and what is below it.
static int64_t write_path(kpio_handle file, const struct lx_at *at) {
    size_t point = strlen(at->mount->point), bytes = strlen(at->text);
    if (point + 1 + bytes >= LX_LOCAL_HEAD) return -ENAMETOOLONG;
    int64_t error = write_all(file, at->mount->point, point + 1, 0);
    if (error != 0 || bytes == 0) return error;
    error = write_all(file, "/", 1, point);
    return error != 0 ? error : write_all(file, at->text, bytes + 1, point + 1);
}

static int64_t write_entry(kpio_handle file, uint64_t *end, uint64_t inode, uint8_t type, const char *name) {
    union {
        struct lx_dirent64 entry;
        char space[sizeof(struct lx_dirent64) + 256];
    } u;
    size_t length = strlen(name);
    uint64_t bytes = align_up(offsetof(struct lx_dirent64, name) + length + 1, 8);
    (void)lx_dirent_put(&u.entry, inode, (int64_t)(*end + bytes), type, name, length);
    int64_t error = write_all(file, &u, bytes, *end);
    *end += bytes;
    return error;
}

static int64_t write_entries(struct lx_thread *t, kpio_handle file, const struct lx_at *at) {
    char name[256];
    uint64_t end = LX_LOCAL_HEAD, inode, cursor = 0;
    uint8_t type;
    int64_t error = write_entry(file, &end, 1, LX_TYPE_DIRECTORY, ".");
    if (error == 0) error = write_entry(file, &end, 1, LX_TYPE_DIRECTORY, "..");
    while (error == 0) {
        error = at->mount->list(t, at->text, &cursor, name, &inode, &type);
        if (error == -ENOENT) return 0;
        if (error == 0) error = write_entry(file, &end, inode, type, name);
    }
    return error;
}

int64_t lx_local_open_directory(struct lx_thread *t, const struct lx_at *at, struct lx_fd *out) {
    const kpio_handle where = lx_process(t)->memory_fs;
    if (at->mount->list == NULL || where == KPIO_HANDLE_NONE) return -EACCES;
    int64_t opened = kpio_path_open(where, ".", KPIO_OPEN_TEMPORARY, 0600, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE);
    if (opened < 0) return opened;
    kpio_handle file = (kpio_handle)(uint32_t)opened;
    int64_t error = write_path(file, at);
    if (error == 0) error = write_entries(t, file, at);
    if (error == 0) error = kpio_file_seek(file, LX_LOCAL_HEAD, KPIO_SEEK_SET) < 0 ? -EIO : 0;
    if (error != 0) {
        (void)kpio_handle_close((uint64_t)file);
        return error;
    }
    *out = (struct lx_fd){.handle = file, .kind = LX_KIND_LOCAL, .device = LX_TYPE_DIRECTORY};
    return 0;
}

int64_t lx_local_path(const struct lx_fd *fd, char out[KPIO_PATH_MAX]) {
    int64_t got = kpio_file_read(fd->handle, out, LX_LOCAL_HEAD, 0);
    if (got < 0) return got;
    return got > 0 && strnlen(out, (size_t)got) < (size_t)got ? 0 : -EIO;
}

// Whole records only: what was read beyond them is given back.
int64_t lx_local_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size) {
    char *records = (char *)t->block->message;
    int64_t got = kpio_file_read(fd->handle, records, MIN(size, (uint64_t)KPIO_MESSAGE_MAX), KPIO_OFFSET_CURRENT);
    if (got <= 0) return got;
    uint64_t used = 0;
    const uint64_t head = offsetof(struct lx_dirent64, name);
    while (used + head < (uint64_t)got) {
        uint64_t bytes = ((const struct lx_dirent64 *)(records + used))->reclen;
        if (bytes < head || used + bytes > (uint64_t)got) break;
        used += bytes;
    }
    if (used < (uint64_t)got) (void)kpio_file_seek(fd->handle, (int64_t)used - got, KPIO_SEEK_CURRENT);
    if (used == 0) return -EINVAL;
    int64_t error = lx_copy_out(buffer, records, used);
    return error != 0 ? error : (int64_t)used;
}
