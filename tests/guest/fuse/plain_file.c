#include "tests/guest/fuse/fuse.h"

static int64_t look_up(const struct plain_file *file, const struct fuse_call *call) {
    struct fuse_entry_out *e = (struct fuse_entry_out *)call->reply;
    if (strcmp(call->body, "file") != 0) return file->is_so(call->body) ? -ENOENT : -EBUSY;
    *e = (struct fuse_entry_out){
        .nodeid = PLAIN_NODE, .attr = {.ino = PLAIN_NODE, .mode = 0100666, .nlink = 1, .size = file->size}};
    return sizeof *e;
}

int64_t plain_answer(const struct plain_file *file, const struct fuse_call *call) {
    struct fuse_attr_out *a = (struct fuse_attr_out *)call->reply;
    switch (call->header->opcode) {
    case FUSE_LOOKUP: return look_up(file, call);
    case FUSE_GETATTR:
        *a = (struct fuse_attr_out){.attr = {.ino = call->header->nodeid, .mode = 0040755, .nlink = 2}};
        if (call->header->nodeid == PLAIN_NODE) a->attr.mode = 0100666, a->attr.size = file->size;
        return sizeof *a;
    case FUSE_OPEN:
        *(struct fuse_open_out *)call->reply = (struct fuse_open_out){.fh = PLAIN_HANDLE, .open_flags = file->open_flags};
        return sizeof(struct fuse_open_out);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: return FUSE_REPLY_NONE;
    default: return PLAIN_NOT;
    }
}

int64_t ask_driver(const struct mounted *m, const char *what) {
    struct kpio_stat stat;
    return kpio_path_stat(m->root, what, 0, &stat);
}

void await_driver(const struct mounted *m, const char *what) {
    while (ask_driver(m, what) != -ENOENT) time_sleep_ms(1);
}

int64_t answer_late(struct fuse_driver *driver, uint64_t unique, int32_t error, const void *body, uint32_t bytes) {
    const struct fuse_out_header late = {(uint32_t)sizeof late + bytes, error, unique};
    const struct kpio_io_vector parts[] = {{(uint64_t)&late, sizeof late}, {(uint64_t)body, bytes}};
    return kpio_fuse_reply(driver->channel, parts, bytes != 0 ? 2 : 1);
}
