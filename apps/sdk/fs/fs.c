// Each request, as the function that answers it wants it. Sizes of requests are the kernel's: it is believed, the driver is not.
#include "apps/sdk/fs/fs.h"

#include "apps/sdk/fs/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_MOST (1u << 20)
#define REQUEST_BYTES (WRITE_MOST + 65536u + 4096u)
#define NO_ANSWER INT64_MIN
#define FIXED(r, type) ((struct type *)(void *)((r)->buffer))

static uint8_t request[REQUEST_BYTES + 1] __attribute__((aligned(16)));
static struct fs_reply answer;

struct call {
    struct fs *fs;
    const struct fuse_in_header *header;
    const void *body;   // behind the header
    uint32_t bytes;     // of it; a NUL follows
    struct fs_reply *reply;
};

// The result of a request: bytes of a fixed structure in the reply's buffer, -FS_E*, or NO_ANSWER.
typedef int64_t call_fn(const struct call *c);

static void set_times(const struct fs *fs, uint64_t *seconds, uint32_t *nanoseconds) {
    *seconds = fs->valid_ns / 1000000000;
    *nanoseconds = (uint32_t)(fs->valid_ns % 1000000000);
}

// ---- nodes ------------------------------------------------------------------------------------------------------------------------

void fs_entry_finish(const struct fs *fs, struct fuse_entry_out *out) {
    out->nodeid = out->attr.ino;
    out->generation = 0;
    set_times(fs, &out->entry_valid, &out->entry_valid_nsec);
    out->attr_valid = out->entry_valid;
    out->attr_valid_nsec = out->entry_valid_nsec;
}

static int64_t put_entry(const struct call *c, int32_t error) {
    struct fuse_entry_out *out = FIXED(c->reply, fuse_entry_out);
    if (error != 0) return error;
    fs_entry_finish(c->fs, out);
    return sizeof *out;
}

static struct fuse_attr *entry_attr(const struct call *c) { return &FIXED(c->reply, fuse_entry_out)->attr; }

static int64_t put_attributes(const struct call *c, int32_t error) {
    struct fuse_attr_out *out = FIXED(c->reply, fuse_attr_out);
    if (error != 0) return error;
    set_times(c->fs, &out->attr_valid, &out->attr_valid_nsec);
    out->dummy = 0;
    return sizeof *out;
}

static int64_t call_lookup(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    return o->lookup != NULL ? put_entry(c, o->lookup(c->fs, c->header->nodeid, c->body, entry_attr(c))) : -FS_ENOSYS;
}

static int64_t call_attributes(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    if (o->attributes == NULL) return -FS_ENOSYS;
    return put_attributes(c, o->attributes(c->fs, c->header->nodeid, &FIXED(c->reply, fuse_attr_out)->attr));
}

static int64_t call_change(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    if (o->change == NULL) return -FS_ENOSYS;
    return put_attributes(c, o->change(c->fs, c->header->nodeid, c->body, &FIXED(c->reply, fuse_attr_out)->attr));
}

static int64_t call_statistics(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    struct fuse_statfs_out *out = FIXED(c->reply, fuse_statfs_out);
    if (o->statistics == NULL) return -FS_ENOSYS;
    *out = (struct fuse_statfs_out){.bsize = 4096, .frsize = 4096, .namelen = 255};
    const int32_t error = o->statistics(c->fs, out);
    return error != 0 ? error : (int64_t)sizeof *out;
}

static void forget(struct fs *fs, uint64_t node, uint64_t count) {
    if (fs->operations->forget != NULL) fs->operations->forget(fs, node, count);
}

static int64_t call_forget(const struct call *c) {
    forget(c->fs, c->header->nodeid, ((const struct fuse_forget_in *)c->body)->nlookup);
    return NO_ANSWER;
}

static int64_t call_forget_many(const struct call *c) {
    const struct fuse_batch_forget_in *in = c->body;
    const struct fuse_forget_one *one = (const struct fuse_forget_one *)(in + 1);
    for (uint32_t i = 0; i < in->count; i++) forget(c->fs, one[i].nodeid, one[i].nlookup);
    return NO_ANSWER;
}

// ---- files ------------------------------------------------------------------------------------------------------------------------

