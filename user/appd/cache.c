#include "user/appd/cache.h"

#include "lib/fmt.h"
#include "lib/list.h"
#include "lib/string.h"
#include "user/appd/compile.h"
#include "user/appd/engine.h"
#include "user/libkpio/file.h"
#include "user/libkpio/kpio.h"

// Lock order: collecting, lock.
#define SETTLE_MS 120000u  // that a process of the compiler's is wholly gone, which held the artifact

enum state { UNKNOWN, ABSENT, WORKING, SEALED };

struct artifact {
    struct list_node node;
    struct digest module;
    enum artifact_kind kind;
    char name[DIGEST_HEX];
    enum state state;
    uint32_t pins;
    struct sealed sealed;    // while SEALED
    struct sealed source;    // the module, once it was needed
};

static struct {
    const struct store *store;
    struct digest key;
    struct mutex collecting; // what is found unpinned under it stays so until its files are gone
    struct mutex lock;       // of all below, and of the artifacts
    struct list artifacts;
    uint32_t changed;        // a futex: how often a state changed
    struct cache_counts counts;
} cache;

void cache_open(const struct store *store, const struct digest *key) {
    cache.store = store;
    cache.key = *key;
    list_init(&cache.artifacts);
}

struct cache_counts cache_count(void) {
    mutex_lock(&cache.lock);
    struct cache_counts counts = cache.counts;
    mutex_unlock(&cache.lock);
    return counts;
}

static void add(uint32_t *count) {
    mutex_lock(&cache.lock);
    ++*count;
    mutex_unlock(&cache.lock);
}

// ---- names --------------------------------------------------------------------------------------------------------------------

static const struct {
    const char *artifact, *entry;
} endings[ARTIFACT_KINDS] = {[ARTIFACT_CODE] = {"aot", "entry"}, [ARTIFACT_BYTE_CODE] = {"pulley", "pulley-entry"}};

static void artifact_name(char name[STORE_NAME_MAX], const struct artifact *a) {
    (void)fmt_print(name, STORE_NAME_MAX, "%s.%s", a->name, endings[a->kind].artifact);
}

static void entry_name(char name[STORE_NAME_MAX], const struct artifact *a) {
    (void)fmt_print(name, STORE_NAME_MAX, "%s.%s", a->name, endings[a->kind].entry);
}

static const struct engine_identity *made_now(const struct artifact *a) { return engine_now(a->kind == ARTIFACT_BYTE_CODE); }

// ---- pins ---------------------------------------------------------------------------------------------------------------------

static struct artifact *find_locked(const struct digest *module, enum artifact_kind kind) {
    list_for_each(node, &cache.artifacts) {
        struct artifact *a = container_of(node, struct artifact, node);
        if (a->kind == kind && digest_equal(&a->module, module)) return a;
    }
    return NULL;
}

struct artifact *cache_pin(const struct digest *module, enum artifact_kind kind) {
    struct artifact *fresh = heap_alloc(sizeof *fresh);
    mutex_lock(&cache.collecting);
    mutex_lock(&cache.lock);
    struct artifact *a = find_locked(module, kind);
    if (a == NULL && fresh != NULL) {
        a = fresh;
        fresh = NULL;
        a->module = *module;
        a->kind = kind;
        digest_to_hex(module, a->name);
        list_push_back(&cache.artifacts, &a->node);
    }
    if (a != NULL) a->pins++;
    mutex_unlock(&cache.lock);
    mutex_unlock(&cache.collecting);
    heap_free(fresh);
    return a;
}

void cache_pin_again(struct artifact *a) {
    mutex_lock(&cache.lock);
    a->pins++;
    mutex_unlock(&cache.lock);
}

void cache_unpin(struct artifact *a) {
    mutex_lock(&cache.lock);
    a->pins--;
    mutex_unlock(&cache.lock);
}

// ---- who works on it ------------------------------------------------------------------------------------------------------------

// Waits until nobody works on it. The state that it has; where that is `from` or lower, the caller works on it from now on.
static enum state begin(struct artifact *a, enum state from) {
    mutex_lock(&cache.lock);
    while (a->state == WORKING) {
        uint32_t seen = cache.changed;
        mutex_unlock(&cache.lock);
        (void)kpio_futex_wait((uint64_t)&cache.changed, seen, UINT32_MAX, KPIO_TIME_NEVER, 0);
        mutex_lock(&cache.lock);
    }
    enum state state = a->state;
    if (state <= from) a->state = WORKING;
    mutex_unlock(&cache.lock);
    return state;
}

static void end(struct artifact *a, const struct sealed *sealed) {
    mutex_lock(&cache.lock);
    a->state = sealed != NULL ? SEALED : ABSENT;
    if (sealed != NULL) a->sealed = *sealed;
    cache.changed++;
    mutex_unlock(&cache.lock);
    (void)kpio_futex_wake((uint64_t)&cache.changed, UINT32_MAX, UINT32_MAX, 0);
}

// ---- checking -------------------------------------------------------------------------------------------------------------------

