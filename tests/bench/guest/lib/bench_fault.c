// A fault that arrives at the thread's own exception entry, and the way back.
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

_Static_assert(offsetof(struct kpio_exception_frame, rip) == 160, "fault_entry.S steps over the fault there");
void fault_entry(void);

static char exception_stack[32768] __attribute__((aligned(64)));

static void fault(void *context, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++) __asm__ volatile("ud2" : : : "memory");
}

void bench_fault_upcall(void) {
    (void)bench_check("fault_upcall_return", kpio_thread_set_exception((uint64_t)fault_entry, (uint64_t)exception_stack,
                                                                       sizeof(exception_stack)));
    bench_run(&(struct bench){.name = "fault_upcall_return", .unit = "insns", .windows = 50, .batch = 64,
                              .operate = fault});
    (void)kpio_thread_set_exception(0, 0, 0);
}
