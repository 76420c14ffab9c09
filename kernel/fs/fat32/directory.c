// Directories: rows of 32-byte entries. A long name stands before its short entry, last piece first.
#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "lib/string.h"

#define LONG_PIECE 13u    // units in one entry
#define SHORT_ATTEMPTS 64u

// ---- entries one by one -----------------------------------------------------------------------------------------------------

struct walk {
    struct fat_inode *dir;
    struct buffer *b;      // of the entry looked at last, held
};

static void walk_end(struct walk *w) {
    if (w->b != NULL) buffer_put(w->b);
    w->b = NULL;
}

// Entry number `index`, borrowed until the next call: 1; 0: the chain ends before.
static int walk_to(struct walk *w, uint32_t index, struct fat_entry **e, uint64_t *position) {
    struct fat_volume *v = fat_volume_of_inode(w->dir);
    uint64_t offset = (uint64_t)index * FAT_ENTRY_BYTES;
    uint32_t cluster, count;
    if (index >= FAT_DIRECTORY_ENTRIES) return 0;
    int found = fat_chain_find(w->dir, (uint32_t)(offset >> v->cluster_shift), &cluster, &count);
    if (found <= 0) return found;
    uint64_t block = fat_cluster_block(v, cluster) + ((offset & (fat_cluster_bytes(v) - 1)) >> v->block_shift);
    uint32_t inside = (uint32_t)(offset & (v->block_bytes - 1));
    if (w->b == NULL || w->b->block != block) {
        walk_end(w);
        int error = buffer_read(v->buffers, block, &w->b);
        if (error) {
            w->b = NULL;
            return error;
        }
    }
    *e = (struct fat_entry *)(void *)(w->b->data + inside);
    *position = (block << v->block_shift | inside) / FAT_ENTRY_BYTES;
    return 1;
}

// The same for entries that are changed one after another: what was changed in the block before is to be written first.
static int walk_on(struct walk *w, uint32_t index, struct fat_entry **e, uint64_t *position) {
    struct buffer *before = w->b;
    if (before != NULL) buffer_get(before);
    int more = walk_to(w, index, e, position), error = 0;
    if (before != NULL) {
        if (more > 0) error = fat_order(fat_volume_of_inode(w->dir), before, w->b);
        buffer_put(before);
    }
    return error ? error : more;
}

// ---- names ------------------------------------------------------------------------------------------------------------------

// A long name as it is gathered: pieces must come in falling order, with one checksum.
struct gather {
    uint8_t expected, checksum;  // expected: the piece that must come next; 0: complete; 0xff: none under way
    uint32_t first, units;
};

static void gather_piece(struct fat_volume *v, struct gather *g, const struct fat_long *l, uint32_t index) {
    uint8_t order = l->order & 0x3f;
    bool starts = l->order & 0x40;
    if (order == 0 || order > 20 || (!starts && (order != g->expected || l->checksum != g->checksum))) {
        g->expected = 0xff;
        return;
    }
    uint16_t *to = v->scratch->units + (order - 1u) * LONG_PIECE;
    memcpy(to, l->first, sizeof l->first);
    memcpy(to + 5, l->second, sizeof l->second);
    memcpy(to + 11, l->third, sizeof l->third);
    if (starts) {
        g->first = index;
        g->checksum = l->checksum;
        g->units = order * LONG_PIECE;
        for (unsigned i = 0; i < LONG_PIECE; i++)
            if (to[i] == 0) {
                g->units = (order - 1u) * LONG_PIECE + i;
                break;
            }
    }
    g->expected = (uint8_t)(order - 1);
}

static void name_take(struct fat_volume *v, const struct gather *g, const struct fat_entry *e, uint32_t index, struct fat_found *found) {
    found->index = found->first = index;
    found->entry = *e;
    found->name = v->scratch->text;
    found->bytes = 0;
    if (g->expected == 0 && g->checksum == fat_short_checksum(e->name) && g->units <= FAT_LONG_UNITS) {
        found->first = g->first;
        found->bytes = fat_name_from_units(v->scratch->units, g->units, v->scratch->text, sizeof v->scratch->text);
    }
    if (found->bytes == 0 || found->bytes > FS_NAME_MAX) found->bytes = fat_name_from_short(e, v->scratch->text);
}

