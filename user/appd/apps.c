#include "user/appd/apps.h"

#include "lib/list.h"
#include "lib/string.h"
#include "user/libkpio/file.h"
#include "user/libkpio/kpio.h"

struct app {
    struct list_node node;
    struct app_version version;
};

static struct {
    const struct store *store;
    struct digest key;
    struct mutex lock;        // of the list, and held while a record is written: the disk says what the list says
    struct list all;          // by name
} apps;

// ---- the list -------------------------------------------------------------------------------------------------------------------

static struct app *find_locked(const char *name) {
    list_for_each(node, &apps.all) {
        struct app *app = container_of(node, struct app, node);
        if (strcmp(app->version.record.manifest.name, name) == 0) return app;
    }
    return NULL;
}

static void insert_locked(struct app *app) {
    list_for_each(node, &apps.all) {
        const struct app *other = container_of(node, struct app, node);
        if (strcmp(other->version.record.manifest.name, app->version.record.manifest.name) < 0) continue;
        list_insert_before(node, &app->node);
        return;
    }
    list_push_back(&apps.all, &app->node);
}

static void copy_locked(const struct app *app, struct app_version *out) {
    *out = app->version;
    cache_pin_again(out->artifact);
}

int64_t apps_take(const char *name, struct app_version *out) {
    mutex_lock(&apps.lock);
    const struct app *app = find_locked(name);
    if (app != NULL) copy_locked(app, out);
    mutex_unlock(&apps.lock);
    return app != NULL ? 0 : -ENOENT;
}

int64_t apps_take_nth(uint32_t index, struct app_version *out) {
    int64_t result = -ENOENT;
    mutex_lock(&apps.lock);
    list_for_each(node, &apps.all) {
        if (result == 0 || index-- > 0) continue;
        copy_locked(container_of(node, struct app, node), out);
        result = 0;
    }
    mutex_unlock(&apps.lock);
    return result;
}

enum artifact_kind app_artifact_kind(const struct app_record *record) {
    return record->manifest.mode == APP_INTERP ? ARTIFACT_BYTE_CODE : ARTIFACT_CODE;
}

void app_version_put(struct app_version *version) { cache_unpin(version->artifact); }

uint32_t apps_count(void) {
    uint32_t count = 0;
    mutex_lock(&apps.lock);
    list_for_each(node, &apps.all) count += node != NULL;
    mutex_unlock(&apps.lock);
    return count;
}

// ---- changing it ------------------------------------------------------------------------------------------------------------------

static int64_t save_locked(const struct app_record *record) {
    char text[RECORD_MAX];
    size_t bytes = app_record_write(record, &apps.key, text, sizeof text);
    return bytes == 0 ? -E2BIG : store_save(apps.store->apps, record->manifest.name, text, bytes);
}

static int64_t commit_locked(struct app *fresh, enum apps_rule rule) {
    struct app *old = find_locked(fresh->version.record.manifest.name);
    if (rule == APPS_NEW && old != NULL) return -EEXIST;
    if (rule == APPS_REPLACE && old == NULL) return -ENOENT;
    if (old != NULL) app_grants_keep(&fresh->version.record, &old->version.record);
    int64_t error = save_locked(&fresh->version.record);
    if (error < 0) return error;
    if (old != NULL) {
        list_remove(&old->node);
        cache_unpin(old->version.artifact);
        heap_free(old);
    }
    cache_pin_again(fresh->version.artifact);
    insert_locked(fresh);
    return 0;
}

int64_t apps_commit(const struct app_version *version, enum apps_rule rule) {
    struct app *fresh = heap_alloc(sizeof *fresh);
    if (fresh == NULL) return -ENOMEM;
    fresh->version = *version;
    mutex_lock(&apps.lock);
    int64_t error = commit_locked(fresh, rule);
    mutex_unlock(&apps.lock);
    if (error < 0) heap_free(fresh);
    return error;
}

static int64_t grant_locked(struct app *app, const char *guest, const char *path, bool writes) {
    struct app_record changed = app->version.record;
    for (uint32_t i = 0; i < changed.manifest.directory_count; i++) {
        if (strcmp(changed.manifest.directories[i].guest, guest) != 0) continue;
        if (writes && !changed.manifest.directories[i].writes) return -EINVAL;
        (void)text_copy(changed.grants.directories[i], APP_PATH_MAX + 1, text_of(path));
        changed.grants.writes[i] = writes && *path != 0;
        int64_t error = save_locked(&changed);
        if (error == 0) app->version.record = changed;
        return error;
    }
    return -EINVAL;
}

int64_t apps_grant(const char *name, const char *guest, const char *path, bool writes) {
    mutex_lock(&apps.lock);
    struct app *app = find_locked(name);
    int64_t error = app != NULL ? grant_locked(app, guest, path, writes) : -ENOENT;
    mutex_unlock(&apps.lock);
    return error;
}

int64_t apps_remove(const char *name) {
    mutex_lock(&apps.lock);
    struct app *app = find_locked(name);
    int64_t error = app != NULL ? store_remove(apps.store->apps, name) : -ENOENT;
    if (error == 0) {
        list_remove(&app->node);
        cache_unpin(app->version.artifact);
        heap_free(app);
    }
    mutex_unlock(&apps.lock);
    return error;
}

// ---- at the start -----------------------------------------------------------------------------------------------------------------

// *changed: the folder has, under its reader.
static bool read_record(struct text whole, const char *name, bool key_lost, struct app_record *out, bool *changed) {
    *changed = false;
    if (app_record_read(&apps.key, whole, out)) return strcmp(out->manifest.name, name) == 0;
    if (!key_lost || !app_record_salvage(whole, out) || strcmp(out->manifest.name, name) != 0) return false;
    *changed = true;
    return save_locked(out) == 0;
}

// 1 when the folder has changed under its reader.
static int64_t open_app(const char *name, bool key_lost) {
    void *data;
    int64_t bytes = store_load(apps.store->apps, name, RECORD_MAX, &data);
    if (bytes < 0) return bytes == -ENOENT ? 0 : bytes;
    struct app *app = heap_alloc(sizeof *app);
    const struct text whole = {data, (size_t)bytes};
    bool changed = false, good = app != NULL && read_record(whole, name, key_lost, &app->version.record, &changed);
    heap_free(data);
    if (good) app->version.artifact = cache_pin(&app->version.record.module, app_artifact_kind(&app->version.record));
    if (good && app->version.artifact != NULL) {
        insert_locked(app);
        return changed;
    }
    heap_free(app);
    if (app == NULL || good) return -ENOMEM;
    print("%s: its record was changed, or sealed under another key: not installed any more\n", name);
    (void)store_remove(apps.store->apps, name);
    return 1;
}

// 1 when it must be listed again.
static int64_t open_all(bool key_lost) {
    struct directory_reader reader;
    const struct kpio_directory_entry *entry;
    int64_t result;
    directory_rewind(&reader, apps.store->apps);
    while ((result = directory_next(&reader, &entry)) > 0) {
        char name[APP_NAME_MAX + 1];
        if (!app_name_is_good(text_of(entry->name)) || find_locked(entry->name) != NULL) continue;
        (void)text_copy(name, sizeof name, text_of(entry->name));
        result = open_app(name, key_lost);
        if (result != 0) return result;
    }
    return result;
}

int64_t apps_open(const struct store *store, const struct digest *key, bool key_lost) {
    int64_t result;
    apps.store = store;
    apps.key = *key;
    list_init(&apps.all);
    while ((result = open_all(key_lost)) > 0) continue;
    return result;
}
