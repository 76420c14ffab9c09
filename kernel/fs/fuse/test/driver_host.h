// A driver for host tests of the connection: while the caller waits, `driver_host.serve` plays it, step by step.
#pragma once
#include "kernel/fs/fuse/connection.h"

struct driver_host {
    // One step of the driver, called while a call waits; false: it does nothing more, and the wait ends with `stuck`.
    bool (*serve)(struct fuse_connection *c);
    int64_t stuck;                  // -ETIMEDOUT, -ECANCELED
    struct fuse_connection *connection;
    uint64_t now, process;
    unsigned holes;                 // so many copies find no memory first
    bool unmapped;                  // and faults are not served
    bool absent;                    // memory of who asks is
    unsigned fault_ins, disposed;
};
extern struct driver_host driver_host;
extern uint64_t driver_host_live;   // requests and forgets that are allocated

void driver_host_begin(struct fuse_connection *c);  // fresh; its INIT was answered
void driver_host_end(struct fuse_connection *c);    // lost, ended, nothing left
// What fuse_take gives, into a buffer of that many bytes.
int64_t driver_host_take(struct fuse_connection *c, void *buffer, uint64_t bytes);
// A reply with a body.
int driver_host_reply(struct fuse_connection *c, uint64_t unique, int error, const void *body, uint32_t bytes);
int driver_host_write(struct fuse_connection *c, const void *message, uint64_t bytes);
// A page of the machine, by number.
struct page *driver_host_page(unsigned i);
