// What makes an artifact one that may run: its entry in the cache carries our MAC and says module, engine, settings and processor
// as they are now, and the artifact is the one that the entry tells of, to the last byte.
#pragma once
#include "user/appd/digest.h"

#define ENGINE_TEXT_MAX 47u
#define ENTRY_MAX 1024u  // bytes of an entry's text

// What code was made with and for.
struct engine_identity {
    char engine[ENGINE_TEXT_MAX + 1];    // "wasmtime 48.0.8"
    char settings[ENGINE_TEXT_MAX + 1];  // a name for all that was chosen when the engine and its compiler were built and set up
    char cpu[ENGINE_TEXT_MAX + 1];       // "x86-64-v3": instructions that the code may use
};

struct artifact_entry {
    struct digest module;                // the WebAssembly that it was made of
    struct engine_identity made;
    struct digest artifact;
    uint64_t size;
};

enum verdict {
    VERDICT_VALID,
    VERDICT_MISSING,         // no entry, or no artifact
    VERDICT_ENTRY_CHANGED,   // not as we wrote it, or under another key
    VERDICT_OTHER_MODULE,
    VERDICT_OTHER_ENGINE,
    VERDICT_OTHER_SETTINGS,
    VERDICT_OTHER_CPU,
    VERDICT_ARTIFACT_CHANGED,
};
const char *verdict_text(enum verdict verdict);

// "engine = ...", "settings = ...", as the boot archive has it. False: anything else in it.
[[nodiscard]] bool engine_identity_parse(struct text content, struct engine_identity *out);
// The entry's text, sealed: its length, or 0 where it does not fit.
size_t artifact_entry_write(const struct artifact_entry *entry, const struct digest *key, char *buffer, size_t size);
// Looks at everything. `artifact` must not change meanwhile, nor before it runs.
enum verdict artifact_verify(const struct digest *key, const struct digest *module, const struct engine_identity *now, struct text entry,
                             const void *artifact, uint64_t size);
