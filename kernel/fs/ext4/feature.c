// What a volume may ask of its readers: the policy of features. compat: anybody may mount; ro_compat: anybody may read;
// incompat: only who knows all of them.
#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/fs/ext4/ext4.h"

struct feature {
    uint32_t bit;
    const char *name;
};

#define INCOMPAT_KNOWN                                                                                                   \
    (EXT4_INCOMPAT_FILETYPE | EXT4_INCOMPAT_RECOVER | EXT4_INCOMPAT_META_BG | EXT4_INCOMPAT_EXTENTS | EXT4_INCOMPAT_64BIT | \
     EXT4_INCOMPAT_FLEX_BG | EXT4_INCOMPAT_CSUM_SEED | EXT4_INCOMPAT_LARGE_DIR)
#define RO_KNOWN                                                                                                      \
    (EXT4_RO_SPARSE_SUPER | EXT4_RO_LARGE_FILE | EXT4_RO_HUGE_FILE | EXT4_RO_GDT_CSUM | EXT4_RO_DIR_NLINK |              \
     EXT4_RO_EXTRA_ISIZE | EXT4_RO_METADATA_CSUM | EXT4_RO_PROJECT | EXT4_RO_ORPHAN_PRESENT)

static const struct feature incompat_names[] = {
    {0x1, "compression"}, {0x8, "journal_dev"},  {0x100, "mmp"},         {0x400, "ea_inode"},
    {0x1000, "dirdata"},  {0x8000, "inline_data"}, {0x10000, "encrypt"}, {0x20000, "casefold"},
};
static const struct feature ro_names[] = {
    {0x4, "btree_dir"}, {0x80, "has_snapshot"}, {0x100, "quota"}, {0x200, "bigalloc"},
    {0x800, "replica"}, {0x1000, "read-only"},  {0x4000, "shared_blocks"}, {0x8000, "verity"},
};

static void tell(const char *device, const char *what, uint32_t bits, const struct feature *names, size_t count) {
    for (; bits != 0; bits &= bits - 1) {
        const char *name = "unknown";
        uint32_t bit = bits & -bits;
        for (size_t i = 0; i < count; i++)
            if (names[i].bit == bit) name = names[i].name;
        log_warn("ext4 on %s: feature %s (0x%x): %s", device, name, bit, what);
    }
}

int ext4_check_features(const struct ext4_super *super, const char *device, uint32_t *flags) {
    if (super->revision == 0) return 0;
    uint32_t unknown = super->incompat & ~INCOMPAT_KNOWN, unwritable = super->ro_compat & ~RO_KNOWN;
    tell(device, "not supported, not mounted", unknown, incompat_names, ARRAY_SIZE(incompat_names));
    if (unknown != 0) return -EOPNOTSUPP;
    if (super->compat & EXT4_COMPAT_JOURNAL && super->journal_inode == 0) {
        log_warn("ext4 on %s: an external journal is not supported, not mounted", device);
        return -EOPNOTSUPP;
    }
    if (unwritable != 0 && (*flags & FS_MOUNT_READ_ONLY) == 0) {
        tell(device, "not written, mounted read-only", unwritable, ro_names, ARRAY_SIZE(ro_names));
        *flags |= FS_MOUNT_READ_ONLY;
    }
    return 0;
}
