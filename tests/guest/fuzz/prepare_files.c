#include "lib/fmt.h"
#include "tests/guest/fuzz/fuzz.h"

static kpio_handle any_directory(struct fuzzer *f) {
    return pool_find((uint32_t)next(f), 1u << KPIO_KIND_DIRECTORY, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_INSPECT);
}

static uint64_t text(const char *words) { return (uint64_t)words; }

// One of so many and such long names that a directory of them has an index.
static uint64_t long_name(struct fuzzer *f) {
    char *at = (char *)f->scratch + SCRATCH / 2;
    (void)fmt_print(at, 80, "one of many names, each of which takes a lot of room: number %u", (unsigned)(next(f) % 200));
    return (uint64_t)at;
}

// Where a file is read, written, cut: mostly near its start, at times where block maps get deep.
static uint64_t place(struct fuzzer *f) { return next(f) % (one_in(f, 32) ? 4u << 20 : one_in(f, 4) ? 512u << 10 : 65536u); }

static void prepare_names(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a, kpio_handle dir) {
    switch (call->number) {
    case SYS_path_make: case SYS_path_symlink:
        a[1] = one_in(f, 2) ? text("new") : long_name(f);
        (void)kpio_path_unlink(dir, (const char *)a[1], 0);
        if (call->number == SYS_path_make) a[2] = 0100644, a[3] = 0, a[4] = 0;
        else a[2] = text("file"), a[3] = 0;
        break;
    case SYS_path_readlink:
        (void)kpio_path_symlink(dir, "link", "file", 0);
        a[1] = text("link");
        break;
    case SYS_path_link:
        (void)kpio_path_unlink(dir, "second", 0);
        a[2] = a[0], a[3] = text("second"), a[4] = 0;
        break;
    case SYS_path_unlink:
        a[2] = 0;
        break;
    case SYS_path_rename:
        a[2] = a[0], a[3] = one_in(f, 2) ? text("moved") : long_name(f), a[4] = 0;
        break;
    case SYS_path_xattr_get: case SYS_path_xattr_set:
        (void)kpio_path_xattr_set(dir, "file", 0, "user.some", "some", 4);
        a[2] = 0, a[3] = text("user.some");
        break;
    case SYS_mount_attach:
        a[1] = text("dir"), a[3] = 0;
        break;
    case SYS_mount_detach:
        a[1] = text("dir"), a[2] = KPIO_DETACH_LAZY;
        (void)kpio_mount_attach(dir, "dir", dir, 0, 0);
        break;
    default: break;
    }
}

static void prepare_path(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    kpio_handle dir = any_directory(f);
    if (one_in(f, 2)) {  // else an earlier call has made them
        (void)kpio_path_make(dir, "file", 0100644, 0, 0);
        (void)kpio_path_make(dir, "dir", 0040755, 0, 0);
    }
    a[0] = (uint64_t)dir;
    if (call->number != SYS_directory_path && call->number != SYS_directory_read) a[1] = text("file");
    if (call->number == SYS_path_open && one_in(f, 3)) a[1] = long_name(f), a[2] |= KPIO_OPEN_CREATE;
    if (call->number == SYS_path_open) a[2] &= KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE, a[4] = KPIO_RIGHTS_SAME;
    if (call->number == SYS_path_stat || call->number == SYS_path_xattr_list || call->number == SYS_path_set_attributes) a[2] = 0;
    if (call->number == SYS_path_set_attributes) {
        *(struct kpio_attributes *)f->scratch = (struct kpio_attributes){.what = KPIO_SET_ACCESSED_NOW};
        a[3] = (uint64_t)f->scratch;
    }
    if (call->number == SYS_directory_read) a[3] = 0;
    prepare_names(f, call, a, dir);
}

static void prepare_file(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    struct kpio_file_lock *lock = (struct kpio_file_lock *)f->scratch;
    switch (call->number) {
    case SYS_file_read: case SYS_file_write:
        a[3] = one_in(f, 3) ? (uint64_t)KPIO_OFFSET_CURRENT : place(f);
        a[4] &= KPIO_WRITE_APPEND;
        break;
    case SYS_file_seek:
        a[1] = 0, a[2] = next(f) % 3;
        break;
    case SYS_file_resize:
        a[1] = place(f);
        break;
    case SYS_file_allocate:
        a[1] &= KPIO_ALLOCATE_KEEP_SIZE, a[2] = place(f), a[3] = next(f) % 65536 + 1;
        break;
    case SYS_file_sync: case SYS_file_advise:
        a[1] &= KPIO_SYNC_DATA, a[3] = KPIO_ADVICE_DROP;
        break;
    case SYS_file_flags:
        a[1] = KPIO_OPEN_APPEND, a[2] = next(f) << 24;
        a[2] &= 0xff000000;
        break;
    case SYS_file_lock:
        *lock = (struct kpio_file_lock){.flags = next(f) % 3, .start = next(f) % 100, .bytes = next(f) % 100};
        a[1] = (uint64_t)lock;
        break;
    case SYS_file_vmo:
        a[1] = KPIO_RIGHT_READ;
        break;
    default: break;
    }
}

void prepare_files(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    if (call->number == SYS_fs_mount) a[0] = text("tmpfs"), a[1] = 0, a[2] = 0, a[3] = text("size=1M");
    else if (call->number == SYS_fs_sync || call->number == SYS_fs_statistics) return;
    else if (call->number >= SYS_file_read && call->number <= SYS_file_vmo) prepare_file(f, call, a);
    else if (call->number >= SYS_path_open && call->number <= SYS_mount_detach) prepare_path(f, call, a);
}
