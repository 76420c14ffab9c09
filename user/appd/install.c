#include "user/appd/install.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "user/libkpio/file.h"
#include "user/libkpio/kpio.h"

#define MODULE_MAX (512ull << 20)

static int64_t say(char *text, int64_t result, const char *what) {
    (void)fmt_print(text, INSTALL_TEXT_MAX, "%s%s%s", what, result < 0 ? ": " : "", result < 0 ? error_name(result) : "");
    return result;
}

static int64_t read_manifest(const struct install *in, struct app_manifest *out, char *text) {
    struct app_flaw flaw;
    if (app_manifest_parse(in->manifest, out, &flaw)) return 0;
    const char *colon = flaw.field[0] != 0 ? ": " : "";
    (void)fmt_print(text, INSTALL_TEXT_MAX, "manifest: line %u: %s%s%s", flaw.line, flaw.field, colon, flaw.reason);
    return -EINVAL;
}

// Before minutes are spent on it; it is looked at again when they are over.
static int64_t check_name(const struct install *in, const char *name, char *text) {
    struct app_version version;
    int64_t error = apps_take(name, &version);
    if (error == 0) app_version_put(&version);
    if (in->rule == APPS_NEW && error == 0) return say(text, -EEXIST, "it is installed: update it");
    return in->rule == APPS_REPLACE && error < 0 ? say(text, error, "it is not installed") : 0;
}

// All of a file as it is now.
static int64_t read_file(kpio_handle file, void **data) {
    struct kpio_stat stat;
    int64_t result = kpio_path_stat(file, NULL, 0, &stat);
    if (result == 0 && stat.size > MODULE_MAX) result = -EFBIG;
    *data = result == 0 ? heap_alloc(stat.size + 1) : NULL;
    return result == 0 ? (*data == NULL ? -ENOMEM : file_read_all(file, *data, stat.size, 0)) : result;
}

// The module's bytes: those of the file are copied, and *copy is to be freed whatever comes of it.
static int64_t read_module(const struct install *in, const void **data, void **copy, char *text) {
    int64_t size = in->module > 0 ? read_file(in->module, copy) : (int64_t)in->size;
    *data = in->module > 0 ? *copy : in->data;
    if (size >= 8 && memcmp(*data, "\0asm", 4) == 0) return size;
    if (size < 0) return say(text, size, "the module");
    (void)fmt_print(text, INSTALL_TEXT_MAX, "the module is no WebAssembly");
    return -ENOEXEC;
}

static int64_t compile(struct app_version *version, char *text) {
    char why[CACHE_TEXT_MAX];
    if (!app_is_compiled(&version->record)) return 0;
    int64_t error = cache_ensure(version->artifact, why);
    if (error < 0) (void)fmt_print(text, INSTALL_TEXT_MAX, "%s", why);
    return error;
}

// With the module pinned: nobody collects its files meanwhile.
static int64_t install_pinned(const struct install *in, struct app_version *version, const void *data, uint64_t size, char *text) {
    int64_t error = cache_add_module(&version->record.module, data, size);
    if (error < 0) return say(text, error, "keeping the module");
    error = compile(version, text);
    if (error < 0) return error;
    error = apps_commit(version, in->rule);
    if (error < 0) return say(text, error, "its record");
    (void)fmt_print(text, INSTALL_TEXT_MAX, "%s %s", version->record.manifest.name, version->record.manifest.version);
    return 0;
}

int64_t install_app(const struct install *in, char text[INSTALL_TEXT_MAX]) {
    struct app_version version = {.record = {.grants = in->grants}};
    void *copy = NULL;
    const void *data;
    text[0] = 0;
    int64_t error = read_manifest(in, &version.record.manifest, text);
    if (error == 0) error = check_name(in, version.record.manifest.name, text);
    if (error < 0) return error;
    int64_t size = read_module(in, &data, &copy, text);
    if (size < 0) {
        heap_free(copy);
        return size;
    }
    version.record.module = digest_of(data, (size_t)size);
    version.artifact = cache_pin(&version.record.module, app_artifact_kind(&version.record));
    error = version.artifact == NULL ? say(text, -ENOMEM, "it") : install_pinned(in, &version, data, (uint64_t)size, text);
    heap_free(copy);
    if (version.artifact != NULL) cache_unpin(version.artifact);
    cache_collect();  // the version before, or what a failure has left
    return error;
}
