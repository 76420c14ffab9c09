#include "user/appd/record.h"

#include "lib/fmt.h"
#include "lib/manifest.h"
#include "user/appd/seal.h"

#define PURPOSE "kpio app record 1"

// ---- writing ------------------------------------------------------------------------------------------------------------------

struct writer {
    char *buffer;
    size_t used, size;
};

#define WRITE(w, ...) ((w)->used += (w)->used < (w)->size ? fmt_print((w)->buffer + (w)->used, (w)->size - (w)->used, __VA_ARGS__) : 0)

static void write_manifest(struct writer *w, const struct app_manifest *m) {
    WRITE(w, "name = %s\nversion = %s\nmode = %s\nmemory = %lu\nenvironment = %s\n", m->name, m->version, app_mode_name(m->mode),
          (unsigned long)m->memory, m->environment ? "yes" : "no");
    if (m->time != 0) WRITE(w, "time = %luns\n", (unsigned long)m->time);
    if (m->cpu_time != 0) WRITE(w, "cpu-time = %luns\n", (unsigned long)m->cpu_time);
    if (m->files != 0) WRITE(w, "files = %lu\n", (unsigned long)m->files);
    for (uint32_t i = 0; i < m->directory_count; i++)
        WRITE(w, "directory = %s read%s\n", m->directories[i].guest, m->directories[i].writes ? " write" : "");
}

static void write_grants(struct writer *w, const struct app_record *r) {
    const struct app_grants *g = &r->grants;
    char module[DIGEST_HEX];
    digest_to_hex(&r->module, module);
    WRITE(w, "[granted]\nmodule = %s\nenvironment = %s\njit = %s\nmemory = %lu\ntime = %lu\n", module, g->environment ? "yes" : "no",
          g->jit ? "yes" : "no", (unsigned long)g->memory, (unsigned long)g->time);
    for (uint32_t i = 0; i < r->manifest.directory_count; i++)
        if (g->directories[i][0] != 0) WRITE(w, "directory.%u = %s %s\n", i, g->writes[i] ? "write" : "read", g->directories[i]);
}

size_t app_record_write(const struct app_record *record, const struct digest *key, char *buffer, size_t size) {
    struct writer w = {buffer, 0, size};
    write_manifest(&w, &record->manifest);
    write_grants(&w, record);
    return w.used < size ? seal_append(key, PURPOSE, buffer, w.used, size) : 0;
}

// ---- reading ------------------------------------------------------------------------------------------------------------------

static bool set_directory(struct app_record *r, struct text number, struct text value) {
    uint64_t i;
    struct text access = text_split(&value, ' ');
    if (!text_to_u64(number, &i) || i >= r->manifest.directory_count || r->grants.directories[i][0] != 0) return false;
    bool writes = text_equal(access, TEXT("write"));
    if ((!writes && !text_equal(access, TEXT("read"))) || value.size == 0 || value.data[0] != '/') return false;
    r->grants.writes[i] = writes;
    return text_copy(r->grants.directories[i], sizeof r->grants.directories[i], value);
}

static bool set_grant(struct app_record *r, struct text key, struct text value) {
    struct app_grants *g = &r->grants;
    if (text_equal(key, TEXT("module"))) return digest_from_hex(value, &r->module);
    if (text_equal(key, TEXT("environment"))) return text_to_bool(value, &g->environment);
    if (text_equal(key, TEXT("jit"))) return text_to_bool(value, &g->jit);
    if (text_equal(key, TEXT("memory"))) return text_to_u64(value, &g->memory);
    if (text_equal(key, TEXT("time"))) return text_to_u64(value, &g->time);
    if (!text_starts_with(key, TEXT("directory."))) return false;
    return set_directory(r, (struct text){key.data + 10, key.size - 10}, value);
}

static bool parse(struct text body, struct app_record *r) {
    struct manifest_reader reader;
    struct manifest_item item;
    uint32_t seen = 0, grants = 0;
    *r = (struct app_record){0};
    manifest_open(&reader, body);
    while ((item = manifest_next(&reader)).kind != MANIFEST_END) {
        bool granted = text_equal(item.section, TEXT("granted")), good = item.kind == MANIFEST_SECTION && granted;
        if (item.kind == MANIFEST_ENTRY && !granted) good = app_manifest_set(&r->manifest, item.key, item.value, &seen) == NULL;
        if (item.kind == MANIFEST_ENTRY && granted) {
            good = set_grant(r, item.key, item.value);
            grants++;
        }
        if (!good) return false;
    }
    return grants >= 5 && app_manifest_finish(&r->manifest, seen) == NULL;
}

bool app_record_read(const struct digest *key, struct text whole, struct app_record *out) {
    struct text body;
    return seal_check(key, PURPOSE, whole, &body) && parse(body, out);
}

bool app_record_salvage(struct text whole, struct app_record *out) {
    struct text body;
    if (!seal_strip(whole, &body) || !parse(body, out)) return false;
    out->grants = (struct app_grants){0};
    return true;
}

// ---- what follows from it -------------------------------------------------------------------------------------------------------

bool app_is_compiled(const struct app_record *r) { return r->manifest.mode != APP_JIT; }
bool app_gets_environment(const struct app_record *r) { return r->manifest.environment && r->grants.environment; }
bool app_gets_jit(const struct app_record *r) { return r->manifest.mode == APP_JIT && r->grants.jit; }

static uint64_t least(uint64_t asked, uint64_t granted) { return granted != 0 && (asked == 0 || granted < asked) ? granted : asked; }

uint64_t app_memory(const struct app_record *r) { return least(r->manifest.memory, r->grants.memory); }
uint64_t app_time(const struct app_record *r) { return least(r->manifest.time, r->grants.time); }

static void keep_directory(struct app_record *r, uint32_t to, const struct app_record *from) {
    for (uint32_t i = 0; i < from->manifest.directory_count; i++) {
        if (!text_equal(text_of(from->manifest.directories[i].guest), text_of(r->manifest.directories[to].guest))) continue;
        (void)text_copy(r->grants.directories[to], APP_PATH_MAX + 1, text_of(from->grants.directories[i]));
        r->grants.writes[to] = from->grants.writes[i] && r->manifest.directories[to].writes;
    }
}

void app_grants_keep(struct app_record *r, const struct app_record *from) {
    for (uint32_t i = 0; i < r->manifest.directory_count; i++) keep_directory(r, i, from);
}
