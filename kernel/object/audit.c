#include "kernel/object/audit.h"

#include "abi/audit.h"
#include "kernel/core/spinlock.h"
#include "kernel/object/process.h"
#include "lib/string.h"
#include "lib/util.h"

#define AUDIT_RECORDS 1024  // 64 KiB

// Record n is ring[n % AUDIT_RECORDS]; its position for readers is n * sizeof(record). The lock is a leaf.
static struct kpio_audit_record ring[AUDIT_RECORDS];
static uint64_t written;
static struct spinlock audit_lock = SPINLOCK_INIT("audit");

void audit_record(enum audit_event event, kpio_handle value, const struct object *o, uint32_t rights, int error) {
    const struct thread *t = current_thread();
    struct kpio_audit_record r = {
        .time_ns = arch_now(),
        .process_id = t->process != NULL ? t->process->id : 0,
        .thread_id = t->id,
        .object_id = o != NULL ? o->id : 0,
        .handle = value,
        .rights = rights,
        .event = (uint16_t)event,
        .kind = o != NULL ? o->kind : KPIO_KIND_NONE,
        .error = error,
    };
    spin_lock(&audit_lock);
    r.sequence = written;
    ring[written++ % AUDIT_RECORDS] = r;
    spin_unlock(&audit_lock);
}

size_t audit_read(uint64_t *position, void *buffer, size_t size) {
    const size_t each = sizeof(struct kpio_audit_record);
    size_t copied = 0;
    spin_lock(&audit_lock);
    uint64_t next = div_round_up(*position, each);
    uint64_t oldest = written > AUDIT_RECORDS ? written - AUDIT_RECORDS : 0;
    next = MIN(MAX(next, oldest), written);
    while (next < written && size - copied >= each) {
        memcpy((char *)buffer + copied, &ring[next++ % AUDIT_RECORDS], each);
        copied += each;
    }
    *position = next * each;
    spin_unlock(&audit_lock);
    return copied;
}
