// Internal to what serves protocols/node.def.
#pragma once
#include "protocols/gen/node.h"
#include "user/posixd/posixd.h"

// Whether a process in the background may: 0; -NODE_RESTART: its group got the signal (SIGTTIN or SIGTTOU); -EIO.
int64_t may_use(const struct tty *tty, uint32_t pid, uint32_t flags, uint32_t number);
int64_t node_ioctl_serve(void *context, uint64_t badge, const struct node_ioctl_request *request, struct node_ioctl_reply *reply);