static bool is_dots(const struct fat_entry *e) {
    return e->name[0] == '.' && (e->name[1] == ' ' || (e->name[1] == '.' && e->name[2] == ' '));
}

int fat_directory_scan(struct fat_inode *dir, uint32_t start, fat_visit *visit, void *context) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    struct walk w = {.dir = dir};
    struct gather g = {.expected = 0xff};
    struct fat_entry *e;
    struct fat_found found;
    int more;
    for (uint32_t index = start; (more = walk_to(&w, index, &e, &found.position)) > 0 && e->name[0] != 0; index++) {
        if (e->name[0] != FAT_DELETED && (e->attributes & FAT_LONG_MASK) == FAT_LONG) {
            gather_piece(v, &g, (const void *)e, index);
            continue;
        }
        if (e->name[0] != FAT_DELETED && (e->attributes & FAT_LABEL) == 0 && !is_dots(e)) {
            name_take(v, &g, e, index, &found);
            if (found.bytes > 0 && !visit(context, &found)) break;
        }
        g.expected = 0xff;
    }
    walk_end(&w);
    return more < 0 ? more : 0;
}

// The same for names that are the same to this file system.
static uint32_t name_hash(const char *name, size_t bytes) {
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ (uint8_t)(name[i] | 0x20)) * 0x01000193u;
    return hash;
}

static uint32_t short_hash(const uint8_t name[11]) { return name_hash((const char *)name, 11); }

struct wanted {
    const char *name;
    size_t bytes;
    struct fat_found *found;
    bool there;
};

// By its long name or its short one.
static bool is_wanted(void *context, const struct fat_found *found) {
    struct wanted *w = context;
    char name[40];
    size_t bytes = fat_name_from_short(&found->entry, name);
    w->there = fat_name_equal(found->name, found->bytes, w->name, w->bytes) || fat_name_equal(name, bytes, w->name, w->bytes);
    if (w->there) {
        *w->found = *found;
        w->found->name_hash = name_hash(found->name, found->bytes);
    }
    return !w->there;
}

int fat_directory_find(struct fat_inode *dir, const char *name, size_t bytes, struct fat_found *found) {
    struct wanted w = {name, bytes, found, false};
    int error = fat_directory_scan(dir, 0, is_wanted, &w);
    return error ? error : w.there ? 0 : -ENOENT;
}

static bool stop_at_first(void *context, const struct fat_found *found) {
    *(bool *)context = true;
    return false;
}

int fat_directory_is_empty(struct fat_inode *dir) {
    bool any = false;
    int error = fat_directory_scan(dir, 0, stop_at_first, &any);
    return error ? error : any ? -ENOTEMPTY : 0;
}

// ---- changes ------------------------------------------------------------------------------------------------------------------

static int short_is_taken(struct fat_inode *dir, const uint8_t name[11]) {
    struct walk w = {.dir = dir};
    struct fat_entry *e;
    uint64_t position;
    int more;
    bool taken = false;
    for (uint32_t index = 0; !taken && (more = walk_to(&w, index, &e, &position)) > 0 && e->name[0] != 0; index++)
        taken = (e->attributes & FAT_LABEL) == 0 && memcmp(e->name, name, 11) == 0;
    walk_end(&w);
    return taken ? 1 : more < 0 ? more : 0;
}

static int short_choose(struct fat_inode *dir, const uint16_t *units, unsigned count, uint8_t out[11]) {
    for (unsigned attempt = 1; attempt <= SHORT_ATTEMPTS; attempt++) {
        fat_short_make(units, count, attempt, out);
        int taken = short_is_taken(dir, out);
        if (taken <= 0) return taken;
    }
    return -ENOSPC;
}

struct room {
    uint32_t first;            // of free entries in a row
    uint32_t end;              // the first that was never used, nor is what comes behind
};

