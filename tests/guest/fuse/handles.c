// What is open at the driver: its number may be an address there. The driver is not told that nobody uses it while it still owes the
// answer to a request that has it, though nobody may wait for that any more.
#include "tests/guest/fuse/fuse.h"

#define FILE_NODE 2u

static uint64_t owed;          // number of the READ that is not answered
static bool early, released;

static int64_t look_up(struct fuse_driver *driver, const struct fuse_call *call) {
    struct fuse_entry_out *e = (struct fuse_entry_out *)call->reply;
    const char *name = call->body;
    if (strcmp(name, "file") == 0) {
        *e = (struct fuse_entry_out){.nodeid = FILE_NODE, .attr = {.ino = FILE_NODE, .mode = 0100444, .nlink = 1, .size = 4096}};
        return sizeof *e;
    }
    if (strcmp(name, "owing") == 0) return owed != 0 ? -ENOENT : -EBUSY;
    if (strcmp(name, "released") == 0) return released ? -ENOENT : -EBUSY;
    const struct fuse_out_header late = {sizeof late, -EIO, owed};
    const struct kpio_io_vector part = {(uint64_t)&late, sizeof late};
    owed = 0;
    return kpio_fuse_reply(driver->channel, &part, 1) == -ENOENT && !early ? -ENOENT : -EEXIST;
}

static int64_t owes(struct fuse_driver *driver, const struct fuse_call *call) {
    struct fuse_attr_out *a = (struct fuse_attr_out *)call->reply;
    switch (call->header->opcode) {
    case FUSE_LOOKUP: return look_up(driver, call);
    case FUSE_GETATTR:
        *a = (struct fuse_attr_out){.attr = {.ino = call->header->nodeid, .mode = 0040755, .nlink = 2}};
        if (call->header->nodeid == FILE_NODE) a->attr.mode = 0100444, a->attr.size = 4096;
        return sizeof *a;
    case FUSE_OPEN:
        *(struct fuse_open_out *)call->reply = (struct fuse_open_out){.fh = 77, .open_flags = FOPEN_DIRECT_IO};
        return sizeof(struct fuse_open_out);
    case FUSE_READ: owed = call->header->unique; return FUSE_REPLY_NONE;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        early |= owed != 0;
        released |= call->header->opcode == FUSE_RELEASE;
        return 0;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: return FUSE_REPLY_NONE;
    default: return -ENOSYS;
    }
}

KT_CHILD(owes) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = owes};
    (void)fuse_run(&d);
    return 0;
}

static kpio_handle file;

static int64_t read_it(void *arg) {
    static char buffer[4096];
    return kpio_file_read(file, (uint8_t *)buffer, sizeof buffer, 0);
}

// Until the driver says so.
static void await(const struct mounted *m, const char *what) {
    struct kpio_stat stat;
    while (kpio_path_stat(m->root, what, 0, &stat) != -ENOENT) time_sleep_ms(1);
}

KT_TEST(what_a_request_uses_is_released_after_its_answer) {
    struct mounted m;
    struct kpio_stat stat;
    struct thread reader;
    mounted_begin_child(&m, "owes", NULL);
    file = open_file(m.root, "file", 0, KPIO_RIGHT_READ);
    KT_EQUAL(thread_spawn(&reader, "reader", read_it, NULL, NULL, 0), 0);
    await(&m, "owing");
    KT_OK(kpio_thread_kill(reader.handle));
    KT_EQUAL(thread_join(&reader, NULL), 0);
    kt_close(file);
    KT_ERROR(kpio_path_stat(m.root, "answer", 0, &stat), ENOENT);
    await(&m, "released");
    mounted_end(&m);
}
