// A session of Linux programs: a posixd for them, which is started again when it ends, and what it keeps meanwhile.
#pragma once
#include "user/libkpio/linux.h"

struct linux_session;

struct linux_session_spec {
    const struct archive *archive;        // has /bin/posixd
    kpio_handle job;                      // the programs' and posixd's; must be theirs alone
    kpio_handle console;                  // the system with LOG; or 0: no console
    const char *window;                   // of the console (terminal.h), ROWSxCOLUMNS; or NULL
    const char *crash;                    // for tests: posixd ends at one of about so many steps; or NULL
};
// NULL on failure, with *error and *what. One at a time in a process.
struct linux_session *linux_session_start(const struct linux_session_spec *spec, int64_t *error, const char **what);
// For linux_spec.posixd.
kpio_handle linux_session_endpoint(const struct linux_session *session);
// An open of the console for descriptors; its handles are the caller's. 0 or a negative errno.
[[nodiscard]] int64_t linux_session_console(struct linux_session *session, struct lx_launch_fd *fd);
// The process of the posixd that serves now (for tests), or 0.
kpio_handle linux_session_posixd(const struct linux_session *session);
// Ends all that is left in the job, then posixd.
void linux_session_end(struct linux_session *session);
