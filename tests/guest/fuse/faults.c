// Memory that is a file of a mount, given to calls about other files: its driver is asked while nothing is held that their users wait for.
#include "tests/guest/fuse/fuse.h"

#define BYTES 8192u
#define APART 4096u                // the writer's bytes lie from here on

static struct fuse_in_header owed; // the READ that is not answered
static uint32_t owed_bytes;

static bool is_so(const char *what) { return strcmp(what, "owing") == 0 && owed.unique != 0; }

static int64_t give(struct fuse_driver *d) {
    static uint8_t data[BYTES];
    memset(data, 'd', owed_bytes);
    const uint64_t unique = owed.unique;
    owed.unique = 0;
    return answer_late(d, unique, 0, data, owed_bytes) == 0 ? -ENOENT : -EEXIST;
}

static int64_t gives_late(struct fuse_driver *d, const struct fuse_call *call) {
    static const struct plain_file file = {.size = BYTES, .is_so = is_so};
    const struct fuse_read_in *in = call->body;
    if (call->header->opcode == FUSE_LOOKUP && strcmp(call->body, "give") == 0) return give(d);
    if (call->header->opcode == FUSE_READ) {
        owed = *call->header;
        owed_bytes = in->offset >= BYTES ? 0 : in->size < BYTES - in->offset ? in->size : (uint32_t)(BYTES - in->offset);
        return FUSE_REPLY_NONE;
    }
    int64_t result = plain_answer(&file, call);
    return result != PLAIN_NOT ? result : -ENOSYS;
}

KT_CHILD(gives_late) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = gives_late};
    (void)fuse_run(&d);
    return 0;
}

struct writer {
    struct thread thread;
    kpio_handle file;
    uint64_t address, bytes;
    int64_t result;
};

static int64_t write_it(void *arg) {
    struct writer *w = arg;
    w->result = kpio_file_write(w->file, (const uint8_t *)w->address, w->bytes, APART, 0);
    return 0;
}

static uint64_t map_file(kpio_handle file) {
    kpio_handle vmo = KT_HANDLE(kpio_file_vmo(file, KPIO_RIGHT_READ));
    uint64_t address = (uint64_t)KT_OK(kpio_aspace_map(startup_handle("aspace"), vmo, 0, BYTES, KPIO_MAP_READ, 0));
    kt_close(vmo);
    return address;
}

// The file that is written is of tmpfs, then of another mount, past the cache or through it.
static void check_write(struct mounted *m, kpio_handle dir, const char *name) {
    static struct writer w;
    static uint8_t back[BYTES];
    kpio_handle source = open_file(m->root, "file", 0, KPIO_RIGHT_READ), file = open_file(dir, name, KPIO_OPEN_CREATE, RW);
    const uint64_t address = map_file(source);
    w = (struct writer){.file = open_file(dir, name, 0, RW), .address = address, .bytes = BYTES};
    KT_EQUAL(thread_spawn(&w.thread, "writer", write_it, &w, NULL, 0), 0);
    await_driver(m, "owing");
    KT_EQUAL(kpio_file_write(file, (const uint8_t *)"first", 5, 0, 0), 5);  // nobody holds the file meanwhile
    KT_ERROR(ask_driver(m, "owing"), ENOENT);
    for (int64_t gone = 0; gone == 0; time_sleep_ms(1)) {
        struct kpio_wait_item item = {.handle = w.thread.handle, .signals = KPIO_SIGNAL_TERMINATED};
        if (ask_driver(m, "owing") == -ENOENT) KT_ERROR(ask_driver(m, "give"), ENOENT);
        gone = KT_OK(kpio_handle_wait_many(&item, 1, 0));
    }
    KT_EQUAL(thread_join(&w.thread, NULL), 0);
    KT_EQUAL(w.result, BYTES);
    KT_EQUAL(kpio_file_read(file, back, BYTES, APART), BYTES);
    for (unsigned i = 0; i < BYTES; i++) KT_EQUAL(back[i], 'd');
    KT_OK(kpio_aspace_unmap(startup_handle("aspace"), address, BYTES));
    kt_close(source);
    kt_close(file);
    kt_close(w.file);
}

KT_TEST(a_file_is_written_from_one_whose_driver_is_slow) {
    static const char *const direct[] = {"direct", "1", NULL};
    struct mounted m, other;
    kpio_handle memory = KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, NULL));
    mounted_begin_native(&m, "gives_late", "timeout=600");
    check_write(&m, memory, "file");
    kt_close(memory);
    for (unsigned i = 0; i < 2; i++) {
        mounted_begin(&other, i != 0 ? direct : NULL, NULL);
        check_write(&m, other.root, "file");
        mounted_end(&other);
    }
    mounted_end(&m);
}

// Who waits so is ended by a kill; nothing of it stays.
KT_TEST(who_writes_from_a_slow_file_can_be_killed) {
    static struct writer w;
    struct mounted m;
    struct kpio_stat stat;
    kpio_handle memory = KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, NULL));
    mounted_begin_native(&m, "gives_late", "timeout=600");
    kpio_handle source = open_file(m.root, "file", 0, KPIO_RIGHT_READ);
    const uint64_t address = map_file(source);
    w = (struct writer){.file = open_file(memory, "file", KPIO_OPEN_CREATE, RW), .address = address, .bytes = BYTES};
    KT_EQUAL(thread_spawn(&w.thread, "writer", write_it, &w, NULL, 0), 0);
    await_driver(&m, "owing");
    KT_OK(kpio_thread_kill(w.thread.handle));
    KT_EQUAL(thread_join(&w.thread, NULL), 0);
    KT_OK(kpio_path_stat(memory, "file", 0, &stat));
    KT_EQUAL(stat.size, 0);
    KT_ERROR(ask_driver(&m, "give"), EEXIST);  // nobody waits for it
    KT_OK(kpio_aspace_unmap(startup_handle("aspace"), address, BYTES));
    kt_close(source);
    kt_close(w.file);
    kt_close(memory);
    mounted_end(&m);
}
