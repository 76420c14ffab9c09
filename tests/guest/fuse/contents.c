// Contents that do not go the usual way: what a driver puts into the page cache (STORE) or has back of it (RETRIEVE), and what it copies
// by itself (COPY_FILE_RANGE).
#include "lib/util.h"
#include "tests/guest/fuse/fuse.h"

#define BYTES 65536u
#define PAGE 4096u
#define ASKED_AS 777u              // the driver's number for what it wants back

static uint8_t data[BYTES];
static unsigned reads, writes, copies, copied, retrieved;
static enum { COPIES, LIES_IN_COPYING, COPIES_NOT } mode;

static int64_t notice(struct fuse_driver *d, int32_t what, const void *body, uint32_t bytes, const void *more, uint32_t more_bytes) {
    const struct fuse_out_header h = {(uint32_t)sizeof h + bytes + more_bytes, what, 0};
    const struct kpio_io_vector parts[] = {{(uint64_t)&h, sizeof h}, {(uint64_t)body, bytes}, {(uint64_t)more, more_bytes}};
    return kpio_fuse_reply(d->channel, parts, more_bytes != 0 ? 3 : 2);
}

static int64_t store(struct fuse_driver *d, uint64_t node, uint64_t offset, uint32_t bytes, uint8_t value) {
    static uint8_t fresh[BYTES];
    const struct fuse_notify_store_out out = {.nodeid = node, .offset = offset, .size = bytes};
    memset(fresh, value, bytes);
    return notice(d, FUSE_NOTIFY_STORE, &out, sizeof out, fresh, bytes);
}

static int64_t store_wrongly(struct fuse_driver *d) {
    const struct fuse_notify_store_out out = {.nodeid = PLAIN_NODE, .size = 100};
    const struct fuse_notify_store_out far = {.nodeid = PLAIN_NODE, .offset = UINT64_MAX, .size = 1};
    if (notice(d, FUSE_NOTIFY_STORE, &out, sizeof out, data, 99) != -EINVAL) return -EEXIST;
    if (notice(d, FUSE_NOTIFY_STORE, &out, sizeof out - 1, NULL, 0) != -EINVAL) return -EEXIST;
    if (notice(d, FUSE_NOTIFY_STORE, &far, sizeof far, data, 1) != -EINVAL) return -EEXIST;
    return store(d, FUSE_ROOT, 0, 10, 0) == -ENOENT && store(d, 99, 0, 10, 0) == -ENOENT ? -ENOENT : -EEXIST;
}

static int64_t retrieve(struct fuse_driver *d, uint64_t node) {
    const struct fuse_notify_retrieve_out out = {.notify_unique = ASKED_AS, .nodeid = node, .offset = 100, .size = BYTES};
    return notice(d, FUSE_NOTIFY_RETRIEVE, &out, sizeof out, NULL, 0);
}

static bool is_so(const char *what) {
    if (strcmp(what, "none read") == 0) return reads == 0;
    if (strcmp(what, "none written") == 0) return writes == 0;
    if (strcmp(what, "copied") == 0) return copies == 1 && copied == PAGE;
    if (strcmp(what, "retrieved") == 0) return retrieved == 2 * PAGE - 100;
    return strcmp(what, "nothing retrieved") == 0 && retrieved == 1;
}

