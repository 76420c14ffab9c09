// `kpio bench kernel`: what the kernel's operations cost. docs/benchmarks.md says what each line means.
#include "lib/util.h"
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

int main(int argc, char **argv) {
    if (argc > 1) return bench_role(argv[1]);
    static void (*const benches[])(void) = {
        bench_boot, bench_null_syscall, bench_ipc, bench_ipc_same, bench_event_wake, bench_futex, bench_counter, bench_pipe,
        bench_wait_many, bench_fault_upcall, bench_page_fault, bench_map_unmap, bench_map_unmap_anonymous, bench_in_kernel,
        bench_handles, bench_revoke, bench_thread, bench_process, bench_fork, bench_frames,
    };
    for (size_t i = 0; i < ARRAY_SIZE(benches); i++) benches[i]();
    return 0;
}
