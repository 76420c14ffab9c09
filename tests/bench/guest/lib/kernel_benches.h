// The kernel's benchmarks, in files by subsystem; each function prints its lines.
#pragma once

void bench_null_syscall(void);
void bench_ipc(void);         // ipc_call_cross, _64, _deadline, ipc_call_4k
void bench_ipc_same(void);
void bench_event_wake(void);
void bench_futex(void);
void bench_counter(void);
void bench_pipe(void);
void bench_wait_many(void);
void bench_fault_upcall(void);
void bench_page_fault(void);
void bench_map_unmap(void);
void bench_map_unmap_anonymous(void);
void bench_in_kernel(void);   // slub_alloc_free, page_alloc_free
void bench_handles(void);
void bench_revoke(void);
void bench_thread(void);
void bench_process(void);
void bench_fork(void);
void bench_frames(void);      // frames_batch_64
void bench_boot(void);        // boot_to_init, memory_after_init

// What this program does when it was started again as the other side of a benchmark: its exit status.
int bench_role(const char *role);
// Roles, by file: 0 and the function, or NULL.
int role_ipc_echo(void);
int role_event_waiter(void);
int role_sleeper(void);
int role_pipe_echo(void);
int role_many_waiter(void);
