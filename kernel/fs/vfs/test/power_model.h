// What a crash may leave of a workload's files. Each sector of data tells whose it is and how new:
//
//     file id, sector, version, filler made of these
//
// The workload notes its operations with the place in the device's record where each began and ended. For a cut, the model
// plays those that had begun: a name may be anything it was since it was last synced, a sector any version since then, and
// what a completed sync promised is all that it may be.
#pragma once
#include <stdbool.h>

#include "lib/test/power_script.h"

enum power_what { POWER_NAME, POWER_WRITE, POWER_SIZE, POWER_ZERO, POWER_SYNC_FILE, POWER_SYNC_ALL };

struct power_event {
    enum power_what what;
    size_t begin, end;       // requests that were recorded before it, and before its end
    uint32_t path, id;       // NAME: id 0: it is gone
    uint32_t first, count;   // sectors of WRITE and ZERO; SIZE: first is the new size in sectors
    uint32_t version;
};

struct power_events {
    struct power_event *list;
    size_t count, room;
};
void power_note(struct power_events *events, struct power_event event);
void power_events_free(struct power_events *events);

struct power_file;
struct power_name {
    uint32_t now, count, may_be[64];
};
struct power_model {
    struct power_name names[POWER_PATHS];
    struct power_file *files[POWER_FILES];  // by id
};

// The model after the requests before `cut` were done and the next was on its way. To be freed.
struct power_model *power_model_at(const struct power_events *events, size_t cut);
void power_model_free(struct power_model *model);
// Whether nothing (data NULL) or a file of that content may be found there; *id is that file's, or 0. Else writes why not,
// into `why`.
bool power_model_allows(const struct power_model *model, uint32_t path, const uint8_t *data, uint64_t bytes, uint32_t *id,
                        char *why, size_t room);
// Whether a file may have that path.
bool power_model_may_be(const struct power_model *model, uint32_t path, uint32_t id);
// Whether all that was done to a path has been confirmed.
bool power_model_is_settled(const struct power_model *model, uint32_t path);
// A file that a sync has confirmed, and that was since moved at most, of which nothing was found; 0: none.
uint32_t power_model_missing(const struct power_model *model, const bool found[POWER_FILES]);

void power_fill(uint8_t *data, uint32_t id, uint32_t first, uint32_t count, uint32_t version);
