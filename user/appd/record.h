// What is kept of an installed app: its manifest, the module's digest, and what the installer granted. The text is sealed.
#pragma once
#include "user/appd/digest.h"
#include "user/appd/manifest.h"

#define RECORD_MAX 4096u  // bytes of a record's text

// What an app gets is what its manifest asks for and this grants.
struct app_grants {
    bool environment, jit;
    uint64_t memory, time;                   // most of each; 0: what the manifest says
    char directories[APP_DIRECTORIES_MAX][APP_PATH_MAX + 1];  // of the manifest's: the path that is shown; "": not granted
    bool writes[APP_DIRECTORIES_MAX];
};

struct app_record {
    struct app_manifest manifest;
    struct app_grants grants;
    struct digest module;
};

// The sealed text: its length, or 0 where it does not fit.
size_t app_record_write(const struct app_record *record, const struct digest *key, char *buffer, size_t size);
// False where it was not written under this key.
[[nodiscard]] bool app_record_read(const struct digest *key, struct text whole, struct app_record *out);
// When the key is lost: what the text says, whoever wrote it, but grants nothing.
[[nodiscard]] bool app_record_salvage(struct text whole, struct app_record *out);

// Whether it runs what was compiled before it starts.
bool app_is_compiled(const struct app_record *record);
// What it gets: asked and granted.
bool app_gets_environment(const struct app_record *record);
bool app_gets_jit(const struct app_record *record);
uint64_t app_memory(const struct app_record *record);
uint64_t app_time(const struct app_record *record);   // ns, 0: no limit
// Takes from `from` what still fits this manifest: after an update no app has more than it had.
void app_grants_keep(struct app_record *record, const struct app_record *from);