static int64_t put_open(const struct call *c, uint64_t at) {
    const uint32_t flags = c->fs->direct ? FOPEN_DIRECT_IO : c->fs->single_writer ? FOPEN_KEEP_CACHE : 0;
    *(struct fuse_open_out *)(void *)(c->reply->buffer + at) = (struct fuse_open_out){.open_flags = flags};
    return (int64_t)(at + sizeof(struct fuse_open_out));
}

static int64_t call_open(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const int32_t error = o->open != NULL ? o->open(c->fs, c->header->nodeid, ((const struct fuse_open_in *)c->body)->flags) : 0;
    return error != 0 ? error : put_open(c, 0);
}

static int64_t call_open_directory(const struct call *c) { return put_open(c, 0); }

static int64_t call_read(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_read_in *in = c->body;
    if (o->read == NULL) return -FS_ENOSYS;
    c->reply->most = in->size;
    return o->read(c->fs, c->header->nodeid, in->offset, in->size, c->reply);
}

static int64_t call_write(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_write_in *in = c->body;
    if (o->write == NULL) return -FS_EROFS;
    const int64_t done = o->write(c->fs, c->header->nodeid, in->offset, (const uint8_t *)(in + 1), in->size);
    if (done < 0) return done;
    *FIXED(c->reply, fuse_write_out) = (struct fuse_write_out){.size = (uint32_t)done};
    return sizeof(struct fuse_write_out);
}

static int64_t call_sync(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    return o->sync != NULL ? o->sync(c->fs, c->header->nodeid) : 0;
}

static int64_t call_allocate(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_fallocate_in *in = c->body;
    return o->allocate != NULL ? o->allocate(c->fs, c->header->nodeid, in->mode, in->offset, in->length) : -FS_ENOSYS;
}

static int64_t call_seek(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_lseek_in *in = c->body;
    if (o->seek == NULL) return -FS_ENOSYS;
    const int64_t at = o->seek(c->fs, c->header->nodeid, in->offset, in->whence == 3);
    if (at < 0) return at;
    *FIXED(c->reply, fuse_lseek_out) = (struct fuse_lseek_out){(uint64_t)at};
    return sizeof(struct fuse_lseek_out);
}

static int64_t call_nothing(const struct call *c) { return 0; }

// ---- names ------------------------------------------------------------------------------------------------------------------------

static int64_t call_list(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_read_in *in = c->body;
    const bool plus = c->header->opcode == FUSE_READDIRPLUS;
    struct fs_list list = {.fs = c->fs, .dir = c->header->nodeid, .plus = plus, .at = c->reply->buffer,
                           .most = in->size < FS_ROOM ? in->size : FS_ROOM};
    if (o->list == NULL || (plus && o->lookup == NULL)) return -FS_ENOSYS;
    const int32_t error = o->list(c->fs, c->header->nodeid, in->offset, &list);
    return error != 0 ? error : (int64_t)list.used;
}

static int64_t call_read_link(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    return o->read_link != NULL ? o->read_link(c->fs, c->header->nodeid, c->reply) : -FS_ENOSYS;
}

static int64_t make(const struct call *c, const char *name, uint32_t mode, uint32_t rdev, const char *target) {
    const struct fs_operations *o = c->fs->operations;
    return o->make != NULL ? put_entry(c, o->make(c->fs, c->header->nodeid, name, mode, rdev, target, entry_attr(c))) : -FS_EROFS;
}

static int64_t call_make_node(const struct call *c) {
    const struct fuse_mknod_in *in = c->body;
    return make(c, (const char *)(in + 1), in->mode, in->rdev, NULL);
}

static int64_t call_make_directory(const struct call *c) {
    const struct fuse_mkdir_in *in = c->body;
    return make(c, (const char *)(in + 1), FS_DIRECTORY | (in->mode & 07777), 0, NULL);
}

static int64_t call_create(const struct call *c) {
    const struct fuse_create_in *in = c->body;
    const int64_t result = make(c, (const char *)(in + 1), FS_REGULAR | (in->mode & 07777), 0, NULL);
    return result < 0 ? result : put_open(c, (uint64_t)result);
}

static int64_t call_make_link(const struct call *c) {
    const char *name = c->body;
    return make(c, name, FS_SYMLINK | 0777, 0, name + strlen(name) + 1);
}

