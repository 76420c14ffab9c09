// appd: apps are installed, run with what they were granted, updated and removed; what their artifacts are trusted for is in
// appd/trust.c. The boot archive has the engine's programs, and modules and folders of the root below rootfs/ (tests/system/test_appd.py).
#include "tests/guest/appd/world.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"

#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)

// Leaky: the root gets its files.
KT_TEST_FLAGS(install_and_run, KT_LEAKY) {
    char text[2048];
    appd_start(NULL);
    must(app_install("hello", "1.0", "", "/m/v1.wasm", 0));
    must_print("hello", "", "version 1");
    info_of("hello", text, sizeof text);
    KT_CHECK(contains(text, "version:     1.0\n"));
    KT_CHECK(contains(text, "artifact:    valid\n"));
    must_fail(app_install("hello", "1.1", "", "/m/v2.wasm", 0), -EEXIST, "update");
    must_fail(app_update("other", "1.1", "", "/m/v2.wasm", 0), -ENOENT, "not installed");
    must_print("hello", "", "version 1");
    appd_stop();
}

KT_TEST(manifests_are_strict) {
    appd_start(NULL);
    must_fail(app_manifest("name = hi\n", "/m/v1.wasm"), -EINVAL, "no version");
    must_fail(app_manifest("name = hi\nversion = 1\nmode = fast\n", "/m/v1.wasm"), -EINVAL, "line 3: mode: ");
    must_fail(app_manifest("name = hi\nversion = 1\n\nrights = all\n", "/m/v1.wasm"), -EINVAL, "line 4: rights: ");
    must_fail(app_manifest("name = ../hi\nversion = 1\n", "/m/v1.wasm"), -EINVAL, "line 1: name: ");
    must_fail(app_manifest("name = hi\nname = ho\nversion = 1\n", "/m/v1.wasm"), -EINVAL, "line 2: name: said twice");
    appd_stop();
}

KT_TEST(bad_modules) {
    const unsigned modules = count_files(TOP "/modules"), cache = count_files(TOP "/cache");
    appd_start(NULL);
    must_fail(app_install("bad", "1", "", "/m/text", 0), -ENOEXEC, "no WebAssembly");
    must_fail(app_install("bad", "1", "", "/m/empty", 0), -ENOEXEC, "no WebAssembly");
    must_fail(app_install("bad", "1", "", "/m/cut.wasm", 0), -EINVAL, "unexpected end");
    KT_EQUAL(count_files(TOP "/modules"), modules);
    KT_EQUAL(count_files(TOP "/cache"), cache);
    appd_stop();
}

KT_TEST(after_a_restart) {
    struct appd_status_reply status;
    appd_start(&status);
    KT_EQUAL(status.apps, 1);
    KT_EQUAL(status.checked, 1);
    KT_EQUAL(status.valid, 1);
    KT_EQUAL(status.compiled, 0);
    must_print("hello", "", "version 1");
    appd_stop();
}

// ---- rights -----------------------------------------------------------------------------------------------------------------------

static kpio_handle directory(const char *path, uint32_t rights) {
    return KT_HANDLE(file_open(root(), path, KPIO_OPEN_DIRECTORY, rights));
}

KT_TEST(directories) {
    kpio_handle all, reading, other;
    appd_start(NULL);
    all = directory("/data", RW);
    reading = directory("/data", KPIO_RIGHT_READ);
    other = directory("/m", RW);
    must(app_install("files", "1", "directory = /data read write\n", "/m/rights.wasm", 0));
    KT_EQUAL(app_run("files", "afiles").code, 1);  // asked for, not granted
    must_fail(app_grant("files", "/data", "/data", reading, APPD_GRANT_WRITE), -EACCES, "/data");
    must_fail(app_grant("files", "/data", "/data", other, 0), -EACCES, "/data");
    must_fail(app_grant("files", "/more", "/data", all, 0), -EINVAL, "asks for no such");
    must_fail(app_grant("files", "/data", "/data/..", all, 0), -EINVAL, "");
    must_fail(app_grant("absent", "/data", "/data", all, 0), -ENOENT, "not installed");
    must(app_grant("files", "/data", "/data", reading, 0));
    KT_EQUAL(app_run("files", "afiles").code, 1);  // to be read only
    must(app_grant("files", "/data", "/data", all, APPD_GRANT_WRITE));
    must_print("files", "afiles", "files work");
    must(app_grant("files", "/data", "", all, 0));
    KT_EQUAL(app_run("files", "afiles").code, 1);  // taken away again
    must(app_remove("files"));
    kt_close(all);
    kt_close(reading);
    kt_close(other);
    appd_stop();
}

