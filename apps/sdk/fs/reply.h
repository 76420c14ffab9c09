// A reply and a list that are being made. Inside the SDK.
#pragma once
#include "apps/sdk/fs/channel.h"
#include "apps/sdk/fs/fs.h"

#define FS_PARTS_MAX 300u                 // 1 MiB in pages, and a few more
#define FS_ROOM ((1u << 20) + 65536u)     // bytes that may be copied

// Header, fixed structure and what was copied lie one behind the other in `buffer`; a part that is shown begins the next one.
struct fs_reply {
    struct fuse_out_header header;        // beginning of the first part
    uint8_t buffer[FS_ROOM];
    uint32_t used;                        // of buffer
    uint32_t most;                        // bytes of data that may be told
    uint32_t bytes;                       // of data, in all parts
    uint32_t count;                       // of parts
    struct fs_part parts[FS_PARTS_MAX];
};

struct fs_list {
    struct fs *fs;
    uint64_t dir;
    bool plus;                            // each entry comes with what lookup says of it
    uint8_t *at;
    uint32_t used, most;
};
// Node and times of an entry whose attributes are there.
void fs_entry_finish(const struct fs *fs, struct fuse_entry_out *out);
