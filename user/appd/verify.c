#include "user/appd/verify.h"

#include "lib/fmt.h"
#include "lib/manifest.h"
#include "user/appd/seal.h"

#define PURPOSE "kpio artifact entry 1"

const char *verdict_text(enum verdict verdict) {
    static const char *const texts[] = {
        [VERDICT_VALID] = "valid",
        [VERDICT_MISSING] = "not compiled",
        [VERDICT_ENTRY_CHANGED] = "its entry was changed, or made under another key",
        [VERDICT_OTHER_MODULE] = "made of another module",
        [VERDICT_OTHER_ENGINE] = "made by another engine",
        [VERDICT_OTHER_SETTINGS] = "made with other settings",
        [VERDICT_OTHER_CPU] = "made for another processor",
        [VERDICT_ARTIFACT_CHANGED] = "the artifact was changed",
    };
    return texts[verdict];
}



// ---- fields -------------------------------------------------------------------------------------------------------------------

enum { ENGINE = 1, SETTINGS = 2, CPU = 4, MODULE = 8, ARTIFACT = 16, SIZE = 32 };
#define ENTRY_FIELDS (ENGINE | SETTINGS | CPU | MODULE | ARTIFACT | SIZE)

static bool set_text(char to[ENGINE_TEXT_MAX + 1], struct text value) {
    return value.size > 0 && text_copy(to, ENGINE_TEXT_MAX + 1, value);
}

// Which field it was; 0: none, or its value is bad.
static uint32_t set_field(struct artifact_entry *e, struct text key, struct text value) {
    if (text_equal(key, TEXT("engine"))) return set_text(e->made.engine, value) ? ENGINE : 0;
    if (text_equal(key, TEXT("settings"))) return set_text(e->made.settings, value) ? SETTINGS : 0;
    if (text_equal(key, TEXT("cpu"))) return set_text(e->made.cpu, value) ? CPU : 0;
    if (text_equal(key, TEXT("module"))) return digest_from_hex(value, &e->module) ? MODULE : 0;
    if (text_equal(key, TEXT("artifact"))) return digest_from_hex(value, &e->artifact) ? ARTIFACT : 0;
    if (text_equal(key, TEXT("size"))) return text_to_u64(value, &e->size) ? SIZE : 0;
    return 0;
}

// Exactly these fields, each once.
static bool parse(struct text content, uint32_t wanted, struct artifact_entry *out) {
    struct manifest_reader reader;
    struct manifest_item item;
    uint32_t seen = 0;
    manifest_open(&reader, content);
    while ((item = manifest_next(&reader)).kind != MANIFEST_END) {
        uint32_t field = item.kind == MANIFEST_ENTRY ? set_field(out, item.key, item.value) : 0;
        if (field == 0 || seen & field || !(wanted & field)) return false;
        seen |= field;
    }
    return seen == wanted;
}

bool engine_identity_parse(struct text content, struct engine_identity *out) {
    struct artifact_entry entry = {.made = *out};
    if (!parse(content, ENGINE | SETTINGS, &entry)) return false;
    *out = entry.made;
    return true;
}

size_t artifact_entry_write(const struct artifact_entry *e, const struct digest *key, char *buffer, size_t size) {
    char module[DIGEST_HEX], artifact[DIGEST_HEX];
    digest_to_hex(&e->module, module);
    digest_to_hex(&e->artifact, artifact);
    size_t used = fmt_print(buffer, size, "module = %s\nengine = %s\nsettings = %s\ncpu = %s\nsize = %lu\nartifact = %s\n", module,
                            e->made.engine, e->made.settings, e->made.cpu, (unsigned long)e->size, artifact);
    return used < size ? seal_append(key, PURPOSE, buffer, used, size) : 0;
}

static bool same(const char *a, const char *b) { return text_equal(text_of(a), text_of(b)); }

enum verdict artifact_verify(const struct digest *key, const struct digest *module, const struct engine_identity *now, struct text entry,
                             const void *artifact, uint64_t size) {
    struct artifact_entry e = {0};
    struct text body;
    if (!seal_check(key, PURPOSE, entry, &body) || !parse(body, ENTRY_FIELDS, &e)) return VERDICT_ENTRY_CHANGED;
    if (!digest_equal(&e.module, module)) return VERDICT_OTHER_MODULE;
    if (!same(e.made.engine, now->engine)) return VERDICT_OTHER_ENGINE;
    if (!same(e.made.settings, now->settings)) return VERDICT_OTHER_SETTINGS;
    if (!same(e.made.cpu, now->cpu)) return VERDICT_OTHER_CPU;
    if (e.size != size) return VERDICT_ARTIFACT_CHANGED;
    struct digest is = digest_of(artifact, size);
    return digest_equal(&is, &e.artifact) ? VERDICT_VALID : VERDICT_ARTIFACT_CHANGED;
}