// A manifest that asks to read only gets no more, whatever is granted.
KT_TEST(no_more_than_asked) {
    appd_start(NULL);
    kpio_handle all = directory("/data", RW);
    must(app_install("reader", "1", "directory = /data read\n", "/m/rights.wasm", APPD_GRANT_ENVIRONMENT | APPD_GRANT_JIT));
    must_fail(app_grant("reader", "/data", "/data", all, APPD_GRANT_WRITE), -EINVAL, "");
    must(app_grant("reader", "/data", "/data", all, 0));
    KT_EQUAL(app_run("reader", "afiles").code, 1);
    must_print("reader", "asay|aa b|eCOLOUR=red", "[reader][say][a b]");
    must(app_remove("reader"));
    kt_close(all);
    appd_stop();
}

KT_TEST(environment) {
    appd_start(NULL);
    must(app_install("env", "1", "environment = yes\n", "/m/rights.wasm", 0));
    must_print("env", "asay|eCOLOUR=red", "[env][say]");
    must(app_update("env", "2", "environment = yes\n", "/m/rights.wasm", APPD_GRANT_ENVIRONMENT));
    must_print("env", "asay|eCOLOUR=red", "[env][say][COLOUR=red]");
    must(app_remove("env"));
    appd_stop();
}

KT_TEST(limits) {
    appd_start(NULL);
    must(app_install("greedy", "1", "memory = 16M\ntime = 300ms\n", "/m/rights.wasm", 0));
    struct ran ran = app_run("greedy", "aloop");
    KT_EQUAL(ran.code, 124);
    KT_CHECK(contains(ran.error, "wasmhost: greedy: stopped: its time of 0.3 s is over"));
    must(app_update("greedy", "2", "memory = 16M\n", "/m/rights.wasm", 0));
    must_print("greedy", "agrow", "stopped at the limit");
    KT_EQUAL(app_run("greedy", "atrap").code, 134);
    must(app_update("greedy", "3", "cpu-time = 200ms\n", "/m/rights.wasm", 0));
    ran = app_run("greedy", "aloop");
    KT_EQUAL(ran.code, 124);
    KT_CHECK(contains(ran.error, "wasmhost: greedy: stopped: its CPU time of 0.2 s is over"));
    kpio_handle data = directory("/data", KPIO_RIGHT_READ);
    must(app_update("greedy", "4", "files = 16\ndirectory = /data read\n", "/m/rights.wasm", 0));
    must(app_grant("greedy", "/data", "/data", data, 0));
    must_print("greedy", "aopen", "stopped at the limit");
    kt_close(data);
    must(app_remove("greedy"));
    appd_stop();
}

// Linear memories are the pool's, in an account of the app's own.
KT_TEST(memories_of_the_pool) {
    struct kpio_wasm_account account, found = {};
    char line[64];
    int64_t result, number = 0;
    appd_start(NULL);
    must(app_install("pooled", "1", "memory = 16M\n", "/m/v1.wasm", 0));
    struct running running = app_begin("pooled", "await", &result);
    KT_EQUAL(result, 0);
    app_read(&running, line, sizeof line);
    while ((number = kpio_wasm_pool_list(startup_handle("system"), (uint64_t)number, &account)) > 0)
        if (strcmp(account.name, "pooled") == 0) found = account;
    KT_EQUAL(number, -ENOENT);
    KT_EQUAL(found.limit, 16ull << 20);
    KT_CHECK(found.current > 0 && found.current <= found.reserved && found.reserved <= found.limit);
    KT_EQUAL(app_end(&running).code, 0);
    must(app_remove("pooled"));
    appd_stop();
}

// Byte code is compiled before, too, and kept beside the code of an app that has the same module.
KT_TEST(byte_code) {
    char hex[65], path[128], text[2048];
    struct appd_status_reply status;
    const unsigned cache = count_files(TOP "/cache");
    appd_start(NULL);
    must(app_install("fast", "1", "", "/m/v2.wasm", 0));
    must(app_install("small", "1", "mode = interp\n", "/m/v2.wasm", 0));
    KT_EQUAL(count_files(TOP "/cache"), cache + 4);
    must_print("small", "", "version 2");
    info_of("small", text, sizeof text);
    KT_CHECK(contains(text, "artifact:    valid\n"));
    must(app_remove("fast"));
    KT_EQUAL(count_files(TOP "/cache"), cache + 2);
    must_print("small", "", "version 2");
    artifact_of("small", hex);
    appd_stop();
    fmt_print(path, sizeof path, TOP "/cache/%s.pulley", hex);
    flip(path, size_of(path) / 2);
    appd_start(&status);
    KT_EQUAL(status.dropped, 1);
    KT_EQUAL(status.compiled, 1);
    must_print("small", "", "version 2");
    must(app_remove("small"));
    KT_EQUAL(count_files(TOP "/cache"), cache);
    appd_stop();
}

