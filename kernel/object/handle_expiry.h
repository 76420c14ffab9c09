// Expiry of handles: kept beside the handles, as few have one. Internal to kernel/object.
#pragma once
#include "kernel/object/handle.h"

void handle_expiry_init(void);
bool handle_has_expired(const struct handle *h);
nanos_t handle_expiry_of(const struct handle *h);
// The handle is gone from its table and tree. No lock held.
void handle_expiry_forget(struct handle *h);
// Gives a handle that is in a table, but known to nobody yet, the expiry of `from`, whose tree is the same and locked: 0 or
// -ENOMEM.
[[nodiscard]] int handle_expiry_copy(struct handle *to, const struct handle *from);
// Implemented in revoke.c.
uint64_t handle_revoke_locked(struct handle *h, struct object *o, bool self);
