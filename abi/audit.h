// Records of the audit ring, as audit_read gives them. A gap in `sequence` tells how many were overwritten unread.
#pragma once
#include <stdint.h>

#include "abi/types.h"

enum {
    KPIO_AUDIT_DENIED,    // a handle without the right: `rights` were asked for, `error` was the answer
    KPIO_AUDIT_USE,       // operations on handles marked by handle_audit
    KPIO_AUDIT_DUP,
    KPIO_AUDIT_CLOSE,
    KPIO_AUDIT_REVOKE,
    KPIO_AUDIT_TRANSFER,
};
struct kpio_audit_record {
    uint64_t sequence, time_ns;
    uint64_t process_id, thread_id;  // who did it
    uint64_t object_id;
    kpio_handle handle;
    uint32_t rights;
    uint16_t event;                  // KPIO_AUDIT_*
    uint16_t kind;                   // of the object
    int32_t error;                   // negative errno or 0
    uint64_t reserved;
};
_Static_assert(sizeof(struct kpio_audit_record) == 64, "ABI");
