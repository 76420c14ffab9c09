// The apps that are installed. Each has its module and artifact pinned in the cache. Any thread.
#pragma once
#include "user/appd/cache.h"
#include "user/appd/record.h"

// What is taken of an app at one moment: its record and artifact belong together, whatever an update does meanwhile.
struct app_version {
    struct app_record record;
    struct artifact *artifact;  // pinned for the caller
};

// What the app runs, or would.
enum artifact_kind app_artifact_kind(const struct app_record *record);

// Reads all records. Where the key was lost they are kept without their grants, and sealed anew; one that does not hold is told in
// the log and left out. Negative errno: the folder cannot be read.
[[nodiscard]] int64_t apps_open(const struct store *store, const struct digest *key, bool key_lost);

// -ENOENT. Ends with app_version_put.
[[nodiscard]] int64_t apps_take(const char *name, struct app_version *out);
[[nodiscard]] int64_t apps_take_nth(uint32_t index, struct app_version *out);  // by name
void app_version_put(struct app_version *version);
uint32_t apps_count(void);

enum apps_rule { APPS_NEW, APPS_REPLACE };
// Makes it the app of its name, on the disk first. -EEXIST for one that is new and there, -ENOENT for a replacement of nothing. The
// artifact's pin is copied. With APPS_REPLACE the grants of directories come from the one before.
[[nodiscard]] int64_t apps_commit(const struct app_version *version, enum apps_rule rule);
// Changes the grant of a directory, which the manifest must ask for: -ENOENT, -EINVAL.
[[nodiscard]] int64_t apps_grant(const char *name, const char *guest, const char *path, bool writes);
[[nodiscard]] int64_t apps_remove(const char *name);
