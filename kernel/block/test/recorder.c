#include "kernel/block/test/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *memory, size_t bytes)
{
    void *larger = realloc(memory, bytes);

    if (larger == NULL)
        abort();
    return larger;
}

static void keep(struct recorder *r, struct recorded entry)
{
    if (r->count == r->room) {
        r->room = r->room * 2 + 64;
        r->log = grown(r->log, r->room * sizeof *r->log);
    }
    r->log[r->count++] = entry;
}

static void record(struct block_device *device, struct block_request *request)
{
    struct recorder *r = container_of((struct block_ops *)device->ops, struct recorder, ops);
    struct recorded entry = {.op = request->op, .flags = request->flags, .sector = request->sector};

    if (request->op == BLOCK_WRITE)
        for (unsigned i = 0; i < request->vector_count; i++)
            entry.bytes += request->vectors[i].bytes;
    if (request->op == BLOCK_DISCARD) {  // as a write of what nobody wrote: it may arrive, or not
        entry.op = BLOCK_WRITE;
        entry.bytes = request->sectors * SECTOR_SIZE;
        entry.data = grown(NULL, entry.bytes);
        memset(entry.data, 0xdd, entry.bytes);
    }
    if (request->op == BLOCK_WRITE) {
        uint8_t *at = entry.data = grown(NULL, entry.bytes);

        for (unsigned i = 0; i < request->vector_count; at += request->vectors[i++].bytes)
            memcpy(at, request->vectors[i].data, request->vectors[i].bytes);
    }
    if (entry.op == BLOCK_WRITE || entry.op == BLOCK_FLUSH)
        keep(r, entry);
    r->below->submit(device, request);
}

void recorder_begin(struct recorder *r, struct block_device *device)
{
    memset(r, 0, sizeof *r);
    r->device = device;
    r->below = device->ops;
    r->ops = *device->ops;
    r->ops.submit = record;
    device->ops = &r->ops;
}

void recorder_end(struct recorder *r) { r->device->ops = r->below; }

void recorder_free(struct recorder *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->log[i].data);
    free(r->log);
}

// The file: a superblock in its first sector; then each entry: a sector that says what, and the data.
#define LOG_MAGIC 0x6a736677736872ull
enum { LOG_FLUSH = 1, LOG_FUA = 2, LOG_DISCARD = 4 };
struct log_head {
    uint64_t magic, version, entries;
    uint32_t sector_size;
};
struct log_entry {
    uint64_t sector, sectors, flags, bytes;
};

static bool load_entry(struct recorder *r, FILE *in, uint32_t sector_size)
{
    uint8_t raw[4096];
    struct log_entry e;

    if (fread(raw, 1, sector_size, in) != sector_size)
        return false;
    memcpy(&e, raw, sizeof e);
    if (e.flags & LOG_FLUSH)
        keep(r, (struct recorded){.op = BLOCK_FLUSH});
    if (e.flags & LOG_DISCARD || e.sectors == 0)
        return true;
    uint64_t bytes = e.sectors * sector_size;
    uint8_t *data = bytes > 64u << 20 ? NULL : grown(NULL, bytes);
    if (data == NULL || fread(data, 1, bytes, in) != bytes) {
        free(data);
        return false;
    }
    keep(r, (struct recorded){.op = BLOCK_WRITE, .flags = e.flags & LOG_FUA ? BLOCK_FUA : 0,
                              .sector = e.sector * (sector_size / SECTOR_SIZE), .bytes = bytes, .data = data});
    return true;
}

bool recorder_load(struct recorder *r, const char *file)
{
    FILE *in = fopen(file, "rb");
    uint8_t raw[SECTOR_SIZE];
    struct log_head head;
    bool good;

    memset(r, 0, sizeof *r);
    if (in == NULL)
        return false;
    good = fread(raw, 1, sizeof raw, in) == sizeof raw;
    memcpy(&head, raw, sizeof head);
    good = good && head.magic == LOG_MAGIC && head.version == 1 && head.sector_size >= SECTOR_SIZE && head.sector_size <= 4096 &&
           fseek(in, (long)head.sector_size, SEEK_SET) == 0;
    for (uint64_t i = 0; good && i < head.entries; i++)
        good = load_entry(r, in, head.sector_size);
    fclose(in);
    return good;
}

void power_cut_begin(struct power_cut *cut, const struct recorder *record, uint8_t *medium)
{
    *cut = (struct power_cut){.record = record, .certain = medium};
}

static void apply(uint8_t *medium, const struct recorded *w)
{
    memcpy(medium + w->sector * SECTOR_SIZE, w->data, w->bytes);
}

void power_cut_advance(struct power_cut *cut, size_t at)
{
    for (; cut->at < at && cut->at < cut->record->count; cut->at++) {
        if (cut->record->log[cut->at].op != BLOCK_FLUSH)
            continue;
        for (; cut->first < cut->at; cut->first++)
            if (cut->record->log[cut->first].op == BLOCK_WRITE)
                apply(cut->certain, &cut->record->log[cut->first]);
    }
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void apply_some(uint8_t *medium, const struct recorded *w, uint64_t *state)
{
    for (uint64_t done = 0; done < w->bytes; done += SECTOR_SIZE)
        if (next(state) & 1)
            memcpy(medium + w->sector * SECTOR_SIZE + done, w->data + done, SECTOR_SIZE);
}

// `torn`: how many writes before the one that is torn this is.
static void apply_by_mode(uint8_t *medium, const struct recorded *w, enum cut_mode mode, size_t torn, uint64_t *state)
{
    switch (mode) {
    case CUT_ALL:
        apply(medium, w);
        break;
    case CUT_WRITES:
        if (next(state) & 1)
            apply(medium, w);
        break;
    case CUT_SECTORS:
        apply_some(medium, w, state);
        break;
    case CUT_TORN:
        if (torn > 0)
            apply(medium, w);
        else
            apply_some(medium, w, state);
        break;
    default:
        break;
    }
}

void power_cut_image(const struct power_cut *cut, enum cut_mode mode, uint64_t seed, uint8_t *out, uint64_t bytes)
{
    const struct recorded *log = cut->record->log;
    uint64_t state = seed * 2 + 1;
    size_t end = MIN(cut->at + (mode != CUT_ALL && mode != CUT_NONE), cut->record->count), span = end - cut->first;
    size_t torn = span == 0 ? 0 : next(&state) % span;

    memcpy(out, cut->certain, bytes);
    for (size_t i = cut->first; i < end; i++) {
        if (log[i].op != BLOCK_WRITE)
            continue;
        if (i < cut->at && log[i].flags & BLOCK_FUA)
            apply(out, &log[i]);
        else if (mode != CUT_TORN || i - cut->first <= torn)
            apply_by_mode(out, &log[i], mode, torn - (i - cut->first), &state);
    }
}
