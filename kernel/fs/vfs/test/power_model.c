#include "kernel/fs/vfs/test/power_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct power_sector {
    uint32_t now;       // version; 0: zeros
    uint32_t low, high; // versions it may have
    bool zero;          // it may read as zeros
};

struct power_file {
    uint32_t sectors, least, most;  // size now, and since the last sync
    bool kept;                      // a sync has confirmed it, and it has a name still
    struct power_sector sector[POWER_SECTORS];
};

void power_note(struct power_events *events, struct power_event event)
{
    if (events->count == events->room) {
        events->room = events->room * 2 + 64;
        events->list = realloc(events->list, events->room * sizeof *events->list);
        if (events->list == NULL)
            abort();
    }
    events->list[events->count++] = event;
}

void power_events_free(struct power_events *events) { free(events->list); }

static struct power_file *file_of(struct power_model *model, uint32_t id)
{
    if (model->files[id] == NULL) {
        model->files[id] = calloc(1, sizeof *model->files[id]);
        if (model->files[id] == NULL)
            abort();
        for (unsigned i = 0; i < POWER_SECTORS; i++)
            model->files[id]->sector[i].zero = true;
    }
    return model->files[id];
}

static void set_name(struct power_name *name, uint32_t id)
{
    name->now = id;
    if (name->count == 64)
        abort();  // the workload syncs more often
    name->may_be[name->count++] = id;
}

static bool has_name(const struct power_model *model, uint32_t id)
{
    for (unsigned p = 0; p < POWER_PATHS; p++)
        if (model->names[p].now == id)
            return true;
    return false;
}

// A rename gives the new name first.
static void give_name(struct power_model *model, uint32_t path, uint32_t id)
{
    uint32_t before = model->names[path].now;

    set_name(&model->names[path], id);
    if (before != 0 && !has_name(model, before))
        file_of(model, before)->kept = false;
}

static void resize(struct power_file *f, uint32_t sectors)
{
    for (uint32_t i = sectors; i < POWER_SECTORS; i++) {
        f->sector[i].now = 0;
        f->sector[i].zero = true;
    }
    f->sectors = sectors;
    f->least = sectors < f->least ? sectors : f->least;
    f->most = sectors > f->most ? sectors : f->most;
}

static void settle_file(struct power_file *f)
{
    f->least = f->most = f->sectors;
    for (unsigned i = 0; i < POWER_SECTORS; i++) {
        struct power_sector *s = &f->sector[i];

        s->low = s->high = s->now;
        s->zero = s->now == 0;
    }
}

static void settle_name(struct power_name *name)
{
    name->may_be[0] = name->now;
    name->count = 1;
}

// The file is durable under the name it has, and under none that it had.
static void settle_names_of(struct power_model *model, uint32_t id)
{
    for (unsigned p = 0; p < POWER_PATHS; p++) {
        struct power_name *name = &model->names[p];
        uint32_t kept = 0;

        if (name->now == id) {
            settle_name(name);
            continue;
        }
        for (uint32_t i = 0; i < name->count; i++)
            if (name->may_be[i] != id)
                name->may_be[kept++] = name->may_be[i];
        name->count = kept;
    }
}

static void play(struct power_model *model, const struct power_event *e)
{
    struct power_file *f = e->id == 0 ? NULL : file_of(model, e->id);

    switch (e->what) {
    case POWER_NAME:
        give_name(model, e->path, e->id);
        break;
    case POWER_WRITE:
        if (e->first + e->count > f->sectors)
            resize(f, e->first + e->count);
        for (uint32_t i = e->first; i < e->first + e->count; i++)
            f->sector[i].now = f->sector[i].high = e->version;
        break;
    case POWER_SIZE:
        resize(f, e->first);
        break;
    case POWER_ZERO:
        for (uint32_t i = e->first; i < e->first + e->count; i++) {
            f->sector[i].now = 0;
            f->sector[i].zero = true;
        }
        break;
    case POWER_SYNC_FILE:
        settle_file(f);
        settle_names_of(model, e->id);
        f->kept = has_name(model, e->id);
        break;
    case POWER_SYNC_ALL:
        for (unsigned i = 0; i < POWER_FILES; i++)
            if (model->files[i] != NULL) {
                settle_file(model->files[i]);
                model->files[i]->kept = has_name(model, i);
            }
        for (unsigned p = 0; p < POWER_PATHS; p++)
            settle_name(&model->names[p]);
        break;
    }
}