// ---- update and remove ------------------------------------------------------------------------------------------------------------

KT_TEST(an_update_while_the_old_one_runs) {
    char line[64];
    int64_t result;
    appd_start(NULL);
    must(app_install("clock", "1", "", "/m/v1.wasm", 0));
    struct running old = app_begin("clock", "await", &result);
    KT_EQUAL(result, 0);
    app_read(&old, line, sizeof line);
    KT_EQUAL(strcmp(line, "version 1\n"), 0);
    must(app_update("clock", "2", "", "/m/v3.wasm", 0));
    must_print("clock", "", "version 3");
    struct ran ran = app_end(&old);
    KT_EQUAL(ran.code, 0);
    KT_EQUAL(strcmp(ran.output, "version 1\n"), 0);
    must_fail(app_update("clock", "3", "", "/m/cut.wasm", 0), -EINVAL, "");
    must_print("clock", "", "version 3");
    appd_stop();
    struct appd_status_reply status;
    appd_start(&status);
    KT_EQUAL(status.valid, status.checked);
    must_print("clock", "", "version 3");
    appd_stop();
}

KT_TEST(a_removal_while_it_runs) {
    char line[64], hex[65], path[128];
    int64_t result;
    appd_start(NULL);
    artifact_of("clock", hex);
    struct running old = app_begin("clock", "await", &result);
    KT_EQUAL(result, 0);
    app_read(&old, line, sizeof line);
    must(app_remove("clock"));
    fmt_print(path, sizeof path, TOP "/cache/%s.aot", hex);
    KT_CHECK(!exists(path));
    fmt_print(path, sizeof path, TOP "/modules/%s", hex);
    KT_CHECK(!exists(path));
    struct running none = app_begin("clock", "", &result);
    KT_EQUAL(result, -ENOENT);
    KT_CHECK(contains(app_end(&none).error, "appd: clock: it is not installed"));
    KT_EQUAL(strcmp(app_end(&old).output, "version 3\n"), 0);
    must_fail(app_remove("clock"), -ENOENT, "not installed");
    appd_stop();
}

// ---- at once ----------------------------------------------------------------------------------------------------------------------

struct installer {
    struct thread thread;
    const char *name, *module;
    struct said said;
};

static int64_t install_one(void *arg) {
    struct installer *i = arg;
    i->said = app_install(i->name, "1", "", i->module, 0);
    return 0;
}

static void install_all(struct installer *all, unsigned count) {
    for (unsigned i = 0; i < count; i++) KT_EQUAL(thread_spawn(&all[i].thread, "installer", install_one, &all[i], NULL, 256u << 10), 0);
    for (unsigned i = 0; i < count; i++) KT_EQUAL(thread_join(&all[i].thread, NULL), 0);
}

KT_TEST(two_installs_of_one_name) {
    static struct installer all[3];
    unsigned done = 0;
    appd_start(NULL);
    all[0] = (struct installer){.name = "twice", .module = "/m/v2.wasm"};
    all[1] = (struct installer){.name = "twice", .module = "/m/v3.wasm"};
    all[2] = (struct installer){.name = "twice", .module = "/m/v2.wasm"};
    install_all(all, 3);
    for (unsigned i = 0; i < 3; i++) {
        done += all[i].said.result == 0;
        KT_CHECK(all[i].said.result == 0 || all[i].said.result == -EEXIST);
    }
    KT_EQUAL(done, 1);
    KT_EQUAL(app_run("twice", "").code, 0);
    must(app_remove("twice"));
    appd_stop();
}

// They share the module, the artifact and the work.
KT_TEST(two_installs_of_one_module) {
    static struct installer all[2];
    const unsigned modules = count_files(TOP "/modules"), cache = count_files(TOP "/cache");
    appd_start(NULL);
    all[0] = (struct installer){.name = "left", .module = "/m/v2.wasm"};
    all[1] = (struct installer){.name = "right", .module = "/m/v2.wasm"};
    install_all(all, 2);
    must(all[0].said);
    must(all[1].said);
    KT_EQUAL(appd_status_now().compiled, 1);
    KT_EQUAL(count_files(TOP "/modules"), modules + 1);
    KT_EQUAL(count_files(TOP "/cache"), cache + 2);
    must_print("left", "", "version 2");
    must(app_remove("left"));
    must_print("right", "", "version 2");
    must(app_remove("right"));
    KT_EQUAL(count_files(TOP "/modules"), modules);
    KT_EQUAL(count_files(TOP "/cache"), cache);
    appd_stop();
}
