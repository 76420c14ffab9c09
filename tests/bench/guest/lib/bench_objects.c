// System calls as such, handles, threads, processes, and what booting took.
#include "lib/string.h"
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

static void null_syscalls(void *context, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++) (void)kpio_nop();
}

void bench_null_syscall(void) {
    bench_run(&(struct bench){.name = "null_syscall", .unit = "insns", .windows = 100, .batch = 256,
                              .operate = null_syscalls});
}

static void dup_close(void *arg, uint32_t batch) {
    kpio_handle event = *(kpio_handle *)arg;
    for (uint32_t i = 0; i < batch; i++) {
        int64_t copy = kpio_handle_dup(event, KPIO_RIGHTS_SAME);
        if (copy < 0 || kpio_handle_close((uint64_t)copy) < 0) bench_fail("handle_dup_close", "dup or close", copy);
    }
}

void bench_handles(void) {
    kpio_handle event = (kpio_handle)bench_check("event", kpio_event_create());
    bench_run(&(struct bench){.name = "handle_dup_close", .unit = "insns", .windows = 100, .batch = 64,
                              .operate = dup_close, .context = &event});
    (void)kpio_handle_close((uint64_t)event);
}

// ---- revoke_1000 --------------------------------------------------------------------------------------------------------
#define REVOKE_PROCESSES 10u
#define REVOKE_HANDLES 1000u

struct revoke_context {
    kpio_handle event;
    kpio_handle processes[REVOKE_PROCESSES];
};

int role_sleeper(void) {
    for (;;) time_sleep_ms(1000000);
}

static void spread_handles(void *arg) {
    const struct revoke_context *c = arg;
    for (uint32_t i = 0; i < REVOKE_HANDLES; i++)
        (void)bench_check("revoke_1000", kpio_handle_give(c->processes[i % REVOKE_PROCESSES], c->event,
                                                          KPIO_RIGHTS_SAME, KPIO_SEND_COPY));
}

static void revoke(void *arg, uint32_t batch) {
    int64_t revoked = kpio_handle_revoke(((struct revoke_context *)arg)->event, 0);
    if (revoked != batch) bench_fail("revoke_1000", "not every handle was revoked", revoked);
}

void bench_revoke(void) {
    struct revoke_context context = {.event = (kpio_handle)bench_check("event", kpio_event_create())};
    for (uint32_t i = 0; i < REVOKE_PROCESSES; i++) context.processes[i] = bench_spawn("sleeper", NULL, 0);
    time_sleep_ms(50);
    bench_run(&(struct bench){.name = "revoke_1000", .unit = "insns", .windows = 20, .batch = REVOKE_HANDLES,
                              .prepare = spread_handles, .operate = revoke, .context = &context});
    for (uint32_t i = 0; i < REVOKE_PROCESSES; i++) bench_reap(context.processes[i]);
    (void)kpio_handle_close((uint64_t)context.event);
}

// ---- threads and processes ----------------------------------------------------------------------------------------------
static char thread_stack[16384] __attribute__((aligned(16)));

static int64_t thread_body(void *arg) { return 0; }

static void create_join(void *arg, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++) {
        struct thread thread;
        int error = thread_spawn(&thread, "short", thread_body, NULL, thread_stack, sizeof(thread_stack));
        if (error == 0) error = thread_join(&thread, NULL);
        if (error != 0) bench_fail("thread_create_join", "spawn or join", error);
    }
}

// A process keeps the pages of one thread that ended for its next thread. In a window of thread_create_fresh there are none:
// a thread that stays has taken them. Kernel stacks are anybody's: there are enough of them at hand when the windows begin.
#define FRESH_WINDOWS 12u
static struct {
    struct thread threads[FRESH_WINDOWS + 2];  // two windows do not count
    char stacks[FRESH_WINDOWS + 2][4096] __attribute__((aligned(16)));
    uint32_t count, gone;                      // gone: a futex
} stayers;

static int64_t stay(void *arg) {
    while (__atomic_load_n(&stayers.gone, __ATOMIC_ACQUIRE) == 0)
        (void)kpio_futex_wait((uint64_t)&stayers.gone, 0, UINT32_MAX, KPIO_TIME_NEVER, 0);
    return 0;
}

static void take_what_is_left(void *arg) {
    int error = thread_spawn(&stayers.threads[stayers.count], "stayer", stay, NULL, stayers.stacks[stayers.count],
                             sizeof(stayers.stacks[0]));
    if (error != 0) bench_fail("thread_create_fresh", "spawn a stayer", error);
    stayers.count++;
    time_sleep_ms(1);
}

static void end_stayers(void) {
    __atomic_store_n(&stayers.gone, 1, __ATOMIC_RELEASE);
    (void)kpio_futex_wake((uint64_t)&stayers.gone, UINT32_MAX, UINT32_MAX, 0);
    while (stayers.count > 0) (void)bench_check("thread_create_fresh", thread_join(&stayers.threads[--stayers.count], NULL));
    __atomic_store_n(&stayers.gone, 0, __ATOMIC_RELEASE);
}