// What is done by looking it up.
static int64_t do_named(struct fuse_driver *d, const char *what) {
    if (strcmp(what, "store") == 0) return store(d, PLAIN_NODE, 0, 2 * PAGE, 'S') == 0 ? -ENOENT : -EEXIST;
    if (strcmp(what, "store a piece") == 0) return store(d, PLAIN_NODE, PAGE - 8, 16, 'P') == 0 ? -ENOENT : -EEXIST;
    if (strcmp(what, "store a lone piece") == 0) return store(d, PLAIN_NODE, 3 * PAGE + 8, 16, 'L') == 0 ? -ENOENT : -EEXIST;
    if (strcmp(what, "store the end") == 0) return store(d, PLAIN_NODE, BYTES - PAGE, 2 * PAGE, 'E') == 0 ? -ENOENT : -EEXIST;
    if (strcmp(what, "store wrongly") == 0) return store_wrongly(d);
    if (strcmp(what, "retrieve") == 0) return retrieve(d, PLAIN_NODE) == 0 ? -ENOENT : -EEXIST;
    if (strcmp(what, "retrieve wrongly") == 0) return retrieve(d, FUSE_ROOT) == -ENOENT ? -ENOENT : -EEXIST;
    mode = strcmp(what, "lie") == 0 ? LIES_IN_COPYING : strcmp(what, "copy nothing") == 0 ? COPIES_NOT : mode;
    return 0;
}

// Two pages of 'S', with a piece of 'P' from 4,088 to 4,103: from the 100th byte on.
static void note_retrieved(const struct fuse_call *call) {
    const struct fuse_notify_retrieve_in *in = call->body;
    const uint8_t *got = (const uint8_t *)(in + 1);
    bool good = call->header->unique == ASKED_AS && call->header->nodeid == PLAIN_NODE && in->offset == 100;
    good &= in->size == call->bytes - sizeof *in;
    for (uint32_t i = 0; good && i < in->size; i++) good = got[i] == (i + 100 >= PAGE - 8 && i + 100 < PAGE + 8 ? 'P' : 'S');
    retrieved = good ? MAX(in->size, 1u) : 0;
}

static int64_t read_data(const struct fuse_call *call) {
    const struct fuse_read_in *in = call->body;
    uint32_t bytes = in->offset < BYTES ? (uint32_t)MIN((uint64_t)in->size, BYTES - in->offset) : 0;
    reads++;
    memcpy(call->reply, data + (in->offset < BYTES ? in->offset : 0), bytes);
    return bytes;
}

static int64_t write_data(const struct fuse_call *call) {
    const struct fuse_write_in *in = call->body;
    if (in->offset + in->size > BYTES) return -ENOSPC;
    writes++;
    memcpy(data + in->offset, in + 1, in->size);
    *(struct fuse_write_out *)call->reply = (struct fuse_write_out){.size = in->size};
    return sizeof(struct fuse_write_out);
}

static int64_t copy_data(const struct fuse_call *call) {
    const struct fuse_copy_file_range_in *in = call->body;
    if (mode == COPIES_NOT) return -ENOSYS;
    if (in->nodeid_out != PLAIN_NODE || in->fh_in != PLAIN_HANDLE || in->fh_out != PLAIN_HANDLE || in->flags != 0) return -EIO;
    if (in->off_out + in->len > BYTES) return -ENOSPC;
    copies++;
    copied += (unsigned)in->len;
    memmove(data + in->off_out, data + in->off_in, in->len);
    *(struct fuse_write_out *)call->reply = (struct fuse_write_out){.size = (uint32_t)in->len + (mode == LIES_IN_COPYING)};
    return sizeof(struct fuse_write_out);
}

static int64_t keeps(struct fuse_driver *d, const struct fuse_call *call) {
    static const struct plain_file file = {.size = BYTES, .open_flags = FOPEN_KEEP_CACHE, .is_so = is_so};
    int64_t result = call->header->opcode == FUSE_LOOKUP ? do_named(d, call->body) : 0;
    if (result != 0) return result;
    result = plain_answer(&file, call);
    if (result != PLAIN_NOT) return result;
    switch (call->header->opcode) {
    case FUSE_READ: return read_data(call);
    case FUSE_WRITE: return write_data(call);
    case FUSE_COPY_FILE_RANGE: return copy_data(call);
    case FUSE_NOTIFY_REPLY: note_retrieved(call); return FUSE_REPLY_NONE;
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_RELEASE: return 0;
    default: return -ENOSYS;
    }
}