static int64_t call_link(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_link_in *in = c->body;
    if (o->link == NULL) return -FS_EROFS;
    return put_entry(c, o->link(c->fs, in->oldnodeid, c->header->nodeid, (const char *)(in + 1), entry_attr(c)));
}

static int64_t call_unlink(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    return o->unlink != NULL ? o->unlink(c->fs, c->header->nodeid, c->body, c->header->opcode == FUSE_RMDIR) : -FS_EROFS;
}

static int64_t rename_to(const struct call *c, const char *name, uint64_t to, uint32_t flags) {
    const struct fs_operations *o = c->fs->operations;
    return o->rename != NULL ? o->rename(c->fs, c->header->nodeid, name, to, name + strlen(name) + 1, flags) : -FS_EROFS;
}

static int64_t call_rename(const struct call *c) {
    const struct fuse_rename_in *in = c->body;
    return rename_to(c, (const char *)(in + 1), in->newdir, 0);
}

static int64_t call_rename2(const struct call *c) {
    const struct fuse_rename2_in *in = c->body;
    return rename_to(c, (const char *)(in + 1), in->newdir, in->flags);
}

// ---- extended attributes ----------------------------------------------------------------------------------------------------------

// All is in the reply: as it was asked for, or only how much it is.
static int64_t give(const struct call *c, uint32_t wanted, int32_t error) {
    if (error != 0) return error;
    if (wanted != 0) return c->reply->bytes <= wanted ? 0 : -FS_ERANGE;
    const struct fuse_getxattr_out out = {.size = c->reply->bytes};
    c->reply->count = 1;
    c->reply->bytes = c->reply->used = 0;
    c->reply->parts[0].bytes = sizeof(struct fuse_out_header);
    *FIXED(c->reply, fuse_getxattr_out) = out;
    return sizeof out;
}

static int64_t call_get_extended(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_getxattr_in *in = c->body;
    return o->get_extended != NULL ? give(c, in->size, o->get_extended(c->fs, c->header->nodeid, (const char *)(in + 1), c->reply))
                                   : -FS_ENOSYS;
}

static int64_t call_list_extended(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_getxattr_in *in = c->body;
    return o->list_extended != NULL ? give(c, in->size, o->list_extended(c->fs, c->header->nodeid, c->reply)) : -FS_ENOSYS;
}

static int64_t call_set_extended(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    const struct fuse_setxattr_in *in = c->body;
    const char *name = (const char *)(in + 1);
    const uint8_t *value = (const uint8_t *)name + strlen(name) + 1;
    return o->set_extended != NULL ? o->set_extended(c->fs, c->header->nodeid, name, value, in->size, in->flags) : -FS_ENOSYS;
}

static int64_t call_remove_extended(const struct call *c) {
    const struct fs_operations *o = c->fs->operations;
    return o->remove_extended != NULL ? o->remove_extended(c->fs, c->header->nodeid, c->body) : -FS_ENOSYS;
}

// ---- the loop ---------------------------------------------------------------------------------------------------------------------

static int64_t call_init(const struct call *c) {
    const struct fuse_init_in *in = c->body;
    if (in->major != FUSE_MAJOR) return -FS_EIO;
    *FIXED(c->reply, fuse_init_out) = (struct fuse_init_out){
        .major = FUSE_MAJOR, .minor = FUSE_MINOR, .max_readahead = in->max_readahead, .flags = in->flags & (c->fs->flags | FUSE_MAX_PAGES),
        .max_write = WRITE_MOST, .time_gran = 1, .max_pages = WRITE_MOST / 4096};
    return sizeof(struct fuse_init_out);
}

static int64_t call_interrupt(const struct call *c) { return NO_ANSWER; }