void bench_thread(void) {
    bench_run(&(struct bench){.name = "thread_create_join", .unit = "insns", .windows = 30, .batch = 8,
                              .operate = create_join});
    for (uint32_t i = 0; i < FRESH_WINDOWS + 2; i++) take_what_is_left(NULL);
    end_stayers();
    bench_run(&(struct bench){.name = "thread_create_fresh", .unit = "insns", .windows = FRESH_WINDOWS, .batch = 1,
                              .prepare = take_what_is_left, .operate = create_join});
    end_stayers();
}

static void spawn_exit(void *arg, uint32_t batch) {
    const struct process_spec *spec = arg;
    for (uint32_t i = 0; i < batch; i++) {
        const char *what = "";
        int64_t status = 0, process = process_spawn(spec, &what);
        if (process < 0) bench_fail("process_spawn_exit", what, process);
        int error = wait_terminated((kpio_handle)process, KPIO_TIME_NEVER, &status);
        if (error != 0 || status != 0) bench_fail("process_spawn_exit", "did not end with 0", error ? error : -EIO);
        (void)kpio_handle_close((uint64_t)process);
    }
}

void bench_process(void) {
    struct program program;
    (void)bench_check("/bin/true", archive_program(bench_archive(), "/bin/true", &program));
    struct process_spec spec = {.name = "true", .job = startup_handle("job"), .program = &program, .stack_bytes = 16384};
    bench_run(&(struct bench){.name = "process_spawn_exit", .unit = "insns", .windows = 30, .batch = 4,
                              .operate = spawn_exit, .context = &spec});
}

// As large as a small program: so many mappings and so many handles in all, and a page touched in each mapping.
#define FORK_MAPPINGS 20u
#define FORK_HANDLES 20u

__attribute__((naked)) static void fork_child(void) {
    __asm__ volatile("xor %%edi, %%edi\n\tmov %0, %%eax\n\tsyscall\n\tud2" : : "i"(SYS_process_exit));
}

static void fork_exit(void *arg, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++) {
        int64_t status = 0, process = bench_check("process_fork", kpio_process_fork(0, (uint64_t)fork_child, 0, 0));
        int error = wait_terminated((kpio_handle)process, KPIO_TIME_NEVER, &status);
        if (error != 0 || status != 0) bench_fail("process_fork_exit", "did not end with 0", error ? error : -EIO);
        (void)kpio_handle_close((uint64_t)process);
    }
}

static uint32_t count_mappings(void) {
    uint64_t range[2], at = 0;
    uint32_t count = 0;
    for (; kpio_aspace_query(startup_handle("aspace"), at, range, 2) >= 0; count++) at = range[0] + range[1];
    return count;
}

static uint64_t map_page(void) {
    int64_t vmo = bench_check("vmo", kpio_vmo_create(4096, 0));
    uint64_t at = (uint64_t)bench_check("map", kpio_aspace_map(startup_handle("aspace"), (kpio_handle)vmo, 0, 4096,
                                                               KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    (void)kpio_handle_close((uint64_t)vmo);
    *(volatile uint8_t *)at = 1;
    return at;
}

void bench_fork(void) {
    kpio_handle events[FORK_HANDLES];
    uint64_t pages[FORK_MAPPINGS];
    uint32_t mapped = 0, made = 0;
    while (count_mappings() < FORK_MAPPINGS) pages[mapped++] = map_page();
    while (kpio_process_handles(startup_handle("process"), NULL, 0) < FORK_HANDLES)
        events[made++] = (kpio_handle)bench_check("event", kpio_event_create());
    bench_run(&(struct bench){.name = "process_fork_exit", .unit = "insns", .windows = 30, .batch = 4, .operate = fork_exit});
    while (made > 0) (void)kpio_handle_close((uint64_t)events[--made]);
    while (mapped > 0) (void)kpio_aspace_unmap(startup_handle("aspace"), pages[--mapped], 4096);
}

void bench_boot(void) {
    struct kpio_system_info info = {0};
    (void)bench_check("boot_to_init", kpio_system_info(startup_handle("system"), &info));
    bench_value("boot_to_init", "insns", info.boot_to_init_insns);
    uint64_t used = info.memory_total - info.memory_free;
    bench_value("memory_after_init", "bytes", used - info.page_array_bytes - info.wasm_pool_bytes);
}

int bench_role(const char *role) {
    if (strcmp(role, "ipc_echo") == 0) return role_ipc_echo();
    if (strcmp(role, "event_waiter") == 0) return role_event_waiter();
    if (strcmp(role, "pipe_echo") == 0) return role_pipe_echo();
    if (strcmp(role, "many_waiter") == 0) return role_many_waiter();
    if (strcmp(role, "sleeper") == 0) return role_sleeper();
    print("bench: no role %s\n", role);
    return 1;
}
