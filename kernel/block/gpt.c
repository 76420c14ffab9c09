// GPT (UEFI specification 2.10, 5.3): a header and an array of entries at the start of the disk, copies of both at its end.
#include "kernel/block/partition_table.h"

#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/mm/slub.h"
#include "lib/crc32.h"
#include "lib/string.h"

#define SIGNATURE "EFI PART"
#define HEADER_MIN 92u
#define ENTRY_MIN 128u
#define ARRAY_MAX (256u << 10)
#define BUFFER_MIN (12u << 10)  // kmalloc aligns what is larger than 8 KiB to pages

struct gpt_header {             // little-endian, as x86
    char signature[8];
    uint32_t revision, size, crc, reserved;
    uint64_t my_block, other_block, first_usable, last_usable;
    uint8_t disk_guid[16];
    uint64_t entries_block;
    uint32_t entry_count, entry_size, entries_crc;
} __attribute__((packed));
_Static_assert(sizeof(struct gpt_header) == HEADER_MIN, "UEFI 5.3.2");

struct gpt_entry {
    uint8_t type[16], guid[16];
    uint64_t first, last, attributes;
    uint16_t name[36];
} __attribute__((packed));
_Static_assert(sizeof(struct gpt_entry) == ENTRY_MIN, "UEFI 5.3.3");

struct gpt {                    // one of the copies
    struct gpt_header header;
    uint8_t *entries;           // NULL: it is not good
    const char *why;            // it is not
};

static uint64_t block_sectors(const struct block_device *disk) { return disk->logical_block / SECTOR_SIZE; }

static const char *header_fault(const struct block_device *disk, const uint8_t *block, uint64_t at, const struct gpt_header *h) {
    static const uint8_t zero[4];
    uint64_t blocks = disk->sectors / block_sectors(disk), array_blocks;
    if (memcmp(h->signature, SIGNATURE, sizeof h->signature) != 0) return "no signature";
    if (h->size < HEADER_MIN || h->size > disk->logical_block) return "its size is wrong";
    uint32_t crc = crc32(0, block, offsetof(struct gpt_header, crc));
    crc = crc32(crc, zero, sizeof zero);
    crc = crc32(crc, block + offsetof(struct gpt_header, reserved), h->size - offsetof(struct gpt_header, reserved));
    if (crc != h->crc) return "its checksum is wrong";
    if (h->revision >> 16 != 1) return "its revision is unknown";
    if (h->my_block != at) return "it belongs elsewhere";
    if (h->first_usable > h->last_usable || h->last_usable >= blocks) return "its usable blocks are not on the disk";
    if (!is_power_of_two(h->entry_size) || h->entry_size < ENTRY_MIN) return "its entry size is wrong";
    if (h->entry_count == 0 || h->entry_count > ARRAY_MAX / h->entry_size) return "its number of entries is wrong";
    array_blocks = div_round_up((uint64_t)h->entry_count * h->entry_size, disk->logical_block);
    if (h->entries_block == 0 || !range_fits(h->entries_block, array_blocks, blocks)) return "its entries are not on the disk";
    if (h->entries_block <= h->last_usable && h->first_usable < h->entries_block + array_blocks) return "its entries are in usable blocks";
    return NULL;
}

// Reads and checks the copy whose header is block `at`. 0 (good or not), -EIO or -ENOMEM.
static int copy_read(struct block_device *disk, uint64_t at, struct gpt *g) {
    uint8_t *block = kmalloc(BUFFER_MIN), *entries;
    if (block == NULL) return -ENOMEM;
    int error = block_read(disk, at * block_sectors(disk), block, disk->logical_block);
    if (!error) {
        memcpy(&g->header, block, sizeof g->header);
        g->why = header_fault(disk, block, at, &g->header);
    }
    kfree(block);
    if (error) g->why = "it cannot be read";
    if (g->why != NULL) return error;

    size_t bytes = (size_t)g->header.entry_count * g->header.entry_size, rounded = align_up(bytes, disk->logical_block);
    entries = kmalloc(MAX(rounded, (size_t)BUFFER_MIN));
    if (entries == NULL) return -ENOMEM;
    error = block_read(disk, g->header.entries_block * block_sectors(disk), entries, rounded);
    if (error) g->why = "its entries cannot be read";
    else if (crc32(0, entries, bytes) != g->header.entries_crc) g->why = "the checksum of its entries is wrong";
    if (g->why == NULL) g->entries = entries;
    else kfree(entries);
    return error;
}

static void entries_take(struct partition_list *list, const struct gpt *g) {
    static const uint8_t unused[16];
    for (unsigned i = 0; i < g->header.entry_count; i++) {
        const struct gpt_entry *e = (const void *)(g->entries + (size_t)i * g->header.entry_size);
        if (memcmp(e->type, unused, sizeof unused) == 0) continue;
        if (e->first < g->header.first_usable || e->last > g->header.last_usable || e->first > e->last)
            log_warn("%s: partition %u left out: blocks %lu to %lu are not usable ones", list->disk->name, i + 1, e->first, e->last);
        else partition_add(list, i + 1, e->first, e->last - e->first + 1);
    }
}

// Where the backup is: where a primary header says whose own checksum is good; else at the end.
static uint64_t backup_block(const struct block_device *disk, const struct gpt *primary) {
    uint64_t last = disk->sectors / block_sectors(disk) - 1, said = primary->header.other_block;
    bool header_is_good = primary->entries != NULL || primary->header.my_block == 1;
    return header_is_good && said > 1 && said <= last ? said : last;
}

static void compare(const struct block_device *disk, const struct gpt *primary, const struct gpt *backup) {
    if (backup->entries == NULL) log_warn("%s: the backup GPT is bad: %s", disk->name, backup->why);
    else if (primary->entries == NULL) log_warn("%s: the primary GPT is bad: %s; the backup is used", disk->name, primary->why);
    else if (primary->header.entries_crc != backup->header.entries_crc)
        log_warn("%s: the backup GPT differs; the primary is used", disk->name);
}

int gpt_read(struct partition_list *list) {
    struct block_device *disk = list->disk;
    struct gpt primary = {0}, backup = {0};
    if (disk->sectors / block_sectors(disk) < 4) return -EINVAL;
    int error = copy_read(disk, 1, &primary);
    if (error == -ENOMEM) return error;
    int backup_error = copy_read(disk, backup_block(disk, &primary), &backup);
    const struct gpt *good = primary.entries != NULL ? &primary : backup.entries != NULL ? &backup : NULL;
    if (good != NULL) {
        compare(disk, &primary, &backup);
        entries_take(list, good);
    } else {
        log_error("%s: no good GPT: primary: %s; backup: %s", disk->name, primary.why, backup.why != NULL ? backup.why : "no memory");
        error = error ? error : backup_error ? backup_error : -EINVAL;
    }
    kfree(primary.entries);
    kfree(backup.entries);
    return good != NULL ? 0 : error;
}