// 1: found; 0: the directory ends before. `whole`: in one block, which the disk writes as one.
static int room_look(struct fat_inode *dir, uint32_t wanted, bool whole, struct room *room) {
    uint32_t row = fat_volume_of_inode(dir)->block_bytes / FAT_ENTRY_BYTES, free = 0, index = 0;
    struct walk w = {.dir = dir};
    struct fat_entry *e;
    uint64_t position;
    int more = 1;
    room->end = UINT32_MAX;
    for (; free < wanted && (more = walk_to(&w, index, &e, &position)) > 0; index++) {
        if (whole && index % row == 0) free = 0;
        if (room->end == UINT32_MAX && e->name[0] == 0) room->end = index;
        free = room->end != UINT32_MAX || e->name[0] == FAT_DELETED ? free + 1 : 0;
    }
    walk_end(&w);
    if (more == 0) room->end = MIN(room->end, index);
    room->first = index - (more == 0 && whole ? 0 : free);
    return more;
}

// The directory grows where there is no room.
static int room_find(struct fat_inode *dir, uint32_t wanted, struct room *room) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    int error = -ENOSPC;
    for (unsigned whole = wanted <= v->block_bytes / FAT_ENTRY_BYTES; error == -ENOSPC; whole--) {
        int found = room_look(dir, wanted, whole != 0, room);
        if (found != 0) return found < 0 ? found : 0;
        uint64_t bytes = (uint64_t)(room->first + wanted) * FAT_ENTRY_BYTES;
        if (room->first + wanted <= FAT_DIRECTORY_ENTRIES)
            error = fat_chain_grow(dir, (uint32_t)((bytes + fat_cluster_bytes(v) - 1) >> v->cluster_shift));
        dir->inode.size = (uint64_t)dir->clusters << v->cluster_shift;
        if (whole == 0) break;
    }
    return error;
}

static void piece_fill(struct fat_long *l, const uint16_t *units, unsigned count, unsigned order, bool last, uint8_t checksum) {
    uint16_t piece[LONG_PIECE];
    for (unsigned i = 0; i < LONG_PIECE; i++) {
        unsigned at = (order - 1) * LONG_PIECE + i;
        piece[i] = at < count ? units[at] : at == count ? 0 : 0xffff;
    }
    *l = (struct fat_long){.order = (uint8_t)(order | (last ? 0x40 : 0)), .attributes = FAT_LONG, .checksum = checksum};
    memcpy(l->first, piece, sizeof l->first);
    memcpy(l->second, piece + 5, sizeof l->second);
    memcpy(l->third, piece + 11, sizeof l->third);
}

// Entries up to and with `to` are about to be used: what is behind the old end is nothing, on the disk too, and passed by now;
// the new end is where it says so.
static int end_move(struct fat_inode *dir, const struct room *room, uint32_t to) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    struct walk w = {.dir = dir};
    struct fat_entry *e;
    uint64_t position;
    int more = 1, error = 0;
    bool any = false;
    for (uint32_t index = room->end; index <= to && (more = walk_to(&w, index, &e, &position)) > 0; index++) {
        if (e->name[0] == 0) continue;
        e->name[0] = 0;
        fat_changed(v, w.b);
        any = true;
    }
    if (more >= 0 && any) error = fat_sync(v);
    for (uint32_t index = room->end; index < room->first && more >= 0 && !error; index++) {
        more = walk_to(&w, index, &e, &position);
        if (more <= 0) break;
        e->name[0] = FAT_DELETED;
        fat_changed(v, w.b);
    }
    walk_end(&w);
    return more < 0 ? more : error;
}

// The name was removed, and the disk may not know yet: it must before it finds it here, or there are two.
static int order_after_removal(struct fat_inode *dir, const char *name, size_t bytes, const uint8_t short_name[11],
                               struct buffer *then) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    uint32_t hash = name_hash(name, bytes), hash_of_short = short_hash(short_name);
    for (unsigned i = 0; i < v->removed_count; i++) {
        const struct fat_removed *r = &v->removed[i];
        struct buffer *b;
        if ((r->name != hash && r->short_name != hash_of_short) || r->directory != dir->first) continue;
        int error = buffer_read(v->buffers, r->block, &b);
        if (error) return error;
        error = fat_order(v, b, then);
        buffer_put(b);
        if (error) return error;
    }
    return 0;
}

