#include "user/appd/manifest.h"

#include "lib/manifest.h"

static const char *const mode_names[] = {[APP_AOT] = "aot", [APP_JIT] = "jit", [APP_INTERP] = "interp"};

const char *app_mode_name(enum app_mode mode) { return mode_names[mode]; }

static bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool app_name_is_good(struct text name) {
    if (name.size == 0 || name.size > APP_NAME_MAX || !is_letter(name.data[0])) return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_' && c != '.') return false;
    }
    return true;
}

static const char *set_name(struct app_manifest *m, struct text value) {
    if (!app_name_is_good(value)) return "a name has 1 to 31 small letters, digits, '-', '_' or '.', and begins with a letter";
    (void)text_copy(m->name, sizeof m->name, value);
    return NULL;
}

static const char *set_version(struct app_manifest *m, struct text value) {
    static const char wrong[] = "a version has 1 to 31 letters, digits, '.', '-', '+' or '_'";
    if (value.size == 0 || value.size > APP_VERSION_MAX) return wrong;
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (!is_letter(c | 0x20) && !is_digit(c) && c != '.' && c != '-' && c != '+' && c != '_') return wrong;
    }
    (void)text_copy(m->version, sizeof m->version, value);
    return NULL;
}

static const char *set_mode(struct app_manifest *m, struct text value) {
    for (unsigned i = 0; i < ARRAY_SIZE(mode_names); i++) {
        if (!text_equal(value, text_of(mode_names[i]))) continue;
        m->mode = (enum app_mode)i;
        return NULL;
    }
    return "aot, jit or interp";
}

bool app_path_is_good(struct text path) {
    if (path.size < 2 || path.size > APP_PATH_MAX || path.data[0] != '/') return false;
    for (struct text rest = {path.data + 1, path.size - 1}; rest.data != NULL;) {
        struct text part = text_split(&rest, '/');
        if (part.size == 0 || text_equal(part, TEXT(".")) || text_equal(part, TEXT(".."))) return false;
        for (size_t i = 0; i < part.size; i++)
            if (part.data[i] <= ' ' || part.data[i] > '~' || part.data[i] == ',' || part.data[i] == ':') return false;
    }
    return true;
}

static const char *set_directory(struct app_manifest *m, struct text value) {
    struct text path = text_split(&value, ' ');
    struct text access = text_trim(value);
    if (!app_path_is_good(path)) return "a directory is /NAME, without '..', blanks, ',' and ':', and then read, or read write";
    if (m->directory_count == APP_DIRECTORIES_MAX) return "more than four directories";
    for (uint32_t i = 0; i < m->directory_count; i++)
        if (text_equal(path, text_of(m->directories[i].guest))) return "the same directory twice";
    struct app_directory *d = &m->directories[m->directory_count];
    if (text_equal(access, TEXT("read write"))) d->writes = true;
    else if (!text_equal(access, TEXT("read"))) return "behind a directory stands read, or read write";
    (void)text_copy(d->guest, sizeof d->guest, path);
    m->directory_count++;
    return NULL;
}

static const char *set_environment(struct app_manifest *m, struct text value) {
    return text_to_bool(value, &m->environment) ? NULL : "yes or no";
}
static const char *set_memory(struct app_manifest *m, struct text value) {
    return text_to_size(value, &m->memory) && m->memory >= 65536 && m->memory <= 1ull << 40 ? NULL : "a size from 64K to 1T, as 64M";
}
static const char *to_time(struct text value, uint64_t *out) {
    return text_to_duration(value, out) && *out > 0 && *out <= 1000000000000000000ull ? NULL : "a time, as 10s or 500ms";
}
static const char *set_time(struct app_manifest *m, struct text value) {
    return to_time(value, &m->time);
}
static const char *set_cpu_time(struct app_manifest *m, struct text value) {
    return to_time(value, &m->cpu_time);
}
static const char *set_files(struct app_manifest *m, struct text value) {
    return text_to_u64(value, &m->files) && m->files > 0 && m->files <= APP_FILES_MAX ? NULL : "a number of files from 1 to 256";
}

static const struct {
    const char *key;
    const char *(*set)(struct app_manifest *m, struct text value);
    bool repeats;
} fields[] = {
    {"name", set_name, false},         {"version", set_version, false},         {"mode", set_mode, false}, {"memory", set_memory, false},
    {"directory", set_directory, true}, {"environment", set_environment, false}, {"time", set_time, false},
    {"cpu-time", set_cpu_time, false},  {"files", set_files, false},
};

const char *app_manifest_set(struct app_manifest *m, struct text key, struct text value, uint32_t *seen) {
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!text_equal(key, text_of(fields[i].key))) continue;
        if (*seen & 1u << i && !fields[i].repeats) return "said twice";
        *seen |= 1u << i;
        return fields[i].set(m, value);
    }
    return "unknown: name version mode directory environment memory time cpu-time files";
}

const char *app_manifest_finish(struct app_manifest *m, uint32_t seen) {
    if (!(seen & 1)) return "no name";
    if (!(seen & 2)) return "no version";
    if (m->memory == 0) m->memory = APP_MEMORY_DEFAULT;
    return NULL;
}

bool app_manifest_parse(struct text content, struct app_manifest *out, struct app_flaw *flaw) {
    struct manifest_reader reader;
    struct manifest_item item;
    uint32_t seen = 0;
    *out = (struct app_manifest){.mode = APP_AOT};
    *flaw = (struct app_flaw){0};
    manifest_open(&reader, content);
    while (flaw->reason == NULL && (item = manifest_next(&reader)).kind != MANIFEST_END) {
        *flaw = (struct app_flaw){.line = item.line, .column = item.column};
        if (item.kind == MANIFEST_BAD) flaw->reason = item.reason;
        else if (item.kind == MANIFEST_SECTION) flaw->reason = "a manifest of an app has no sections";
        else {
            (void)text_copy(flaw->field, sizeof flaw->field, item.key);
            flaw->reason = app_manifest_set(out, item.key, item.value, &seen);
        }
    }
    if (flaw->reason != NULL) return false;
    *flaw = (struct app_flaw){.line = reader.line, .column = 1, .reason = app_manifest_finish(out, seen)};
    return flaw->reason == NULL;
}
