// Names that would move from one file system to another: /data (3) lies in one, /other (4) in another.
#include "tests/wasm/preview1/check.h"

#define DATA 3
#define OTHER 4

static __wasi_filestat_t stat;

int main(void) {
    const int fd = open_path(DATA, "file", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE);
    OK(fd_close(fd));
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(path_rename(DATA, TEXT("file"), OTHER, TEXT("kpio_across")), XDEV);
        EXPECT(path_link(DATA, 0, TEXT("file"), OTHER, TEXT("kpio_across")), XDEV);
        EXPECT(path_rename(DATA, TEXT("missing"), DATA, TEXT("more")), NOENT);  // what was said before is not said again
        EXPECT(path_rename(DATA, TEXT("file"), DATA, TEXT("../file")), PERM);
        EXPECT(path_filestat_get(OTHER, 0, TEXT("kpio_across"), &stat), NOENT);
    }
    OK(path_rename(DATA, TEXT("file"), DATA, TEXT("moved")));
    OK(path_link(DATA, 0, TEXT("moved"), DATA, TEXT("file")));
    OK(path_unlink_file(DATA, TEXT("moved")));
    OK(path_unlink_file(DATA, TEXT("file")));
    return finish("what crosses file systems");
}
