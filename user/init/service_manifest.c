#include "user/init/service_manifest.h"

#include "lib/manifest.h"
#include "lib/string.h"
#include "user/init/options.h"

#define MILLISECOND 1000000ull

// What is wrong with a value, or NULL.
typedef const char *set_fn(struct service_manifest *m, struct text value);

static struct text next_word(struct text *rest) {
    *rest = text_trim(*rest);
    struct text word = text_split(rest, ' ');
    return text_trim(word);
}

static const char *set_program(struct service_manifest *m, struct text value) {
    if (m->program.size != 0) return "there is a program already";
    if (value.size == 0 || value.data[0] != '/') return "a program is a path in the boot archive: /...";
    m->program = value;
    return NULL;
}

static const char *set_argument(struct service_manifest *m, struct text value) {
    if (m->argument_count == SERVICE_ARGUMENTS_MAX) return "too many arguments";
    m->arguments[m->argument_count++] = value;
    return NULL;
}

static const char *set_needs(struct service_manifest *m, struct text value) {
    for (struct text word = next_word(&value); word.size != 0; word = next_word(&value)) {
        if (m->need_count == SERVICE_NEEDS_MAX) return "needs too many services";
        if (word.size > SERVICE_NAME_MAX) return "the name of a service is too long";
        m->needs[m->need_count++] = word;
    }
    return NULL;
}

struct right_name {
    const char *name;
    uint32_t right;
};
static const struct right_name right_names[] = {
    {"inspect", KPIO_RIGHT_INSPECT}, {"log", KPIO_RIGHT_LOG}, {"power", KPIO_RIGHT_POWER},
    {"device", KPIO_RIGHT_DEVICE}, {"audit", KPIO_RIGHT_AUDIT}, {"transfer", KPIO_RIGHT_TRANSFER},
    {"duplicate", KPIO_RIGHT_DUPLICATE}, {"manage", KPIO_RIGHT_MANAGE},
};
static const struct right_name root_names[] = {
    {"read", KPIO_RIGHT_READ}, {"write", KPIO_RIGHT_WRITE}, {"execute", KPIO_RIGHT_EXECUTE}, {"inspect", KPIO_RIGHT_INSPECT},
    {"manage", KPIO_RIGHT_MANAGE}, {"transfer", KPIO_RIGHT_TRANSFER}, {"duplicate", KPIO_RIGHT_DUPLICATE},
};

static bool find_rights(struct grant *grant, struct text rest, const struct right_name *names, size_t count) {
    for (struct text word = next_word(&rest); word.size != 0; word = next_word(&rest)) {
        uint32_t found = 0;
        for (size_t i = 0; i < count; i++)
            if (text_equal(word, text_of(names[i].name))) found = names[i].right;
        if (found == 0) return false;
        grant->rights |= found;
    }
    return true;
}

static const char *parse_rights(struct grant *grant, struct text rest) {
    if (grant->kind != GRANT_SYSTEM && !find_rights(grant, rest, root_names, ARRAY_SIZE(root_names)))
        return "unknown right: read write execute inspect manage transfer duplicate";
    if (grant->kind == GRANT_SYSTEM && !find_rights(grant, rest, right_names, ARRAY_SIZE(right_names)))
        return "unknown right: inspect log power device audit transfer duplicate";
    return grant->rights == 0 ? "which rights?" : NULL;
}

