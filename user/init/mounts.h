// File systems whose drivers are services: what the command line mounts (kpio.mount=TAG:PATH) below the root directory. init holds
// the channel of each; a driver asks for its end by the tag that its device has (protocols/init.def, serve).
//
// The supervisor's lock is held.
#pragma once
#include "user/init/supervisor.h"

// A driver's end of the mount of that tag, which is mounted at the first time. fresh: what an earlier driver named means nothing to
// this one; then what was mounted ends (ENOTCONN to who has something open there), and a new mount takes its place. -ENOENT: no
// such mount; or another negative errno.
[[nodiscard]] int64_t mounts_serve(const struct supervised *s, const char *tag, bool fresh);
// The service is not started again: what it served says ENOTCONN from now on, without anybody waiting.
void mounts_lose(const struct supervised *s);
