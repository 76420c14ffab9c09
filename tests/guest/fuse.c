// File systems whose drivers are processes: operations on bin/memfs, and drivers that die, hang, lie, or use their own mount. The
// rules of file systems in general are those of fs_conformance (kpio.fs=fuse).
#include "tests/guest/fuse/fuse.h"

KT_TEST(a_channel_has_two_kinds_of_ends) {
    kpio_handle channel = KT_HANDLE(kpio_fuse_create()), end = KT_HANDLE(kpio_fuse_serve(channel));
    static uint8_t buffer[8192];
    KT_ERROR(kpio_fuse_receive(channel, NULL, 0, buffer, sizeof buffer, 0), EACCES);
    KT_ERROR(kpio_fuse_serve(end), EACCES);
    KT_ERROR(kpio_fuse_mount(end, 0, NULL), EACCES);
    KT_ERROR(kpio_fuse_receive(end, NULL, 0, buffer, sizeof buffer - 1, 0), EINVAL);
    const struct kpio_io_vector torn = {(uint64_t)buffer, 3};
    KT_ERROR(kpio_fuse_receive(end, &torn, 1, buffer, sizeof buffer, 0), EINVAL);
    KT_EQUAL(kpio_fuse_receive(end, NULL, 0, buffer, sizeof buffer, 0), 56);
    const struct fuse_in_header *h = (const struct fuse_in_header *)buffer;
    KT_EQUAL(h->opcode, FUSE_INIT);
    KT_EQUAL(h->len, 56);
    KT_ERROR(kpio_fuse_receive(end, NULL, 0, buffer, sizeof buffer, 0), ETIMEDOUT);
    KT_ERROR(kpio_fuse_receive(end, NULL, 0, buffer, sizeof buffer, time_after_ms(3)), ETIMEDOUT);
    KT_ERROR(kpio_fuse_mount(channel, 0, "nonsense"), EINVAL);
    KT_ERROR(kpio_fuse_mount(channel, 0, "timeout=0"), EINVAL);
    kpio_handle root = KT_HANDLE(kpio_fuse_mount(channel, 0, "timeout=1,dirty=1M,stateless"));
    KT_ERROR(kpio_fuse_mount(channel, 0, NULL), EALREADY);
    struct kpio_fuse_info info;
    KT_OK(kpio_fuse_info(channel, &info));
    KT_EQUAL(info.state, KPIO_FUSE_STARTING);
    KT_EQUAL(info.mounted, 1);
    kt_close(end);
    KT_OK(kpio_fuse_info(channel, &info));
    KT_EQUAL(info.state, KPIO_FUSE_GONE);
    kt_close(root);
    kt_close(channel);
}

// What is unpacked at the first use and kept shows here, and not as a leak of the cases that come next.
KT_TEST_FLAGS(the_first_drivers, KT_LEAKY) {
    struct mounted m;
    mounted_begin(&m, NULL, NULL);
    mounted_end(&m);
    mounted_begin_child(&m, "honest", NULL);
    KT_EQUAL(stat_of(m.root, "file").size, 100);
    mounted_end(&m);
}

KT_TEST(files_are_written_and_read) {
    struct mounted m;
    char text[32] = "";
    mounted_begin(&m, NULL, NULL);
    KT_OK(file_save(m.root, "hello", "some text", 9));
    KT_EQUAL(file_load(m.root, "hello", text, sizeof text), 9);
    KT_EQUAL(memcmp(text, "some text", 9), 0);
    struct kpio_stat stat = stat_of(m.root, "hello");
    KT_EQUAL(stat.size, 9);
    KT_EQUAL(stat.mode, 0100644);
    KT_EQUAL(stat.links, 1);
    KT_OK(directory_make(m.root, "dir"));
    KT_OK(file_save(m.root, "dir/a", "x", 1));
    KT_OK(kpio_path_rename(m.root, "dir/a", m.root, "b", 0));
    KT_ERROR(file_open(m.root, "dir/a", 0, KPIO_RIGHT_READ), ENOENT);
    KT_EQUAL(count_entries(m.root), 5);
    KT_OK(kpio_path_unlink(m.root, "b", 0));
    KT_EQUAL(count_entries(m.root), 4);
    KT_EQUAL(mounted_info(&m).state, KPIO_FUSE_READY);
    mounted_end(&m);
}
