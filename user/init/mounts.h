// File systems whose drivers are services: what the command line mounts (kpio.mount=TAG:PATH) below the root directory. init holds
// the channel of each; a driver asks for its end by the tag that its device has (protocols/init.def, serve).
//
// The supervisor's lock is held.
#pragma once
#include "user/init/supervisor.h"

// What a driver says of itself when it asks for its end.
struct mount_driver {
    const char *tag;
    bool fresh;           // what an earlier driver named means nothing to this one
    bool stateless;       // what was asked of it may be asked of the next one
    uint32_t timeout;     // seconds that a request may take
};
// A driver's end of the mount of that tag, which is mounted at the first time; ends that earlier drivers still have are taken from them.
// Where it is fresh, what was mounted ends (ENOTCONN to who has something open there), and a new mount takes its place. -ENOENT: no
// such mount; -EACCES: not for this service; or another negative errno.
[[nodiscard]] int64_t mounts_serve(const struct supervised *s, const struct mount_driver *driver);
// The service is not started again: what it served says ENOTCONN from now on, without anybody waiting.
void mounts_lose(const struct supervised *s);