static void note_removal(struct fat_inode *dir, const struct fat_found *found, const struct buffer *b) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    if (v->removed_count == FAT_REMOVED_MAX) return;  // fat_begin made room for what one operation removes
    v->removed[v->removed_count++] = (struct fat_removed){b->block, dir->first, found->name_hash, short_hash(found->entry.name)};
}

// Pieces of a long name that lost their entry must not be taken for those of the entry that comes here, which has none.
static int part_from_pieces(struct walk *w, uint32_t index) {
    struct fat_entry *e;
    uint64_t position;
    int more = index == 0 ? 0 : walk_on(w, index - 1, &e, &position);
    if (more <= 0 || e->name[0] == FAT_DELETED || (e->attributes & FAT_LONG_MASK) != FAT_LONG) return MIN(more, 0);
    e->name[0] = FAT_DELETED;
    fat_changed(fat_volume_of_inode(w->dir), w->b);
    return 0;
}

int fat_directory_add(struct fat_inode *dir, const char *name, size_t bytes, struct fat_entry *e, uint64_t *position) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    uint16_t *units = v->scratch->units;
    int count = fat_name_to_units(name, bytes, units);
    if (count < 0) return count;
    bool alone = fat_short_exact(units, (size_t)count, e->name);
    int error = alone ? short_is_taken(dir, e->name) : short_choose(dir, units, (unsigned)count, e->name);
    if (error > 0) alone = false, error = short_choose(dir, units, (unsigned)count, e->name);  // another file's short name
    uint32_t pieces = alone ? 0 : ((uint32_t)count + LONG_PIECE - 1) / LONG_PIECE;
    struct room room;
    if (!error) error = room_find(dir, pieces + 1, &room);
    if (!error && room.end <= room.first + pieces + 1) error = end_move(dir, &room, room.first + pieces + 1);
    if (error) return error;
    struct walk w = {.dir = dir};
    struct fat_entry *to;
    uint8_t checksum = fat_short_checksum(e->name);
    if (pieces == 0) error = part_from_pieces(&w, room.first);
    for (uint32_t i = 0; i <= pieces && !error; i++) {
        int more = walk_on(&w, room.first + i, &to, position);
        if (more > 0 && i == pieces) error = order_after_removal(dir, name, bytes, e->name, w.b);
        if (more <= 0) error = more < 0 ? more : -EIO;
        if (error) break;
        if (i < pieces) piece_fill((void *)to, units, (unsigned)count, pieces - i, i == 0, checksum);
        else *to = *e;
        fat_changed(v, w.b);
    }
    walk_end(&w);
    return error;
}

int fat_directory_remove(struct fat_inode *dir, const struct fat_found *found) {
    struct walk w = {.dir = dir};
    int error = 0;
    // The short entry first: long ones without it are nothing, and stay if that cannot be.
    for (uint32_t index = found->index + 1; index-- > found->first && !error;) {
        struct fat_entry *e;
        uint64_t position;
        int more = walk_on(&w, index, &e, &position);
        if (more > 0) {
            e->name[0] = FAT_DELETED;
            fat_changed(fat_volume_of_inode(dir), w.b);
            if (index == found->index) note_removal(dir, found, w.b);
        } else if (index == found->index) {
            error = more < 0 ? more : -EIO;
        } else {
            break;
        }
    }
    walk_end(&w);
    return error;
}

int fat_entry_read(struct fat_volume *v, uint64_t position, struct buffer **b, struct fat_entry **e) {
    uint64_t offset = position * FAT_ENTRY_BYTES;
    int error = buffer_read(v->buffers, offset >> v->block_shift, b);
    if (!error) *e = (struct fat_entry *)(void *)((*b)->data + (offset & (v->block_bytes - 1)));
    return error;
}
