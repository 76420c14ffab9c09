#include "tests/guest/fuse/flawed.h"

#include <stdbool.h>
#include <stddef.h>

#define strcmp __builtin_strcmp
#define memset __builtin_memset
#define memcpy __builtin_memcpy
enum { NO_ENTRY = 2, NO_CALL = 38, IS_REMOTE = 66 };

#define FILE_NODE 7u
#define DIR_NODE 8u

// ---- a driver of one file and one directory, with one flaw ------------------------------------------------------------------

static const char *flaw;
static bool has_flaw(const char *name) { return strcmp(flaw, name) == 0; }

static void attr_of(uint64_t node, struct fuse_attr *a) {
    *a = (struct fuse_attr){.ino = node, .mode = node == FILE_NODE ? 0100644 : 0040755, .nlink = 1, .size = node == FILE_NODE ? 100 : 0};
    if (has_flaw("huge_size")) a->size = UINT64_MAX;
    if (has_flaw("no_type")) a->mode = 0644;
    if (has_flaw("bad_time")) a->mtimensec = 1000000000;
}

static int64_t lookup(const struct flawed_call *call) {
    struct fuse_entry_out *e = (struct fuse_entry_out *)(void *)call->reply;
    uint64_t node = strcmp(call->body, "file") == 0 ? FILE_NODE : strcmp(call->body, "dir") == 0 ? DIR_NODE : 0;
    if (node == 0) return -NO_ENTRY;
    if (has_flaw("hangs")) return FLAWED_HANGS;
    *e = (struct fuse_entry_out){.nodeid = node};
    attr_of(node, &e->attr);
    if (has_flaw("root_below")) e->nodeid = FUSE_ROOT;
    if (has_flaw("itself") && call->header->nodeid == DIR_NODE) e->nodeid = DIR_NODE;
    if (has_flaw("short_entry")) return sizeof *e - 1;
    if (has_flaw("long_entry")) return sizeof *e + 1;
    if (has_flaw("odd_error")) return -5000;
    if (has_flaw("remote_error")) return -IS_REMOTE;
    return sizeof *e;
}

static int64_t listing(const struct flawed_call *call) {
    const struct fuse_read_in *in = call->body;
    const char *name = has_flaw("slash") ? "a/b" : has_flaw("nul") ? "a\0b" : has_flaw("endless") ? "." : "abc";
    struct fuse_dirent *d = (struct fuse_dirent *)(void *)call->reply;
    if (in->offset != 0 && !has_flaw("endless")) return 0;
    memset(d, 0, 32);
    *d = (struct fuse_dirent){.ino = 9, .off = 1, .namelen = has_flaw("endless") ? 1 : 3, .type = 8};
    if (has_flaw("name_length")) d->namelen = 4000;
    memcpy(d + 1, name, d->namelen == 1 ? 1 : 3);
    return 32;
}

int64_t flawed_answer(const char *flaw_name, const struct flawed_call *call) {
    struct fuse_attr_out *a = (struct fuse_attr_out *)(void *)call->reply;
    flaw = flaw_name;
    switch (call->header->opcode) {
    case FUSE_LOOKUP: return lookup(call);
    case FUSE_GETATTR:
        *a = (struct fuse_attr_out){0};
        attr_of(call->header->nodeid, &a->attr);
        if (has_flaw("other_type") && call->header->nodeid == FILE_NODE) a->attr.mode = 0040755;
        return sizeof *a;
    case FUSE_OPEN:
    case FUSE_OPENDIR: *(struct fuse_open_out *)(void *)call->reply = (struct fuse_open_out){.fh = 1}; return sizeof(struct fuse_open_out);
    case FUSE_READ:
        if (has_flaw("too_much")) return 8192;
        memset(call->reply, 'x', 100);
        return 100;
    case FUSE_WRITE:
        *(struct fuse_write_out *)(void *)call->reply = (struct fuse_write_out){.size = has_flaw("wrote_more") ? 1u << 30 : 0};
        return sizeof(struct fuse_write_out);
    case FUSE_READDIR: return listing(call);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: return FLAWED_SILENT;
    default: return -NO_CALL;
    }
}

// ---- others ---------------------------------------------------------------------------------------------------------------------

int64_t one_file_answer(const struct flawed_call *call) {
    struct fuse_entry_out *e = (struct fuse_entry_out *)(void *)call->reply;
    struct fuse_attr_out *a = (struct fuse_attr_out *)(void *)call->reply;
    const struct fuse_attr file = {.ino = 2, .mode = 0100444, .nlink = 1, .size = 1u << 20}, root = {.ino = 1, .mode = 0040755, .nlink = 2};
    switch (call->header->opcode) {
    case FUSE_LOOKUP:
        if (strcmp(call->body, "file") != 0) return -NO_ENTRY;
        *e = (struct fuse_entry_out){.nodeid = 2, .attr = file};
        return sizeof *e;
    case FUSE_GETATTR: *a = (struct fuse_attr_out){.attr = call->header->nodeid == 2 ? file : root}; return sizeof *a;
    case FUSE_OPEN:
        *(struct fuse_open_out *)(void *)call->reply = (struct fuse_open_out){.open_flags = FOPEN_DIRECT_IO};
        return sizeof(struct fuse_open_out);
    case FUSE_READ: {
        const struct fuse_read_in *in = call->body;
        for (uint32_t i = 0; i < in->size; i++) call->reply[i] = (uint8_t)((in->offset + i) * 7 >> 3);
        return in->size;
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: return FLAWED_SILENT;
    default: return -NO_CALL;
    }
}

int64_t no_writes_answer(const struct flawed_call *call) {
    struct fuse_entry_out *e = (struct fuse_entry_out *)(void *)call->reply;
    struct fuse_attr_out *a = (struct fuse_attr_out *)(void *)call->reply;
    const struct fuse_attr file = {.ino = 2, .mode = 0100666, .nlink = 1}, root = {.ino = 1, .mode = 0040755, .nlink = 2};
    switch (call->header->opcode) {
    case FUSE_LOOKUP:
        *e = (struct fuse_entry_out){.nodeid = 2, .entry_valid = 1000, .attr_valid = 1000, .attr = file};
        return strcmp(call->body, "file") == 0 ? (int64_t)sizeof *e : -NO_ENTRY;
    case FUSE_GETATTR: *a = (struct fuse_attr_out){.attr = call->header->nodeid == 2 ? file : root, .attr_valid = 1000}; return sizeof *a;
    case FUSE_OPEN: *(struct fuse_open_out *)(void *)call->reply = (struct fuse_open_out){0}; return sizeof(struct fuse_open_out);
    case FUSE_WRITE: return FLAWED_HANGS;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: return FLAWED_SILENT;
    default: return -NO_CALL;
    }
}
