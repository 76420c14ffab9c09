// Directories and extended attributes.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/fs/vfs/name.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define LIST_BYTES 8192u     // of one READDIR
#define LISTS_MAX 100u      // answers without an entry that is wanted, in one call

// Places in a directory are shown as offsets, the last two of which are the VFS's (for "." and ".."). Linux file systems call the end
// of a directory INT64_MAX: that is shown as the highest place that can be.
#define PLACE_MOST ((uint64_t)INT64_MAX - 2)
static bool place_is_good(uint64_t place) { return place < PLACE_MOST || place == INT64_MAX; }
static uint64_t place_shown(uint64_t place) { return place == INT64_MAX ? PLACE_MOST : place; }
static uint64_t place_asked(uint64_t cookie) { return cookie == PLACE_MOST ? INT64_MAX : cookie; }

// ---- the handle that a directory is read through: one, kept between calls ---------------------------------------------------

static struct fuse_handle *take_reading(struct fuse_node *dir) { return fuse_handle_take(dir, &dir->reading); }

static void put_reading(struct fuse_node *dir, struct fuse_handle *h) {
    struct fuse_fs *f = fuse_of_node(dir);
    if (h == NULL) return;
    spin_lock(&f->lock);
    bool keep = dir->reading == NULL;
    if (keep) dir->reading = h;
    spin_unlock(&f->lock);
    if (!keep) fuse_handle_put(h);
}

// From the start it is read anew; also where the one that is kept is an earlier driver's. *out NULL: the driver needs none.
static int begin_reading(struct fuse_node *dir, uint64_t cookie, struct fuse_handle **out) {
    struct fuse_handle *h = take_reading(dir);
    struct fuse_connection *c = fuse_of_node(dir)->c;
    bool good = h != NULL && cookie != 0 && (h->epoch == c->epoch || c->stateless);
    *out = good ? h : NULL;
    if (good) return 0;
    fuse_handle_put(h);
    int error = fuse_open_directory(dir, out);
    return error == -ENOSYS ? 0 : error;
}

// ---- entries ------------------------------------------------------------------------------------------------------------

struct listing {
    struct fuse_node *dir;
    fs_emit *emit;
    void *context;
    uint64_t cookie;
    bool full, any;
};

// What came with an entry is kept for who asks for it next. Its lookup counts, whatever becomes of it.
static void keep(struct fuse_node *dir, const struct fuse_listed *l) {
    struct component c = {.text = l->name, .bytes = l->bytes, .hash = NAME_HASH_START};
    struct fuse_forget *forget = fuse_forget_take(fuse_of_node(dir));
    struct inode *inode;
    if (forget == NULL || fuse_node_get(dir, &l->entry, forget, true, &inode) != 0) return;
    for (uint32_t i = 0; i < c.bytes; i++) c.hash = name_hash_add(c.hash, c.text[i]);
    // A directory is entered by who walks into it, which looks whether it may lie here.
    if (FS_TYPE(inode->mode) != FS_DIRECTORY) name_enter_until(&dir->inode, &c, inode, fuse_node_of(inode)->name_until);
    inode_put(inode);
}

static int show(struct listing *list, const struct fuse_listed *l) {
    if (!place_is_good(l->next)) return -EIO;
    if (fuse_listed_is_dot(l)) {
        list->cookie = place_shown(l->next);
        return 0;
    }
    if (!fuse_name_is_good(l->name, l->bytes)) return -EIO;
    if (!list->full) list->full = !list->emit(list->context, l->name, l->bytes, l->number, l->type << 12, place_shown(l->next));
    if (list->full) return 0;
    list->any = true;
    list->cookie = place_shown(l->next);
    return 0;
}

static int show_all(struct listing *list, const uint8_t *answer, uint32_t bytes, bool plus) {
    struct fuse_entries entries = {answer, bytes, plus};
    struct fuse_listed l;
    int more, error = 0;
    while ((more = fuse_entries_next(&entries, &l)) == 1) {
        if (error == 0) error = show(list, &l);
        if (l.entry.nodeid != 0 && !fuse_listed_is_dot(&l) && fuse_name_is_good(l.name, l.bytes)) keep(list->dir, &l);
    }
    return error != 0 ? error : more;
}