static enum verdict look(const struct artifact *a, struct text entry, const struct sealed *sealed) {
    const void *data = sealed_map(sealed);
    if (data == NULL) return VERDICT_ARTIFACT_CHANGED;
    enum verdict verdict = artifact_verify(&cache.key, &a->module, made_now(a), entry, data, sealed->size);
    sealed_unmap(sealed, data);
    return verdict;
}

// Checks the files. On VERDICT_VALID *sealed is what may run.
static enum verdict check(const struct artifact *a, struct sealed *sealed) {
    char name[STORE_NAME_MAX];
    void *entry;
    entry_name(name, a);
    int64_t bytes = store_load(cache.store->cache, name, ENTRY_MAX, &entry);
    if (bytes < 0) return bytes == -ENOENT ? VERDICT_MISSING : VERDICT_ENTRY_CHANGED;
    artifact_name(name, a);
    int64_t error = sealed_open(cache.store->run, name, sealed);
    enum verdict verdict = error == 0 ? look(a, (struct text){entry, (size_t)bytes}, sealed) : VERDICT_MISSING;
    heap_free(entry);
    if (error == 0 && verdict != VERDICT_VALID) sealed_close(sealed);
    return verdict;
}

// The entry first: there is none without its artifact.
static bool remove_files(const struct artifact *a) {
    char name[STORE_NAME_MAX];
    entry_name(name, a);
    if (store_remove(cache.store->cache, name) < 0) return false;
    artifact_name(name, a);
    return store_remove(cache.store->cache, name) == 0;
}

bool cache_check(struct artifact *a, const char **dropped) {
    struct sealed sealed;
    if (dropped != NULL) *dropped = NULL;
    enum state state = begin(a, UNKNOWN);
    if (state != UNKNOWN) return state == SEALED;
    enum verdict verdict = check(a, &sealed);
    add(&cache.counts.checked);
    if (verdict == VERDICT_VALID) {
        add(&cache.counts.valid);
    } else {
        (void)remove_files(a);
        if (verdict != VERDICT_MISSING) add(&cache.counts.dropped);
        if (dropped != NULL) *dropped = verdict_text(verdict);
    }
    end(a, verdict == VERDICT_VALID ? &sealed : NULL);
    return verdict == VERDICT_VALID;
}

// ---- compiling ------------------------------------------------------------------------------------------------------------------

// Sealed, and what its name says.
static int64_t open_module(const struct digest *module, struct sealed *out) {
    char name[DIGEST_HEX];
    digest_to_hex(module, name);
    int64_t error = sealed_open(cache.store->read, name, out);
    if (error < 0) return error;
    const void *data = sealed_map(out);
    struct digest is = digest_of(data, data != NULL ? out->size : 0);
    sealed_unmap(out, data);
    if (digest_equal(&is, module)) return 0;
    sealed_close(out);
    return -ESTALE;
}

// From now on the module stays as it is.
static int64_t hold_module(struct artifact *a) {
    struct sealed opened;
    int64_t error = open_module(&a->module, &opened);
    if (error < 0) return error;
    mutex_lock(&cache.lock);
    bool first = a->source.file == KPIO_HANDLE_NONE;
    if (first) a->source = opened;
    mutex_unlock(&cache.lock);
    if (!first) sealed_close(&opened);
    return 0;
}

static int64_t seal_soon(const char *name, struct sealed *out) {
    const uint64_t deadline = time_after_ms(SETTLE_MS);
    int64_t error;
    while ((error = sealed_open(cache.store->run, name, out)) == -ETXTBSY && time_now() < deadline) time_sleep_ms(1);
    return error;
}

// The entry of an artifact that was just made, from what the sealed file holds.
static int64_t write_entry(const struct artifact *a, const struct sealed *sealed) {
    char text[ENTRY_MAX], name[STORE_NAME_MAX];
    const void *data = sealed_map(sealed);
    if (data == NULL) return -ENOMEM;
    const struct artifact_entry entry = {
        .module = a->module, .made = *made_now(a), .artifact = digest_of(data, sealed->size), .size = sealed->size};
    sealed_unmap(sealed, data);
    size_t bytes = artifact_entry_write(&entry, &cache.key, text, sizeof text);
    entry_name(name, a);
    return bytes == 0 ? -E2BIG : store_save(cache.store->cache, name, text, bytes);
}

static int64_t fail(char *text, const char *what, int64_t error) {
    (void)fmt_print(text, CACHE_TEXT_MAX, "%s: %s", what, error_name(error));
    return error;
}

// Into a file of its own, which gets the artifact's name when it is whole: what runs of the one before keeps that.
static int64_t compile_to(const struct artifact *a, char *text) {
    char temporary[STORE_NAME_MAX], name[STORE_NAME_MAX];
    int64_t file = store_begin(cache.store->cache, 0755, temporary);
    if (file < 0) return fail(text, "the artifact", file);
    artifact_name(name, a);
    int64_t error = compile_module(made_now(a)->cpu, a->source.file, (kpio_handle)file, text);
    if (error < 0) {
        (void)kpio_handle_close((uint64_t)file);
    } else {
        error = store_keep(cache.store->cache, (kpio_handle)file, temporary, name);
        if (error < 0) error = fail(text, "the artifact", error);
    }
    if (error < 0) store_give_up(cache.store->cache, temporary);
    return error;
}

