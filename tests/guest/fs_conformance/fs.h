// What the cases of the conformance suite share. The file system is chosen by kpio.fs=TYPE (tmpfs by default), its disk by
// kpio.disk=NAME.
#pragma once
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define RWX (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_EXECUTE)
#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)

const char *fs_type(void);
// A directory for this case alone, on the file system under test. fs_end closes it; the case removes nothing itself.
kpio_handle fs_begin(void);
void fs_end(void);                  // fs_leave, then fs_await_end
void fs_leave(void);                // something keeps the mount for a while:
void fs_await_end(void);            // now it ends. Its driver is waited for
kpio_handle fs_mount_again(void);   // another mount of the same: only where it lives in memory, a fresh one
kpio_handle fs_mount_quietly(void); // the same for a child: a negative errno where it cannot be
bool fs_has_links(void);            // hard and symbolic links
bool fs_has_modes(void);            // modes, owners, xattrs
bool fs_has_holes(void);            // that it tells of, and all kinds of allocate
bool fs_executes(void);
bool fs_is_far(void);               // each operation costs a trip to the host and back
bool fs_names_deleted(void);        // a file without a name can get one: a Linux host knows how it lost its own
bool fs_hides_deleted(void);        // libfuse shows a file that is deleted and open by a name of its own
bool fs_lists_nodes(void);          // entries of directories have types and numbers
bool fs_minds_xattrs(void);         // what names they may have, and for CREATE, REPLACE and REMOVE, whether there is one

// The volume as its Linux driver mounts it: a handle on its root, or a negative errno; *process if the driver was started.
int64_t fs_mount_linux(kpio_handle *process);

// Short forms that must succeed.
kpio_handle fs_open(kpio_handle dir, const char *path, uint32_t flags, uint32_t rights);
kpio_handle fs_create(kpio_handle dir, const char *path);       // with READ and WRITE
void fs_write_text(kpio_handle dir, const char *path, const char *text);
void fs_expect_text(kpio_handle dir, const char *path, const char *text);
void fs_mkdir(kpio_handle dir, const char *path);
kpio_handle fs_opendir(kpio_handle dir, const char *path);
struct kpio_stat fs_stat(kpio_handle dir, const char *path);
bool fs_exists(kpio_handle dir, const char *path);
// The sum over all entries of a directory, "." and ".." too.
unsigned fs_count(kpio_handle dir);
