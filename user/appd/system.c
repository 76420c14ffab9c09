#include "user/appd/system.h"

#include "lib/cpio.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "user/appd/install.h"
#include "user/libkpio/print.h"

#define FOLDER "lib/kpio/apps/"
#define PATH_MAX 256u

// Whether what is installed under its name is this; *rule says how it is installed if not.
static bool is_there(const struct app_manifest *m, const struct digest *module, enum apps_rule *rule) {
    struct app_version version;
    *rule = APPS_NEW;
    if (apps_take(m->name, &version) < 0) return false;
    bool same = strcmp(version.record.manifest.version, m->version) == 0 && digest_equal(&version.record.module, module);
    app_version_put(&version);
    *rule = APPS_REPLACE;
    return same;
}

static void install(const char *path, struct text manifest, const struct cpio_entry *module) {
    char text[INSTALL_TEXT_MAX];
    struct install in = {.manifest = manifest, .data = module->data, .size = module->size, .grants = {.environment = true, .jit = true}};
    struct app_manifest m;
    struct app_flaw flaw;
    const struct digest digest = digest_of(module->data, module->size);
    if (app_manifest_parse(manifest, &m, &flaw) && is_there(&m, &digest, &in.rule)) return;
    int64_t error = install_app(&in, text);
    print("%s: %s%s\n", path, error == 0 ? "installed: " : "", text);
}

void system_apps_install(const struct archive *archive) {
    struct cpio_entry entry, module;
    size_t position = 0;
    char path[PATH_MAX];
    while (cpio_next(archive->data, archive->size, &position, &entry, NULL) == 1) {
        const size_t length = strlen(entry.name);
        if (strncmp(entry.name, FOLDER, sizeof FOLDER - 1) != 0 || length < 4 || strcmp(entry.name + length - 4, ".app") != 0) continue;
        bool fits = fmt_print(path, sizeof path, "%.*s.wasm", (int)length - 4, entry.name) < sizeof path;
        if (fits && cpio_find(archive->data, archive->size, path, &module) == 0)
            install(entry.name, (struct text){(const char *)entry.data, entry.size}, &module);
        else print("%s: no module of its name beside it\n", entry.name);
    }
}