static int64_t compile(struct artifact *a, struct sealed *sealed, char *text) {
    struct sealed again;
    char name[STORE_NAME_MAX];
    int64_t error = hold_module(a);
    if (error == -ESTALE) (void)fmt_print(text, CACHE_TEXT_MAX, "its module was changed on the disk: install it again");
    else if (error < 0) return fail(text, "its module", error);
    if (error < 0) return error;
    error = compile_to(a, text);
    if (error < 0) return error;
    artifact_name(name, a);
    error = seal_soon(name, sealed);
    if (error < 0) return fail(text, "the artifact", error);
    error = write_entry(a, sealed);
    if (error == 0 && check(a, &again) != VERDICT_VALID) error = -EIO;  // as a later start would find it
    else if (error == 0) sealed_close(&again);
    if (error == 0) return 0;
    sealed_close(sealed);
    return fail(text, "the artifact's entry", error);
}

int64_t cache_ensure(struct artifact *a, char text[CACHE_TEXT_MAX]) {
    struct sealed sealed;
    text[0] = 0;
    if (cache_check(a, NULL)) return 0;
    if (begin(a, ABSENT) == SEALED) return 0;
    int64_t error = compile(a, &sealed, text);
    if (error < 0) (void)remove_files(a);
    add(error == 0 ? &cache.counts.compiled : &cache.counts.failed);
    end(a, error == 0 ? &sealed : NULL);
    return error;
}

const char *cache_state_text(const struct artifact *a) {
    static const char *const texts[] = {"not checked yet", "none", "being checked or compiled", "valid"};
    mutex_lock(&cache.lock);
    enum state state = a->state;
    mutex_unlock(&cache.lock);
    return texts[state];
}

// ---- files --------------------------------------------------------------------------------------------------------------------

int64_t cache_artifact_file(struct artifact *a) {
    const uint32_t execute = a->kind == ARTIFACT_CODE ? KPIO_RIGHT_EXECUTE : 0;
    const uint32_t rights = KPIO_RIGHT_READ | execute | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    mutex_lock(&cache.lock);
    int64_t file = a->state == SEALED ? kpio_handle_dup(a->sealed.file, rights) : -ENOENT;
    mutex_unlock(&cache.lock);
    return file;
}

int64_t cache_module_file(struct artifact *a) {
    const uint32_t rights = KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    int64_t error = hold_module(a);
    return error < 0 ? error : kpio_handle_dup(a->source.file, rights);
}

int64_t cache_add_module(const struct digest *module, const void *data, uint64_t size) {
    struct sealed there;
    char name[DIGEST_HEX];
    if (open_module(module, &there) == 0) {
        sealed_close(&there);
        return 0;
    }
    digest_to_hex(module, name);
    return store_save(cache.store->modules, name, data, size);
}

// ---- what nobody needs ------------------------------------------------------------------------------------------------------------

// Forgets it, unless somebody has it pinned.
static bool forget(const struct digest *module, enum artifact_kind kind) {
    mutex_lock(&cache.lock);
    struct artifact *a = find_locked(module, kind);
    bool pinned = a != NULL && a->pins > 0;
    if (a != NULL && !pinned) {
        list_remove(&a->node);
        sealed_close(&a->sealed);
        sealed_close(&a->source);
        heap_free(a);
    }
    mutex_unlock(&cache.lock);
    return !pinned;
}

// These tell whether a file is nobody's any more, and take it away then. What has no name that we give stays.

static bool collect_artifact(const char *name) {
    struct artifact gone = {0};
    struct text end = text_of(name), hex = text_split(&end, '.');
    if (!digest_from_hex(hex, &gone.module)) return false;
    while (gone.kind < ARTIFACT_KINDS && !text_equal(end, text_of(endings[gone.kind].artifact)) &&
           !text_equal(end, text_of(endings[gone.kind].entry)))
        gone.kind++;
    if (gone.kind == ARTIFACT_KINDS || !forget(&gone.module, gone.kind)) return false;
    digest_to_hex(&gone.module, gone.name);
    return remove_files(&gone);
}

static bool collect_module(const char *name) {
    struct digest module;
    char hex[DIGEST_HEX];
    if (!digest_from_hex(text_of(name), &module)) return false;
    for (enum artifact_kind kind = 0; kind < ARTIFACT_KINDS; kind++)
        if (!forget(&module, kind)) return false;
    digest_to_hex(&module, hex);
    return store_remove(cache.store->modules, hex) == 0;
}

static bool collect_one(kpio_handle directory, bool (*collect)(const char *name)) {
    struct directory_reader reader;
    const struct kpio_directory_entry *entry;
    bool removed = false;
    mutex_lock(&cache.collecting);
    directory_rewind(&reader, directory);
    while (!removed && directory_next(&reader, &entry) > 0) removed = collect(entry->name);
    mutex_unlock(&cache.collecting);
    return removed;
}

void cache_collect(void) {
    while (collect_one(cache.store->cache, collect_artifact)) continue;
    while (collect_one(cache.store->modules, collect_module)) continue;
}
