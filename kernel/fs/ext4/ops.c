// What each type of inode can do.
#include "kernel/fs/ext4/ext4.h"

#define XATTR_OPS \
    .xattr_get = ext4_xattr_get, .xattr_set = ext4_xattr_set, .xattr_remove = ext4_xattr_remove, .xattr_list = ext4_xattr_list
#define COMMON_OPS .change = ext4_change, .sync = ext4_sync_inode, .evict = ext4_evict, XATTR_OPS

const struct inode_ops ext4_file_ops = {COMMON_OPS, .resize = ext4_resize, .allocate = ext4_allocate};
const struct inode_ops ext4_directory_ops = {COMMON_OPS, .lookup = ext4_lookup, .create = ext4_create, .link = ext4_link,
                                             .unlink = ext4_unlink, .rename = ext4_rename, .read_directory = ext4_read_directory};
const struct inode_ops ext4_symlink_ops = {COMMON_OPS, .read_link = ext4_read_link};
const struct inode_ops ext4_special_ops = {COMMON_OPS};
