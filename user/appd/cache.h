// Modules and the artifacts that were made of them. An artifact that may run is held sealed: checked once, through the handle that
// it is run by, and not writable from before that check until it is dropped.
//
//     UNKNOWN ──check──▶ SEALED        checked since appd began, and held
//        │                  ▲
//        └──▶ ABSENT ──compile          missing, or dropped by the check
//
// While one thread checks or compiles an artifact the others that want it wait. Any thread; no lock of the caller's.
#pragma once
#include "user/appd/store.h"

#define CACHE_TEXT_MAX 512u

// What an artifact holds: machine code, or byte code, which the engine interprets. A module may have one of each.
enum artifact_kind { ARTIFACT_CODE, ARTIFACT_BYTE_CODE, ARTIFACT_KINDS };
struct artifact;

struct cache_counts {
    uint32_t checked, valid, dropped, compiled, failed;
};

void cache_open(const struct store *store, const struct digest *key);
struct cache_counts cache_count(void);

// Takes a module in under its digest: the file is written unless it is there as it should be.
[[nodiscard]] int64_t cache_add_module(const struct digest *module, const void *data, uint64_t size);
// The artifact of a module, which stays, as the module does, until it is unpinned; NULL: no memory. Each app has one pinned.
struct artifact *cache_pin(const struct digest *module, enum artifact_kind kind);
// Once more.
void cache_pin_again(struct artifact *artifact);
void cache_unpin(struct artifact *artifact);
// Checks it, if nobody has. *dropped, if not NULL, tells why it was dropped just now, or NULL. True: it may run.
bool cache_check(struct artifact *artifact, const char **dropped);
// Checks it, and compiles it where it must. 0, or a negative errno and text, terminated.
[[nodiscard]] int64_t cache_ensure(struct artifact *artifact, char text[CACHE_TEXT_MAX]);
const char *cache_state_text(const struct artifact *artifact);
// The file of one that may run, or of its module, to be given to who runs it (the caller's): READ, and EXECUTE of code. Both stay
// sealed as long as the artifact is pinned. -ESTALE: the module is not what its digest says.
[[nodiscard]] int64_t cache_artifact_file(struct artifact *artifact);
[[nodiscard]] int64_t cache_module_file(struct artifact *artifact);
// What is not pinned goes from the disk. What runs of it goes on.
void cache_collect(void);
