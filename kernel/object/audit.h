// The audit ring: denials, and operations on audited handles, for init to read.
#pragma once
#include "kernel/object/handle.h"

enum audit_event { AUDIT_DENIED, AUDIT_USE, AUDIT_DUP, AUDIT_CLOSE, AUDIT_REVOKE, AUDIT_TRANSFER };

// Appends a record: time, process, thread, event, handle value, object kind and id, rights asked for, error. Bounded,
// never blocks; the oldest records are overwritten and counted. Any context with interrupts off.
void audit_record(enum audit_event event, kpio_handle value, const struct object *o, uint32_t rights, int error);
// Copies whole records from *position on and advances it; returns the bytes.
size_t audit_read(uint64_t *position, void *buffer, size_t size);
