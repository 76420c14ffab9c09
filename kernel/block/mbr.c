// MBR (UEFI specification 2.10, 5.2): four primary entries. Extended ones are named and left alone.
#include "kernel/block/partition_table.h"

#include "kernel/core/log.h"
#include "lib/string.h"

#define MBR_ENTRIES 446
enum { TYPE_EMPTY = 0, TYPE_EXTENDED = 0x05, TYPE_EXTENDED_LBA = 0x0f, TYPE_EXTENDED_LINUX = 0x85 };

struct mbr_entry {
    uint8_t active, chs_first[3], type, chs_last[3];
    uint32_t first, blocks;  // logical blocks
} __attribute__((packed));
_Static_assert(sizeof(struct mbr_entry) == 16, "UEFI 5.2.1");

void mbr_read(struct partition_list *list, const uint8_t *block) {
    struct mbr_entry entries[4];
    memcpy(entries, block + MBR_ENTRIES, sizeof entries);
    // The boot sector of a file system on the whole disk ends in the same signature; its code is no table.
    for (unsigned i = 0; i < 4; i++)
        if ((entries[i].active & 0x7f) != 0) return;
    for (unsigned i = 0; i < 4; i++) {
        const struct mbr_entry *e = &entries[i];
        if (e->type == TYPE_EMPTY || e->blocks == 0) continue;
        if (e->type == TYPE_EXTENDED || e->type == TYPE_EXTENDED_LBA || e->type == TYPE_EXTENDED_LINUX)
            log_warn("%s: extended partition %u is not looked into", list->disk->name, i + 1);
        else partition_add(list, i + 1, e->first, e->blocks);
    }
}
