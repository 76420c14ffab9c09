// What only a driver in WebAssembly can do wrong (tests/wasm/fs): it ends its own mount, at most.
#include "tests/guest/fuse/fuse.h"

#define WASM_ONLY() \
    if (!mounted_in_wasm()) kt_skip("of drivers in WebAssembly")

KT_TEST(a_trap_ends_a_driver) {
    static const char *const ends[] = {"traps", "exits"};
    WASM_ONLY();
    for (unsigned i = 0; i < 2; i++) {
        struct mounted m, other;
        struct kpio_stat stat;
        mounted_begin_child(&m, ends[i], NULL);
        mounted_begin(&other, NULL, NULL);
        KT_ERROR(kpio_path_stat(m.root, "file", 0, &stat), ENOTCONN);
        KT_CHECK(kt_wait(m.process) != 0);
        KT_OK(file_save(other.root, "a", "text", 4));  // nobody else notices
        // The next one serves it.
        mounted_start_child(&m, "honest");
        KT_EQUAL(stat_of(m.root, "file").size, 100);
        KT_EQUAL(mounted_info(&m).drivers, 2);
        mounted_kill(&m);
        mounted_end(&m);
        mounted_end(&other);
    }
}

// Nor does it see what is not its own.
KT_TEST(addresses_beyond_its_memory_are_refused) {
    struct mounted m;
    WASM_ONLY();
    mounted_begin_child(&m, "addresses", NULL);
    KT_EQUAL(stat_of(m.root, "file").size, 100);
    mounted_end(&m);
}

KT_TEST(a_driver_grows_to_its_limit) {
    struct mounted m;
    WASM_ONLY();
    mounted_begin_child(&m, "grows", NULL);
    KT_EQUAL(stat_of(m.root, "file").size, 100);
    mounted_end(&m);
}