// Bytes of the next entries.
static int64_t ask_entries(struct fuse_node *dir, struct fuse_handle *h, uint64_t cookie, uint8_t *answer, bool *plus) {
    struct fuse_fs *f = fuse_of_node(dir);
    struct fuse_read_in in = {.fh = fuse_handle_number(h), .offset = place_asked(cookie), .size = LIST_BYTES};
    *plus = fuse_wants(f, FUSE_DO_READDIRPLUS) && !fuse_is_missing(f, FUSE_READDIRPLUS);
    struct fuse_question q = {
        .opcode = *plus ? FUSE_READDIRPLUS : FUSE_READDIR, .node = dir, .handle = h, .in = &in, .in_bytes = sizeof in,
        .out = answer, .out_most = LIST_BYTES};
    int64_t bytes = fuse_ask(f, &q);
    if (bytes != -ENOSYS || !*plus) return bytes;
    *plus = false;
    q.opcode = FUSE_READDIR;
    return fuse_ask(f, &q);
}

int fuse_read_directory(struct inode *inode, uint64_t cookie, fs_emit *emit, void *context) {
    struct listing list = {.dir = fuse_node_of(inode), .emit = emit, .context = context, .cookie = cookie};
    struct fuse_handle *h = NULL;
    int error = fuse_check_node(list.dir);
    uint8_t *answer = error == 0 ? kmalloc(LIST_BYTES) : NULL;
    if (answer == NULL) return error != 0 ? error : -ENOMEM;
    error = begin_reading(list.dir, cookie, &h);
    for (unsigned tries = 0; error == 0 && !list.full; tries = list.any ? 0 : tries + 1) {
        bool plus;
        list.any = false;
        int64_t bytes = tries < LISTS_MAX ? ask_entries(list.dir, h, list.cookie, answer, &plus) : -EIO;
        if (bytes <= 0) {
            error = (int)bytes;
            break;
        }
        error = show_all(&list, answer, (uint32_t)bytes, plus);
    }
    put_reading(list.dir, h);
    kfree(answer);
    return error == -ENOSYS ? -EOPNOTSUPP : error;
}

// ---- extended attributes --------------------------------------------------------------------------------------------------

static int shown(int64_t error) { return error == -ENOSYS ? -EOPNOTSUPP : (int)error; }

// name NULL: the list.
static int64_t ask_xattr(struct inode *inode, const char *name, void *value, size_t size) {
    struct fuse_getxattr_in in = {.size = (uint32_t)size};
    struct fuse_getxattr_out length;
    const struct fuse_question q = {
        .opcode = name != NULL ? FUSE_GETXATTR : FUSE_LISTXATTR, .node = fuse_node_of(inode), .in = &in, .in_bytes = sizeof in,
        .name = {name}, .name_bytes = {name != NULL ? strlen(name) : 0}, .out = size == 0 ? &length : value,
        .out_least = size == 0 ? sizeof length : 0, .out_most = size == 0 ? sizeof length : (uint32_t)size};
    int error = fuse_check_node(fuse_node_of(inode));
    int64_t bytes = error == 0 ? fuse_ask(fuse_of(inode->fs), &q) : error;
    if (bytes < 0) return shown(bytes);
    return size == 0 ? length.size : bytes;
}

int64_t fuse_xattr_get(struct inode *inode, const char *name, void *value, size_t size) { return ask_xattr(inode, name, value, size); }

// Names must end where they say: who reads the list goes by the NULs.
int64_t fuse_xattr_list(struct inode *inode, char *list, size_t size) {
    int64_t bytes = ask_xattr(inode, NULL, list, size);
    return bytes > 0 && size != 0 && list[bytes - 1] != '\0' ? -EIO : bytes;
}

int fuse_xattr_set(struct inode *inode, const char *name, const void *value, size_t size, unsigned flags) {
    struct fuse_setxattr_in in = {.size = (uint32_t)size, .flags = flags & (FS_XATTR_CREATE | FS_XATTR_REPLACE)};
    const struct fuse_question q = {
        .opcode = FUSE_SETXATTR, .node = fuse_node_of(inode), .in = &in, .in_bytes = sizeof in,
        .name = {name}, .name_bytes = {strlen(name)}, .data = value, .data_bytes = size};
    int error = fuse_check_node(fuse_node_of(inode));
    if (error == 0) error = shown(fuse_ask(fuse_of(inode->fs), &q));
    fuse_expire(inode);
    return error;
}

int fuse_xattr_remove(struct inode *inode, const char *name) {
    const struct fuse_question q = {.opcode = FUSE_REMOVEXATTR, .node = fuse_node_of(inode), .name = {name}, .name_bytes = {strlen(name)}};
    int error = fuse_check_node(fuse_node_of(inode));
    if (error == 0) error = shown(fuse_ask(fuse_of(inode->fs), &q));
    fuse_expire(inode);
    return error;
}
