// What a driver says is checked here before anything believes it. All of it works on the kernel's own copy of a reply.
// Also built for host tests.
#pragma once
#include "abi/fuse.h"
#include "kernel/core/types.h"

// 1..255 bytes, no '/', no NUL, neither "." nor "..".
[[nodiscard]] bool fuse_name_is_good(const char *name, uint64_t bytes);
// A known type, and `type` where that is not 0; a size below 2^63, times with nanoseconds.
[[nodiscard]] bool fuse_attr_is_good(const struct fuse_attr *attr, uint32_t type);
// A node that a name in `parent` may lead to: not 0, not the root, not the directory itself; with good attributes.
[[nodiscard]] bool fuse_entry_is_good(const struct fuse_entry_out *entry, uint64_t parent);
// Until when something holds that does so for this long from `now` on; FUSE_FOREVER: as good as for ever.
#define FUSE_FOREVER UINT64_MAX
[[nodiscard]] uint64_t fuse_valid_until(uint64_t now, uint64_t seconds, uint32_t nanoseconds);

// The entries of a READDIR or READDIRPLUS reply.
struct fuse_entries {
    const uint8_t *at;
    uint32_t left;
    bool plus;
};
struct fuse_listed {
    const char *name;              // in the reply, without a NUL
    uint32_t bytes, type;          // type: as in modes, shifted down; 0: not told
    uint64_t number, next;
    struct fuse_entry_out entry;   // plus: nodeid 0 when there is none
};
// "." and ".."
static inline bool fuse_listed_is_dot(const struct fuse_listed *l) {
    return l->name[0] == '.' && (l->bytes == 1 || (l->bytes == 2 && l->name[1] == '.'));
}
// 1 and the next one; 0: that was the last; -EIO: the rest is no entry. Names are not checked.
[[nodiscard]] int fuse_entries_next(struct fuse_entries *list, struct fuse_listed *out);
