// What the journal finds around it in a host test: no thread, a clock that stands still, and no seeded bug unless a test sets
// one.
#include "kernel/fs/ext4/journal_internal.h"

#define weak __attribute__((weak))

weak enum journal_bug journal_bug = JOURNAL_NO_BUG;
weak void journal_thread_stop(struct journal *j) { (void)j; }
weak int journal_start_thread(struct journal *j) { return (void)j, 0; }
weak nanos_t arch_now(void) { return 0; }
