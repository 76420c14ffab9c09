#include "kernel/fs/vfs/test/power_guest.h"

#include <stdlib.h>
#include <string.h>

#define NEVER SIZE_MAX

unsigned power_setting(const char *name, unsigned usual)
{
    const char *value = getenv(name);

    return value == NULL ? usual : (unsigned)strtoul(value, NULL, 0);
}

// ---- where the data of each version first appear --------------------------------------------------------------------------------

static size_t first_seen[POWER_PROCESSES][POWER_STEPS_MOST + 1];  // by version

static void find_versions(const struct power_log *log)
{
    for (unsigned p = 0; p < POWER_PROCESSES; p++)
        for (unsigned v = 0; v <= POWER_STEPS_MOST; v++)
            first_seen[p][v] = NEVER;
    for (size_t i = log->record.count; i-- > 0;) {
        const struct recorded *w = &log->record.log[i];

        for (uint64_t at = 0; at < w->bytes; at += POWER_SECTOR) {
            uint32_t words[POWER_SECTOR / 4], right[POWER_SECTOR / 4];

            memcpy(words, w->data + at, sizeof words);
            if (words[0] == 0 || words[0] > POWER_PROCESSES * POWER_OWN_IDS || words[2] > POWER_STEPS_MOST)
                continue;
            power_fill_sector(right, words[0], words[1], words[2]);
            if (memcmp(words, right, sizeof words) == 0)
                first_seen[(words[0] - 1) / POWER_OWN_IDS][words[2]] = i;
        }
    }
}

// ---- what each process did, and when at the earliest or latest -----------------------------------------------------------------

static struct power_event event_of(const struct power_step *step)
{
    struct power_event e = {.path = step->path, .id = step->id, .first = step->first, .count = step->count,
                            .version = step->version};

    switch (step->what) {
    case POWER_DO_CREATE:
        e.what = POWER_NAME;
        break;
    case POWER_DO_UNLINK:
        e.what = POWER_NAME;
        e.id = 0;
        break;
    case POWER_DO_RENAME:
        e.what = POWER_NAME;
        e.path = step->to;
        break;
    case POWER_DO_WRITE:
        e.what = POWER_WRITE;
        break;
    case POWER_DO_SYNC:
        e.what = POWER_SYNC_FILE;
        break;
    case POWER_DO_RESIZE:
        e.what = POWER_SIZE;
    }
    return e;
}

// A step began after the sync before it had returned, and that was after that file's data went to the disk. A sync had
// returned before data of a later step went there.
static void note_process(struct power_log *log, uint32_t process, unsigned steps, uint64_t seed)
{
    static size_t of_file[POWER_OWN_IDS + 1], later[POWER_STEPS_MOST + 2];
    struct power_script script;
    size_t began = 0;
    uint32_t versions = 0;

    memset(of_file, 0, sizeof of_file);
    power_script_begin(&script, process, seed);
    for (unsigned i = 0; i < steps; i++)
        versions = MAX(versions, power_next_step(&script).version);
    later[versions + 1] = NEVER;
    for (uint32_t v = versions; v > 0; v--)
        later[v] = MIN(later[v + 1], first_seen[process][v]);
    power_script_begin(&script, process, seed);
    for (unsigned i = 0, version = 0; i < steps; i++) {
        struct power_step step = power_next_step(&script);
        struct power_event e = event_of(&step);
        uint32_t own = step.id - process * POWER_OWN_IDS;

        version = MAX(version, step.version);
        e.begin = began;
        e.end = later[version + 1];
        power_note(&log->events, e);
        if (step.what == POWER_DO_RENAME) {
            e.path = step.path;
            e.id = 0;
            power_note(&log->events, e);
        }
        if (step.what == POWER_DO_WRITE && first_seen[process][step.version] != NEVER)
            of_file[own] = MAX(of_file[own], first_seen[process][step.version]);
        if (step.what == POWER_DO_SYNC)
            began = MAX(began, of_file[own]);
    }
}

void power_guest_note(struct power_log *log, unsigned steps, uint64_t seed)
{
    if (steps > POWER_STEPS_MOST)
        abort();
    find_versions(log);
    for (uint32_t p = 0; p < POWER_PROCESSES; p++)
        note_process(log, p, steps, seed);
}