KT_CHILD(keeps_contents) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = keeps};
    for (unsigned i = 0; i < BYTES; i++) data[i] = (uint8_t)('a' + i / PAGE);
    (void)fuse_run(&d);
    return 0;
}

static uint8_t buffer[BYTES];

static bool reads_as(kpio_handle file, uint64_t offset, unsigned bytes, uint8_t value) {
    KT_EQUAL(kpio_file_read(file, buffer, bytes, (int64_t)offset), bytes);
    for (unsigned i = 0; i < bytes; i++)
        if (buffer[i] != value) return false;
    return true;
}

KT_TEST(a_driver_puts_contents_into_the_cache) {
    struct mounted m;
    mounted_begin_native(&m, "keeps_contents", NULL);
    kpio_handle file = open_file(m.root, "file", 0, RW);
    KT_ERROR(ask_driver(&m, "retrieve"), ENOENT);
    await_driver(&m, "nothing retrieved");
    KT_ERROR(ask_driver(&m, "store"), ENOENT);
    KT_CHECK(reads_as(file, 0, 2 * PAGE, 'S'));
    KT_ERROR(ask_driver(&m, "store a piece"), ENOENT);
    KT_CHECK(reads_as(file, PAGE - 8, 16, 'P') && reads_as(file, PAGE + 8, 16, 'S') && reads_as(file, 0, PAGE - 8, 'S'));
    KT_ERROR(ask_driver(&m, "store the end"), ENOENT);
    KT_CHECK(reads_as(file, BYTES - PAGE, PAGE, 'E'));
    KT_EQUAL(kpio_file_read(file, buffer, PAGE, BYTES), 0);  // the size is what it was
    KT_ERROR(ask_driver(&m, "none read"), ENOENT);
    KT_ERROR(ask_driver(&m, "retrieve"), ENOENT);
    await_driver(&m, "retrieved");
    KT_ERROR(ask_driver(&m, "store a lone piece"), ENOENT);  // of a page that is not there
    KT_CHECK(reads_as(file, 3 * PAGE, PAGE, 'a' + 3));
    KT_ERROR(ask_driver(&m, "store wrongly"), ENOENT);
    KT_ERROR(ask_driver(&m, "retrieve wrongly"), ENOENT);
    kt_close(file);
    mounted_end(&m);
}

KT_TEST(a_driver_copies_by_itself) {
    struct mounted m;
    mounted_begin_native(&m, "keeps_contents", NULL);
    kpio_handle a = open_file(m.root, "file", 0, RW), b = open_file(m.root, "file", 0, RW);
    KT_CHECK(reads_as(b, 8 * PAGE, PAGE, 'a' + 8));
    memset(buffer, 'W', 10);
    KT_EQUAL(kpio_file_write(a, buffer, 10, PAGE, 0), 10);
    KT_EQUAL(kpio_file_copy(a, PAGE, b, 8 * PAGE, PAGE), PAGE);
    KT_ERROR(ask_driver(&m, "copied"), ENOENT);
    KT_CHECK(reads_as(b, 8 * PAGE, 10, 'W') && reads_as(b, 8 * PAGE + 10, PAGE - 10, 'a' + 1));
    KT_ERROR(kpio_file_copy(a, 0, b, 100, PAGE), EINVAL);
    KT_ERROR(ask_driver(&m, "lie"), EBUSY);
    KT_ERROR(kpio_file_copy(a, 0, b, 8 * PAGE, PAGE), EIO);
    KT_ERROR(ask_driver(&m, "copy nothing"), EBUSY);
    KT_EQUAL(kpio_file_copy(a, 2 * PAGE, b, 9 * PAGE, PAGE), PAGE);
    KT_CHECK(reads_as(b, 9 * PAGE, PAGE, 'a' + 2));
    KT_ERROR(ask_driver(&m, "none written"), EBUSY);
    kt_close(a);
    kt_close(b);
    mounted_end(&m);
}
