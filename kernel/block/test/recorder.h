// What a device was told, and what could be on it if the power had gone at some point of that.
//
// A write is certain once a flush that began after it is done, or at once with BLOCK_FUA. Until then each of its 512-byte
// sectors may or may not have reached the medium, in any order; of several writes of one sector any may be the last.
#pragma once
#include "kernel/block/block.h"

struct recorded {
    uint8_t op, flags;
    uint64_t sector, bytes;
    uint8_t *data;
};

struct recorder {
    struct block_device *device;
    const struct block_ops *below;
    struct block_ops ops;
    struct recorded *log;
    size_t count, room;
};

// From now on all that the device is told is kept. The device stays the caller's.
void recorder_begin(struct recorder *r, struct block_device *device);
void recorder_end(struct recorder *r);
void recorder_free(struct recorder *r);
// The record that QEMU's blklogwrites (or Linux's dm-log-writes: Documentation/admin-guide/device-mapper/log-writes.rst) wrote
// into a file. False: it is none, or ends in the middle of an entry.
bool recorder_load(struct recorder *r, const char *file);

enum cut_mode {
    CUT_ALL,      // everything written so far has arrived
    CUT_NONE,     // only what is certain
    CUT_WRITES,   // of the uncertain writes, some, whole
    CUT_SECTORS,  // some sectors of each
    CUT_TORN,     // all up to one of them, of which some sectors
    CUT_MODES,
};

// Goes through a record from the start on, cut by cut.
struct power_cut {
    const struct recorder *record;
    uint8_t *certain;  // the medium, all bytes of it
    size_t at;         // requests before this one were submitted
    size_t first;      // those before this one are all in `certain`
};

// `medium`: as it was when the record began; the cut's own from now on.
void power_cut_begin(struct power_cut *cut, const struct recorder *record, uint8_t *medium);
// To a later request: those before it are done, it is on its way.
void power_cut_advance(struct power_cut *cut, size_t at);
// What may be found on the medium, into `out`. The same for the same seed.
void power_cut_image(const struct power_cut *cut, enum cut_mode mode, uint64_t seed, uint8_t *out, uint64_t bytes);
