// Installs, updates and removes apps while the host records the disk, whose power it then cuts (tests/system/test_appd_power.py). After
// each step a file /done-N is durable. The steps, and what is installed after each, stand in both places.
#include "lib/fmt.h"
#include "lib/string.h"
#include "tests/guest/appd/world.h"

static unsigned steps;

static void done(void) {
    char path[32];
    fmt_print(path, sizeof path, "/done-%u", ++steps);
    kpio_handle file = KT_HANDLE(file_open(root(), path, KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, KPIO_RIGHT_WRITE));
    KT_EQUAL(kpio_file_sync(file, 0), 0);
    KT_EQUAL(kpio_file_sync(root(), 0), 0);
    kt_close(file);
}

KT_TEST_FLAGS(steps_of_power, KT_ALONE | KT_LEAKY) {
    appd_start(NULL);
    must(app_install("hello", "1", "", "/m/v1.wasm", 0));
    done();
    must(app_update("hello", "2", "", "/m/v2.wasm", 0));
    done();
    must(app_install("large", "1", "", "/m/large.wasm", 0));
    done();
    must(app_update("hello", "3", "environment = yes\n", "/m/v3.wasm", APPD_GRANT_ENVIRONMENT));
    done();
    must(app_remove("large"));
    done();
    must(app_update("hello", "4", "", "/m/v1.wasm", 0));
    done();
    appd_stop();
}

// Whatever a cut has left: what is installed runs, as the version that its record tells.
KT_TEST_FLAGS(after_the_cut, KT_ALONE | KT_LEAKY) {
    static const struct {
        const char *version, *line;
    } versions[] = {{"1", "version 1"}, {"2", "version 2"}, {"3", "version 3"}, {"4", "version 1"}};
    struct appd_status_reply status;
    char text[2048], line[64];
    appd_start(&status);
    KT_EQUAL(status.failed, 0);
    KT_EQUAL(status.key_lost, 0);
    if (exists(TOP "/apps/large")) must_print("large", "", "large");
    if (exists(TOP "/apps/hello")) {
        unsigned known = 0;
        info_of("hello", text, sizeof text);
        for (unsigned i = 0; i < 4; i++) {
            fmt_print(line, sizeof line, "version:     %s\n", versions[i].version);
            if (!contains(text, line)) continue;
            must_print("hello", "", versions[i].line);
            known++;
        }
        KT_EQUAL(known, 1);
        must(app_update("hello", "5", "", "/m/v2.wasm", 0));
    } else {
        must(app_install("hello", "5", "", "/m/v2.wasm", 0));
    }
    must_print("hello", "", "version 2");
    KT_EQUAL(count_files(TOP "/cache"), 2 * status.apps + (status.apps == 0 ? 2 : 0));
    appd_stop();
}
