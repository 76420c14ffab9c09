// What each process of the guest's power-cut workload does, step by step: the same for the same seed, in the guest
// (tests/guest/power.c), which does it, and on the host, which knows from it what may be found after a cut. Each sector of
// data tells which file's it is, which of it, and its version, so that the record of a disk shows how far each process was.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "lib/fmt.h"

#define POWER_SECTOR 512u
#define POWER_SECTORS 256u    // of a file, at most
#define POWER_PATHS 48u
#define POWER_PROCESSES 4u
#define POWER_OWN_PATHS 12u   // of a process
#define POWER_OWN_IDS 1000u   // of its files; ids of process p begin at p * POWER_OWN_IDS + 1
#define POWER_FILES 4096u

enum power_do { POWER_DO_CREATE, POWER_DO_WRITE, POWER_DO_SYNC, POWER_DO_RENAME, POWER_DO_UNLINK, POWER_DO_RESIZE };

struct power_step {
    enum power_do what;
    uint32_t path, to;                // `to`: RENAME
    uint32_t id, first, count, version;  // sectors; RESIZE: to `first` of them
};

struct power_script {
    uint64_t random;
    uint32_t process, version, next_id, started;
    uint32_t id[POWER_OWN_PATHS], sectors[POWER_OWN_PATHS];
    struct power_step queue[8];
    uint32_t queued, taken;
};

#define POWER_NAME_ROOM 256u
#define POWER_NAME_LONG 200u  // bytes of a long name, at least
static inline uint32_t power_name_tail(uint32_t path) {
    static const uint8_t lengths[] = {0, 9, 30, 58, 0, 17, 44, 205};
    return lengths[path % sizeof lengths];
}

// A path, relative to the root. Names have many lengths, and so many places in the blocks of directories.
static inline const char *power_path_name(uint32_t path, char out[POWER_NAME_ROOM]) {
    char tail[POWER_NAME_ROOM];
    uint32_t length = power_name_tail(path);
    for (uint32_t i = 0; i < length; i++) tail[i] = (char)('a' + (path + i) % 26);
    tail[length] = 0;
    (void)fmt_print(out, POWER_NAME_ROOM, "d%u/file%u%s", path % 3, path, tail);
    return out;
}

// Data of one sector.
static inline void power_fill_sector(uint32_t *words, uint32_t id, uint32_t sector, uint32_t version) {
    words[0] = id;
    words[1] = sector;
    words[2] = version;
    for (unsigned k = 3; k < POWER_SECTOR / 4; k++)
        words[k] = (id * 2654435761u) ^ (sector * 40503u) ^ (version * 2246822519u) ^ k;
}

static inline uint32_t power_random(struct power_script *s, uint32_t below) {
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->random >> 33) % below;
}

static inline void power_script_begin(struct power_script *s, uint32_t process, uint64_t seed) {
    *s = (struct power_script){.random = seed * 77 + process, .process = process, .next_id = process * POWER_OWN_IDS + 1};
}

static inline void power_push(struct power_script *s, enum power_do what, uint32_t own, uint32_t first, uint32_t count) {
    struct power_step step = {.what = what, .path = s->process * POWER_OWN_PATHS + own, .first = first, .count = count};
    if (what == POWER_DO_CREATE) {
        s->id[own] = s->next_id++;
        s->sectors[own] = 0;
    }
    if (what == POWER_DO_WRITE) {
        step.version = ++s->version;
        if (first + count > s->sectors[own]) s->sectors[own] = first + count;
    }
    if (what == POWER_DO_RESIZE) s->sectors[own] = first;
    step.id = s->id[own];
    if (what == POWER_DO_RENAME) {
        step.to = s->process * POWER_OWN_PATHS + first;
        s->id[first] = s->id[own];
        s->sectors[first] = s->sectors[own];
    }
    if (what == POWER_DO_RENAME || what == POWER_DO_UNLINK) s->id[own] = 0;
    s->queue[s->queued++] = step;
}

// More to a file's end, or the file shorter, or longer.
static inline void power_plan_append(struct power_script *s, uint32_t own, uint32_t count) {
    uint32_t sectors = s->sectors[own], to = power_random(s, sectors + 1), change = power_random(s, 6);
    if (sectors + count > POWER_SECTORS || change == 0) power_push(s, POWER_DO_RESIZE, own, to, 0);
    else if (change == 1) power_push(s, POWER_DO_RESIZE, own, sectors + count, 0);
    else power_push(s, POWER_DO_WRITE, own, sectors, count);
    if (power_random(s, 2) == 0) power_push(s, POWER_DO_SYNC, own, 0, 0);
}

// Own paths: 0..2 are appended to and cut, 3 is overwritten, 5 is written and then renamed to 4, the others come and go.
static inline void power_plan(struct power_script *s) {
    uint32_t own = power_random(s, 3), count = power_random(s, 16) + 1;
    s->queued = s->taken = 0;
    if (s->started < 4) {
        power_push(s, POWER_DO_CREATE, s->started, 0, 0);
        if (s->started == 3) power_push(s, POWER_DO_WRITE, 3, 0, 128);
        power_push(s, POWER_DO_SYNC, s->started++, 0, 0);
        return;
    }
    switch (power_random(s, 8)) {
    case 0: case 1: case 2:
        power_plan_append(s, own, count);
        return;
    case 3: case 4:
        power_push(s, POWER_DO_WRITE, 3, power_random(s, 112), count);
        if (power_random(s, 2) == 0) power_push(s, POWER_DO_SYNC, 3, 0, 0);
        return;
    case 5:
        power_push(s, POWER_DO_CREATE, 5, 0, 0);
        power_push(s, POWER_DO_WRITE, 5, 0, count);
        power_push(s, POWER_DO_SYNC, 5, 0, 0);
        power_push(s, POWER_DO_RENAME, 5, 4, 0);
        if (power_random(s, 2) == 0) power_push(s, POWER_DO_SYNC, 4, 0, 0);
        return;
    default:
        own = 6 + power_random(s, 6);
        if (s->id[own] != 0) {
            power_push(s, POWER_DO_UNLINK, own, 0, 0);
            return;
        }
        power_push(s, POWER_DO_CREATE, own, 0, 0);
        power_push(s, POWER_DO_WRITE, own, 0, count);
        if (power_random(s, 2) == 0) power_push(s, POWER_DO_SYNC, own, 0, 0);
    }
}

static inline struct power_step power_next_step(struct power_script *s) {
    if (s->taken == s->queued) power_plan(s);
    return s->queue[s->taken++];
}
