#include "user/libkpio/linux_root.h"

#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/libkpio/file.h"
#include "user/libkpio/linux_launch.h"

int64_t linux_root_make(void) {
    static const struct {
        const char *path;
        uint64_t key;
    } local[] = {{"/dev", LX_LOCAL_DEV}, {"/proc", LX_LOCAL_PROC}, {"/sys", LX_LOCAL_SYS}};
    int64_t root = kpio_fs_mount("tmpfs", KPIO_HANDLE_NONE, 0, "size=64K,inodes=32"), result = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(local) && root > 0 && result == 0; i++) {
        result = directory_make((kpio_handle)root, local[i].path);
        if (result == 0) result = kpio_mount_attach((kpio_handle)root, local[i].path, 0, KPIO_MOUNT_LOCAL, local[i].key);
    }
    if (root < 0 || result == 0) return root;
    (void)kpio_handle_close((uint64_t)root);
    return result;
}