static bool hex_of(struct text digits, uint32_t *out) {
    uint32_t value = 0;
    if (digits.size == 0 || digits.size > 4) return false;
    for (size_t i = 0; i < digits.size; i++) {
        char c = digits.data[i];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : 16;
        if (digit > 15) return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

static const char *parse_functions(struct grant *grant, struct text rest) {
    for (struct text word = next_word(&rest); word.size != 0; word = next_word(&rest)) {
        uint32_t vendor, device;
        struct text vendor_text = text_split(&word, ':');
        if (!hex_of(vendor_text, &vendor) || !hex_of(word, &device)) return "expected VENDOR:DEVICE, hexadecimal";
        if (grant->function_count == SERVICE_PCI_MAX) return "too many PCI functions";
        grant->functions[grant->function_count++] = vendor | device << 16;
    }
    return grant->function_count == 0 ? "which PCI function?" : NULL;
}

static const char *parse_prefix(struct grant *grant, struct text rest) {
    grant->prefix = next_word(&rest);
    return grant->prefix.size == 0 ? "mounts of which tags? A beginning of them" : rest.size != 0 ? "one beginning of tags" : NULL;
}

static const char *set_grant(struct service_manifest *m, struct text value) {
    static const char *const kinds[] = {"console", "archive", "job", "control", "system", "pci", "framebuffer", "root", "memory", "mount"};
    struct text word = next_word(&value);
    struct grant grant = {0};
    size_t kind = 0;
    while (kind < ARRAY_SIZE(kinds) && !text_equal(word, text_of(kinds[kind]))) kind++;
    if (kind == ARRAY_SIZE(kinds)) return "unknown grant: console archive job control system pci framebuffer root memory mount";
    if (m->grant_count == SERVICE_GRANTS_MAX) return "too many grants";
    for (uint32_t i = 0; i < m->grant_count; i++)
        if (m->grants[i].kind == (enum grant_kind)kind) return "granted twice";
    grant.kind = (enum grant_kind)kind;
    bool has_rights = grant.kind == GRANT_SYSTEM || grant.kind == GRANT_ROOT || grant.kind == GRANT_MEMORY;
    const char *wrong = has_rights                ? parse_rights(&grant, value)
                        : grant.kind == GRANT_PCI ? parse_functions(&grant, value)
                        : grant.kind == GRANT_MOUNT ? parse_prefix(&grant, value)
                        : value.size != 0         ? "this grant takes nothing more"
                                                  : NULL;
    if (wrong == NULL) m->grants[m->grant_count++] = grant;
    return wrong;
}

static const char *set_serves(struct service_manifest *m, struct text value) {
    return text_to_bool(value, &m->serves) ? NULL : "yes or no";
}
static const char *set_main(struct service_manifest *m, struct text value) {
    return text_to_bool(value, &m->is_main) ? NULL : "yes or no";
}

static const char *set_modes(struct service_manifest *m, struct text value) {
    m->modes = 0;
    for (struct text word = next_word(&value); word.size != 0; word = next_word(&value)) {
        if (text_equal(word, TEXT("demo")))
            m->modes |= 1u << MODE_DEMO;
        else if (text_equal(word, TEXT("shell")))
            m->modes |= 1u << MODE_SHELL;
        else if (text_equal(word, TEXT("idle")))
            m->modes |= 1u << MODE_IDLE;
        else if (text_equal(word, TEXT("linux")))
            m->modes |= 1u << MODE_LINUX;
        else if (text_equal(word, TEXT("run")))
            m->modes |= 1u << MODE_RUN;
        else
            return "unknown mode: demo shell idle linux run";
    }
    return NULL;
}

static const char *set_restart(struct service_manifest *m, struct text value) {
    static const char *const rules[] = {"always", "failure", "never"};
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if (text_equal(value, text_of(rules[i]))) {
            m->restart = (enum restart_rule)i;
            return NULL;
        }
    }
    return "always, failure or never";
}

static const char *set_backoff(struct service_manifest *m, struct text value) {
    uint64_t first, longest;
    struct text word = next_word(&value);
    if (!text_to_duration(word, &first) || !text_to_duration(text_trim(value), &longest))
        return "expected two durations, as in 10ms 2s";
    if (first == 0 || longest < first) return "the longest delay must not be less than the first, nor that 0";
    m->backoff_first = first;
    m->backoff_longest = longest;
    return NULL;
}

static const char *set_attempts(struct service_manifest *m, struct text value) {
    uint64_t number;
    if (!text_to_u64(value, &number) || number == 0 || number > 1000000) return "expected a number from 1 to 1000000";
    m->attempts = (uint32_t)number;
    return NULL;
}

static const char *set_watchdog(struct service_manifest *m, struct text value) {
    return text_to_duration(value, &m->watchdog) && m->watchdog >= MILLISECOND ? NULL : "expected a duration of 1ms or more";
}

static const char *set_ready(struct service_manifest *m, struct text value) {
    return text_to_duration(value, &m->ready) && m->ready >= MILLISECOND ? NULL : "expected a duration of 1ms or more";
}

static const char *set_patience(struct service_manifest *m, struct text value) {
    return text_to_duration(value, &m->patience) ? NULL : "expected a duration, as in 10s";
}

static const char *set_update(struct service_manifest *m, struct text value) {
    m->handover = text_equal(value, TEXT("handover"));
    return m->handover || text_equal(value, TEXT("restart")) ? NULL : "handover or restart";
}

static const char *set_limit(uint64_t *limit, struct text value) {
    return text_to_size(value, limit) && *limit > 0 ? NULL : "expected a number above 0";
}
static const char *set_pages(struct service_manifest *m, struct text value) { return set_limit(&m->limits.pages, value); }
static const char *set_handles(struct service_manifest *m, struct text value) { return set_limit(&m->limits.handles, value); }
static const char *set_threads(struct service_manifest *m, struct text value) { return set_limit(&m->limits.threads, value); }

static const struct {
    const char *key;
    set_fn *set;
} keys[] = {
    {"program", set_program},   {"argument", set_argument}, {"needs", set_needs},     {"grant", set_grant},
    {"serves", set_serves},     {"main", set_main},         {"modes", set_modes},     {"restart", set_restart},
    {"backoff", set_backoff},   {"attempts", set_attempts}, {"watchdog", set_watchdog}, {"update", set_update},
    {"pages", set_pages},       {"handles", set_handles},   {"threads", set_threads}, {"patience", set_patience},
    {"ready", set_ready},
};

static const char *set_entry(struct service_manifest *m, const struct manifest_item *item, bool *in_value) {
    if (text_equal(item->section, TEXT("settings"))) {
        if (m->setting_count == SERVICE_SETTINGS_MAX) return "too many settings";
        m->setting_keys[m->setting_count] = item->key;
        m->setting_values[m->setting_count++] = item->value;
        return NULL;
    }
    *in_value = true;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (text_equal(item->key, text_of(keys[i].key))) return keys[i].set(m, item->value);
    *in_value = false;
    return "unknown key";
}

static void set_defaults(struct service_manifest *m, const char *name) {
    *m = (struct service_manifest){.modes = UINT32_MAX, .backoff_first = 10 * MILLISECOND,
                                   .backoff_longest = 2000 * MILLISECOND, .attempts = 8, .serves = true,
                                   .patience = 60000 * MILLISECOND, .ready = 30000 * MILLISECOND};
    m->limits = (struct kpio_job_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    (void)text_copy(m->name, sizeof(m->name), text_of(name));
    (void)text_copy(m->family, sizeof(m->family), text_of(name));
}

// What is wrong with an item and where; the reason NULL if nothing is.
static struct manifest_error check_item(struct service_manifest *m, const struct manifest_item *item) {
    struct manifest_error error = {.line = item->line, .column = item->column};
    bool in_value = false;
    if (item->kind == MANIFEST_BAD) error.reason = item->reason;
    if (item->kind == MANIFEST_SECTION && !text_equal(item->section, TEXT("settings")))
        error.reason = "unknown section: only [settings]";
    if (item->kind == MANIFEST_ENTRY) error.reason = set_entry(m, item, &in_value);
    if (in_value) error.column = item->value_column;
    return error;
}

unsigned service_manifest_parse(struct service_manifest *manifest, const char *name, struct text content,
                                manifest_report_fn *report, void *context) {
    struct manifest_reader reader;
    struct manifest_item item;
    unsigned errors = 0;

    set_defaults(manifest, name);
    manifest_open(&reader, content);
    while ((item = manifest_next(&reader)).kind != MANIFEST_END) {
        struct manifest_error error = check_item(manifest, &item);
        if (error.reason == NULL) continue;
        errors++;
        report(context, name, &error);
    }
    if (manifest->program.size == 0 && errors == 0) {
        errors++;
        report(context, name, &(struct manifest_error){reader.line, 1, "no program is named"});
    }
    return errors;
}
