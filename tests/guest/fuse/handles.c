// What is open at the driver: its number may be an address there. The driver is not told that nobody uses it while it still owes the
// answer to a request that has it, though nobody may wait for that any more.
#include "tests/guest/fuse/fuse.h"

static uint64_t owed;          // number of the READ that is not answered
static bool early, released;

static bool is_so(const char *what) {
    if (strcmp(what, "owing") == 0) return owed != 0;
    return strcmp(what, "released") == 0 && released;
}

static int64_t answer_read(struct fuse_driver *driver) {
    uint64_t unique = owed;
    owed = 0;
    return answer_late(driver, unique, -EIO, NULL, 0) == -ENOENT && !early ? -ENOENT : -EEXIST;
}

static int64_t owes(struct fuse_driver *driver, const struct fuse_call *call) {
    static const struct plain_file file = {.size = 4096, .open_flags = FOPEN_DIRECT_IO, .is_so = is_so};
    switch (call->header->opcode) {
    case FUSE_READ: owed = call->header->unique; return FUSE_REPLY_NONE;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        early |= owed != 0;
        released |= call->header->opcode == FUSE_RELEASE;
        return 0;
    case FUSE_LOOKUP:
        if (strcmp(call->body, "answer") == 0) return answer_read(driver);
        break;
    default: break;
    }
    int64_t result = plain_answer(&file, call);
    return result != PLAIN_NOT ? result : -ENOSYS;
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

KT_TEST(what_a_request_uses_is_released_after_its_answer) {
    struct mounted m;
    struct thread reader;
    mounted_begin_child(&m, "owes", NULL);
    file = open_file(m.root, "file", 0, KPIO_RIGHT_READ);
    KT_EQUAL(thread_spawn(&reader, "reader", read_it, NULL, NULL, 0), 0);
    await_driver(&m, "owing");
    KT_OK(kpio_thread_kill(reader.handle));
    KT_EQUAL(thread_join(&reader, NULL), 0);
    kt_close(file);
    KT_ERROR(ask_driver(&m, "answer"), ENOENT);
    await_driver(&m, "released");
    mounted_end(&m);
}
