// What both sides of protocols/node.def know: the bits of an open's event, and the flags of its messages.
#pragma once

enum { NODE_READABLE = 1 << 0, NODE_WRITABLE = 1 << 1, NODE_HANGUP = 1 << 2, NODE_PRIORITY = 1 << 3 };
enum {
    NODE_NOWAIT = 1 << 0,         // O_NONBLOCK
    NODE_NO_TTIN = 1 << 1,        // the caller ignores or blocks SIGTTIN, SIGTTOU
    NODE_NO_TTOU = 1 << 2,
    NODE_NO_CONTROL = 1 << 3,     // open: O_NOCTTY
    NODE_EXPIRED = 1 << 4,        // read: the timeout of the one before is over
    NODE_MAP_WRITE = 1 << 5,      // map: it is to be written; for all to see (MAP_SHARED), or a copy of its own
    NODE_MAP_SHARED = 1 << 6,
};
#define NODE_DATA_MAX 4000u
#define NODE_IOCTL_MAX 256u
#define NODE_RESTART 512          // as an errno in a result: a signal is on its way to the caller, the call begins again after it
#define NODE_WHOLE_TIMEOUT (1u << 31)  // in a read's timeout: it runs to its end, whatever the event tells
#define NODE_MORE (1u << 30)           // beside bytes: the read goes on, if it has room for more
