// A node of the runner's own, some of whose opens are served as no honest server would: for tests/linux/served_node.c.
#pragma once
#include "user/libkpio/linux_launch.h"

// What is served at each descriptor, from NODE_FIRST on.
enum served {
    SERVED_WELL, SERVED_READ_ONLY, SERVED_WITHOUT_MEMORY, SERVED_WITHOUT_HANDLE, SERVED_EVENT, SERVED_WILD_OFFSET, SERVED_ODD_OFFSET,
    SERVED_SMALL, SERVED_MANY_HANDLES, SERVED_WILD_ERROR, SERVED_OWN_ERROR, SERVED_SHORT, SERVED_DROPPED, SERVED_REVOKED, SERVED_COUNT
};
#define NODE_FIRST 1100  // above those that a case closes at its end

// Starts the server; fills in the descriptors, whose handles stay the runner's. 0 or a negative errno.
int64_t node_start(struct lx_launch_fd fds[SERVED_COUNT]);