static call_fn *const calls[] = {
    [FUSE_LOOKUP] = call_lookup, [FUSE_FORGET] = call_forget, [FUSE_GETATTR] = call_attributes, [FUSE_SETATTR] = call_change,
    [FUSE_READLINK] = call_read_link, [FUSE_SYMLINK] = call_make_link, [FUSE_MKNOD] = call_make_node, [FUSE_MKDIR] = call_make_directory,
    [FUSE_UNLINK] = call_unlink, [FUSE_RMDIR] = call_unlink, [FUSE_RENAME] = call_rename, [FUSE_LINK] = call_link, [FUSE_OPEN] = call_open,
    [FUSE_READ] = call_read, [FUSE_WRITE] = call_write, [FUSE_STATFS] = call_statistics, [FUSE_RELEASE] = call_nothing,
    [FUSE_FSYNC] = call_sync, [FUSE_SETXATTR] = call_set_extended, [FUSE_GETXATTR] = call_get_extended,
    [FUSE_LISTXATTR] = call_list_extended, [FUSE_REMOVEXATTR] = call_remove_extended, [FUSE_FLUSH] = call_nothing, [FUSE_INIT] = call_init,
    [FUSE_OPENDIR] = call_open_directory, [FUSE_READDIR] = call_list, [FUSE_READDIRPLUS] = call_list,
    [FUSE_RELEASEDIR] = call_nothing, [FUSE_FSYNCDIR] = call_sync,
    [FUSE_CREATE] = call_create, [FUSE_INTERRUPT] = call_interrupt, [FUSE_DESTROY] = call_nothing,
    [FUSE_BATCH_FORGET] = call_forget_many, [FUSE_FALLOCATE] = call_allocate, [FUSE_RENAME2] = call_rename2, [FUSE_LSEEK] = call_seek,
};

// The reply's parts, 0: there is none.
static uint32_t answer_request(struct fs *fs, uint32_t bytes) {
    const struct fuse_in_header *h = (const struct fuse_in_header *)(const void *)request;
    const struct call c = {.fs = fs, .header = h, .body = h + 1, .bytes = bytes - (uint32_t)sizeof *h, .reply = &answer};
    request[bytes] = 0;
    answer.used = answer.bytes = 0;
    answer.most = FS_ROOM;
    answer.count = 1;
    answer.parts[0] = (struct fs_part){&answer.header, sizeof answer.header};
    call_fn *call = h->opcode < sizeof calls / sizeof calls[0] ? calls[h->opcode] : NULL;
    const int64_t result = call != NULL ? call(&c) : -FS_ENOSYS;
    if (result == NO_ANSWER) return 0;
    const uint32_t fixed = result > 0 ? (uint32_t)result : 0;
    if (result < 0) answer.count = 1;
    if (result != 0) answer.parts[0].bytes = (uint32_t)sizeof answer.header + fixed;  // an error or a structure: no data goes with it
    answer.header.len = (uint32_t)sizeof answer.header + (result == 0 ? answer.bytes : fixed);
    answer.header.error = result < 0 ? (int32_t)result : 0;
    answer.header.unique = h->unique;
    return answer.count;
}

static void take_word(struct fs *fs, const char *word) {
    const char *equals = strchr(word, '=');
    const size_t bytes = equals != NULL ? (size_t)(equals - word) : 0;
    const unsigned long value = equals != NULL ? strtoul(equals + 1, NULL, 10) : 0;
    if (bytes == 8 && memcmp(word, "valid_ms", 8) == 0) fs->valid_ns = (uint64_t)value * 1000000;
    if (bytes == 6 && memcmp(word, "direct", 6) == 0) fs->direct = value != 0;
    if (bytes == 4 && memcmp(word, "plus", 4) == 0 && value != 0) fs->flags |= FUSE_DO_READDIRPLUS;
    if (bytes == 9 && memcmp(word, "writeback", 9) == 0 && value != 0) fs->flags |= FUSE_WRITEBACK_CACHE;
}

int fs_run(struct fs *fs, int argc, char **argv) {
    enum { INTERRUPTED = -4, WRONG = -22, UNMOUNTED = -FS_ENOTCONN };
    uint32_t count = 0;
    int32_t n;
    for (int i = 1; i < argc; i++) take_word(fs, argv[i]);
    for (;;) {
        n = fs_receive(answer.parts, count, request, REQUEST_BYTES);
        if (n >= (int32_t)sizeof(struct fuse_in_header)) count = answer_request(fs, (uint32_t)n);
        else if (n == INTERRUPTED || (n == WRONG && count != 0)) count = 0;  // a reply that was none has been told to who waited
        else break;
    }
    if (n == UNMOUNTED) return 0;
    fprintf(stderr, "the channel: error %d\n", n);
    return 1;
}
