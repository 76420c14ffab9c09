// The service of apps (docs/appd.md). Grants: root (where its files are, and what directories lie that it may grant), memory (for the
// engine's programs), job, initrd. Without an engine in the archive it ends, and leaves all as it is.
#include "protocols/gen/appd.h"
#include "user/appd/apps.h"
#include "user/appd/engine.h"
#include "user/appd/launch.h"
#include "user/appd/requests.h"
#include "user/appd/system.h"
#include "user/appd/work.h"
#include "user/libkpio/kpio.h"

static struct store store;
static bool key_lost;

// ---- what was there at the start --------------------------------------------------------------------------------------------------

static void check_all(void) {
    struct app_version v;
    for (uint32_t i = 0; apps_take_nth(i, &v) == 0; i++) {
        const char *dropped;
        if (app_is_compiled(&v.record) && !cache_check(v.artifact, &dropped) && dropped != NULL)
            print("%s: its artifact is dropped: %s\n", v.record.manifest.name, dropped);
        app_version_put(&v);
    }
}

static void compile_all(void) {
    struct app_version v;
    char text[CACHE_TEXT_MAX];
    for (uint32_t i = 0; apps_take_nth(i, &v) == 0; i++) {
        if (app_is_compiled(&v.record) && !cache_check(v.artifact, NULL)) {
            int64_t error = cache_ensure(v.artifact, text);
            print("%s: %s%s\n", v.record.manifest.name, error == 0 ? "compiled again" : "cannot be compiled: ", error == 0 ? "" : text);
        }
        app_version_put(&v);
    }
}

// Apps can be asked for meanwhile: who runs one checks it first where this has not.
static int64_t look_at_all(void *unused) {
    if (key_lost) print("the key is lost: what was compiled and granted before does not count\n");
    cache_collect();
    check_all();
    struct cache_counts c = cache_count();
    if (c.checked > 0) print("%u of %u artifacts are valid\n", c.valid, c.checked);
    compile_all();
    system_apps_install(engine_archive());
    requests_checked(key_lost);
    return 0;
}

// ---- the start ------------------------------------------------------------------------------------------------------------------

static int64_t open_all(const char **what) {
    struct digest key;
    *what = "its files";
    int64_t error = store_open(startup_handle("root"), &store);
    if (error < 0) return error;
    *what = "the key";
    error = store_key(&store, &key, &key_lost);
    if (error < 0) return error;
    cache_open(&store, &key);
    *what = "the apps";
    error = apps_open(&store, &key, key_lost);
    if (error < 0) return error;
    launch_open(startup_handle("root"));
    requests_open(startup_handle("root"));
    *what = "its threads";
    return work_begin();
}

int main(int argc, char **argv) {
    static struct thread checker;
    struct archive archive;
    const char *what = "the boot archive";
    int64_t error = archive_open(&archive);
    if (error == 0) error = engine_open(&archive, startup_handle("memory"), &what);
    if (error == -ENOENT) {
        print("no apps: the boot archive has no engine (/lib/kpio)\n");
        return 0;
    }
    if (error == 0) error = open_all(&what);
    if (error == 0) error = thread_spawn(&checker, "checker", look_at_all, NULL, NULL, 256u << 10);
    if (error < 0) {
        print("%s: %s\n", what, error_name(error));
        return 1;
    }
    const struct service service = {.dispatch = requests_dispatch};
    return (int)service_run(&service);
}
