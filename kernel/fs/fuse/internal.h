// Between connection.c and transport.c.
#pragma once
#include "kernel/fs/fuse/connection.h"

// The lock is held and released. The request, in no list any more, is over: wakes who waits, or frees it. `_quietly`: who waits
// is the caller's to be woken, or NULL.
void fuse_finish_unlock(struct fuse_connection *c, struct fuse_request *r, int error);
[[nodiscard]] struct thread *fuse_finish_unlock_quietly(struct fuse_connection *c, struct fuse_request *r, int error);