struct power_model *power_model_at(const struct power_events *events, size_t cut)
{
    struct power_model *model = calloc(1, sizeof *model);

    if (model == NULL)
        abort();
    for (unsigned p = 0; p < POWER_PATHS; p++)
        set_name(&model->names[p], 0);
    for (size_t i = 0; i < events->count; i++) {
        const struct power_event *e = &events->list[i];
        bool sync = e->what == POWER_SYNC_FILE || e->what == POWER_SYNC_ALL;

        if (sync ? e->end <= cut : e->begin <= cut)
            play(model, e);
    }
    return model;
}

void power_model_free(struct power_model *model)
{
    for (unsigned i = 0; i < POWER_FILES; i++)
        free(model->files[i]);
    free(model);
}

void power_fill(uint8_t *data, uint32_t id, uint32_t first, uint32_t count, uint32_t version)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t words[POWER_SECTOR / 4];

        power_fill_sector(words, id, first + i, version);
        memcpy(data + (size_t)i * POWER_SECTOR, words, sizeof words);
    }
}

static bool sector_is_right(const struct power_sector *s, uint32_t id, uint32_t at, const uint8_t *data)
{
    static const uint8_t zeros[POWER_SECTOR];
    uint8_t whole[POWER_SECTOR];
    uint32_t version;

    if (memcmp(data, zeros, sizeof zeros) == 0)
        return s->zero || s->low == 0;
    memcpy(&version, data + 8, sizeof version);
    power_fill(whole, id, at, 1, version);
    return version != 0 && version >= s->low && version <= s->high && memcmp(data, whole, sizeof whole) == 0;
}

static bool file_is_right(const struct power_file *f, uint32_t id, const uint8_t *data, uint64_t bytes, char *why, size_t room)
{
    uint32_t sectors = (uint32_t)(bytes / POWER_SECTOR);

    if (bytes % POWER_SECTOR != 0 || sectors < f->least || sectors > f->most) {
        snprintf(why, room, "%llu bytes, may have %u to %u", (unsigned long long)bytes, f->least * POWER_SECTOR,
                 f->most * POWER_SECTOR);
        return false;
    }
    for (uint32_t i = 0; i < sectors; i++) {
        const struct power_sector *s = &f->sector[i];
        uint32_t words[3];

        if (sector_is_right(s, id, i, data + (size_t)i * POWER_SECTOR))
            continue;
        memcpy(words, data + (size_t)i * POWER_SECTOR, sizeof words);
        snprintf(why, room, "sector %u begins %#x %#x %#x, may be version %u to %u%s of file %u", i, words[0], words[1], words[2],
                 s->low, s->high, s->zero ? " or zeros" : "", id);
        return false;
    }
    return true;
}

bool power_model_allows(const struct power_model *model, uint32_t path, const uint8_t *data, uint64_t bytes, uint32_t *id,
                        char *why, size_t room)
{
    const struct power_name *name = &model->names[path];

    snprintf(why, room, data == NULL ? "it must be there" : "it must not be there");
    for (uint32_t i = name->count; i-- > 0;) {
        *id = name->may_be[i];
        if (*id == 0 ? data == NULL : data != NULL && file_is_right(model->files[*id], *id, data, bytes, why, room))
            return true;
    }
    *id = 0;
    return false;
}

bool power_model_may_be(const struct power_model *model, uint32_t path, uint32_t id)
{
    const struct power_name *name = &model->names[path];

    for (uint32_t i = 0; i < name->count; i++)
        if (name->may_be[i] == id)
            return true;
    return false;
}

bool power_model_is_settled(const struct power_model *model, uint32_t path) { return model->names[path].count <= 1; }

uint32_t power_model_missing(const struct power_model *model, const bool found[POWER_FILES])
{
    for (uint32_t id = 1; id < POWER_FILES; id++)
        if (model->files[id] != NULL && model->files[id]->kept && !found[id])
            return id;
    return 0;
}
