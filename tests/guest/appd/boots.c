// Boots of one disk in systems that differ (tests/system/test_appd.py): what kpio.found says must come of the artifacts. In a run of
// all cases these come last, in the same system. Leaky: in a run of one case the root
// gets its files.
#include "lib/fmt.h"
#include "lib/string.h"
#include "tests/guest/appd/world.h"

static bool setting_is(const char *key, const char *value) {
    const char *set = startup_setting(key);
    return set != NULL && strcmp(set, value) == 0;
}

static void need(const char *name, const char *module) {
    struct said said = app_install(name, "1", "", module, 0);
    KT_CHECK(said.result == 0 || said.result == -EEXIST);
}

KT_TEST_FLAGS(first_boot, KT_LEAKY) {
    appd_start(NULL);
    need("hello", "/m/v1.wasm");
    need("other", "/m/v2.wasm");
    must_print("hello", "", "version 1");
    must_print("other", "", "version 2");
    appd_stop();
    KT_EQUAL(kpio_fs_sync(0), 0);
}

KT_TEST_FLAGS(next_boot, KT_LEAKY) {
    struct appd_status_reply status;
    const bool again = setting_is("found", "invalid");
    appd_start(&status);
    KT_EQUAL(status.apps, status.checked);
    KT_EQUAL(status.valid, again ? 0 : status.checked);
    KT_EQUAL(status.dropped, again ? status.checked : 0);
    KT_EQUAL(status.compiled, status.dropped);
    KT_EQUAL(status.failed, 0);
    must_print("hello", "", "version 1");
    must_print("other", "", "version 2");
    appd_stop();
    KT_EQUAL(kpio_fs_sync(0), 0);
}

// Run before the check comes to it: the app waits for its own check, not for all.
KT_TEST(asked_at_once) {
    appd_start_only();
    must_print("hello", "", "version 1");
    must_print("other", "", "version 2");
    must(app_remove("other"));
    appd_stop();
}

// With a host that is an attacker: tests/wasm/host.
KT_TEST_FLAGS(the_host_of_the_archive, KT_LEAKY) {
    const bool hostile = setting_is("host", "hostile");
    appd_start(NULL);
    kpio_handle data = KT_HANDLE(directory_open(root(), "/data"));
    must(app_install("victim", "1", "directory = /data read write\n", "/m/v3.wasm", 0));
    must(app_grant("victim", "/data", "/data", data, APPD_GRANT_WRITE));
    struct ran ran = app_run("victim", "");
    if (hostile) kt_note("%s", ran.output);
    KT_EQUAL(ran.code, 0);
    KT_CHECK(contains(ran.output, hostile ? "refused: " : "version 3\n"));
    must(app_remove("victim"));
    kt_close(data);
    appd_stop();
}

// The right to make code is asked for by the mode and granted by the installer; without it no compiler in the process works.
KT_TEST_FLAGS(the_other_modes, KT_LEAKY) {
    int64_t result;
    const bool compilers = setting_is("compilers", "1");
    appd_start(NULL);
    must(app_install("granted", "1", "mode = jit\n", "/m/v1.wasm", APPD_GRANT_JIT));
    must(app_install("refused", "1", "mode = jit\n", "/m/v2.wasm", 0));
    if (compilers) {
        must_print("granted", "", "version 1");
        struct ran ran = app_run("refused", "");
        KT_EQUAL(ran.code, 2);
        KT_CHECK(contains(ran.error, "wasmhost: refused: no right to make executable memory"));
    } else {
        struct running running = app_begin("granted", "", &result);
        struct ran ran = app_end(&running);
        KT_EQUAL(result, -ENOENT);
        KT_CHECK(contains(ran.error, "appd: granted: this system has no host for apps of its mode"));
    }
    must(app_remove("granted"));
    must(app_remove("refused"));
    appd_stop();
}

// Apps of the boot archive are there without anybody's doing, and follow what the archive has.
KT_TEST_FLAGS(system_apps, KT_ALONE | KT_LEAKY) {
    struct appd_status_reply status;
    char line[32];
    fmt_print(line, sizeof line, "version %lu", (unsigned long)kt_setting("system", 0));
    appd_start(&status);
    must_print("first", "", line);
    KT_EQUAL(status.compiled, 1);
    appd_stop();
    appd_start(&status);
    KT_EQUAL(status.valid, 1);
    KT_EQUAL(status.compiled, 0);
    must_print("first", "", line);
    appd_stop();
    KT_EQUAL(kpio_fs_sync(0), 0);
}
