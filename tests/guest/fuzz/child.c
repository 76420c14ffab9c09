// The child: makes the calls, from several threads.
#include "lib/util.h"
#include "tests/guest/fuzz/fuzz.h"

uint64_t arena;
const char *const volume_names[VOLUMES] = {"volume0", "volume1", "volume2"};
static struct progress *progress;
static struct fuzzer fuzzers[MAX_THREADS];

static int64_t system_call(uint64_t number, const uint64_t *a) {
    int64_t result = (int64_t)number;
    register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
    uint64_t rdi = a[0], rsi = a[1], rdx = a[2];
    __asm__ volatile("syscall" : "+a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)::"rcx", "r11", "memory");
    return result;
}

// Calls that would end the fuzzer itself: rarely, but they are part of it. Those that wait for all CPUs or for all that is to
// be written are drawn less than others, which they would take the time from.
static bool is_wanted(struct fuzzer *f, const struct fuzz_call *call) {
    switch (call->number) {
    case SYS_process_exit: case SYS_thread_exit: case SYS_process_exec: return one_in(f, 3000);
    case SYS_thread_exception_return: case SYS_thread_set_exception: case SYS_process_set_foreign_entry:
    case SYS_thread_set_restart: return one_in(f, 200);
    case SYS_console_write: case SYS_console_emit: case SYS_system_power: return one_in(f, 100);
    case SYS_job_kill: case SYS_process_kill: case SYS_handle_revoke: case SYS_job_set_limits: return one_in(f, 8);
    case SYS_system_info: case SYS_fs_sync: return one_in(f, 8);
    case SYS_process_fork: case SYS_pci_reset: case SYS_file_sync: return one_in(f, 2);
    default: return true;
    }
}

static const struct kpio_job_limits no_limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};

// The job that calls see is one of the fuzzer's own: killing it ends nothing but what they made.
static void renew_job(void) {
    int64_t fresh = kpio_job_create(startup_handle("job"), &no_limits, (const uint8_t *)"calls", 5);
    if (fresh <= 0) return;
    kpio_handle old = __atomic_exchange_n(&originals[BASE_JOB], (kpio_handle)fresh, __ATOMIC_RELAXED);
    if (old > 0) (void)kpio_job_kill(old);
    if (old > 0) (void)kpio_handle_revoke(old, 1);
}

static uint8_t kind_of(const struct fuzz_call *call) {
    if (call->result_kind != 0 && call->result_kind != 255) return call->result_kind;
    if (call->count > 0 && call->arguments[0].type == FUZZ_HANDLE && call->arguments[0].kinds != 0)
        return (uint8_t)__builtin_ctz(call->arguments[0].kinds);
    return KPIO_KIND_NONE;
}

static void result_joins_the_pool(struct fuzzer *f, const struct fuzz_call *call, const uint64_t *a, int64_t result) {
    if (result < 0) return;
    if (call->number == SYS_pipe_read && a[3] & KPIO_PIPE_TAKE_HANDLES)
        for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES_MAX; i++) pool_add(f->block->handles[i].handle);
    if (is_ipc(call->number) && call->result_kind == 0)
        for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES(result) && i < 4; i++) pool_add(f->block->handles[i].handle);
    // Elsewhere it would stay: a place of the kernel's choice.
    if (call->number == SYS_aspace_map && !in_arena((uint64_t)result) && !one_in(f, 4))
        (void)kpio_aspace_unmap((kpio_handle)a[0], (uint64_t)result, a[3]);
    if (call->number == SYS_path_open) pool_add((int64_t)(uint32_t)result);
    if (result == 0 || call->result_kind == 0) return;
    pool_add(result);
    // The second handle of a pair.
    if (call->number == SYS_process_create) pool_add(*(int32_t *)a[4]);
    if (call->number == SYS_pipe_create) pool_add(*(int32_t *)a[2]);
}

// Brings back what earlier calls took away: the scratch memory, room in the arena, the job and its limits.
static void restore(struct fuzzer *f) {
    kpio_handle self = startup_handle("aspace");
    if (kpio_random_get(f->scratch, 8) < 0)
        (void)kpio_aspace_map(self, f->scratch_vmo, 0, SCRATCH, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, (uint64_t)f->scratch);
    if (f->calls % 1024 == 0) (void)kpio_aspace_map(self, 0, 0, ARENA, KPIO_MAP_RESERVE | KPIO_MAP_FIXED, arena);
    if (f->calls % 4096 == 0 || kpio_handle_close((uint64_t)kpio_job_create(originals[BASE_JOB], &no_limits, NULL, 0)) != 0)
        renew_job();
    pool_refill();
}

// Handles that go with a message or into a pipe.
static void fill_block(struct fuzzer *f) {
    for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES_MAX; i++) {
        kpio_handle h = pool_find((uint32_t)next(f), 0, KPIO_RIGHT_TRANSFER | KPIO_RIGHT_DUPLICATE);
        f->block->handles[i] = (struct kpio_message_handle){h, KPIO_RIGHTS_SAME, next(f) % 2, 0, 0};
    }
}

static void choose(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    for (uint32_t i = 0; i < 6; i++) a[i] = i < call->count ? pick(f, call, i) : next(f);
    if (one_in(f, 64)) a[next(f) % 6] = next(f);
    if (call->number == SYS_aspace_map && (a[4] & (KPIO_MAP_FIXED | KPIO_MAP_FIXED_NOREPLACE)))
        a[5] = arena + next(f) % 256 * 4096;
    if (KPIO_MESSAGE_HANDLES(a[1]) != 0 && is_ipc(call->number)) fill_block(f);
    prepare(f, call, a);
    // When an area is looked at, and when a handle expires, depends on the clock.
    if (call->number == SYS_thread_set_restart && progress->threads == 1) a[0] = 0;
    if (call->number == SYS_handle_expire && progress->threads == 1) a[1] = KPIO_TIME_NEVER;
    // A driver that says nothing is waited for so long.
    if (call->number == SYS_fuse_mount) a[2] = (uint64_t)(one_in(f, 4) ? "size=64K" : "timeout=1,dirty=256K");
    if (call->number == SYS_pipe_write && a[3] >= KPIO_PIPE_SEND_HANDLES(1)) fill_block(f);
}

static void count(const struct fuzz_call *call, int64_t result) {
    uint8_t kind = kind_of(call);
    uint32_t index = call->number - SYSCALL_BASE;
    bool good = result >= 0 || result == -EAGAIN || result == -ETIMEDOUT;  // waits that did wait
    __atomic_fetch_add(&progress->kind[kind].calls, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&progress->kind[kind].succeeded, good, __ATOMIC_RELAXED);
    __atomic_fetch_add(&progress->call[index].calls, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&progress->call[index].succeeded, good, __ATOMIC_RELAXED);
}

static void hash(uint64_t word) { progress->hash = (progress->hash ^ word) * 0x100000001b3ull; }

static bool is_time(uint64_t number, uint32_t argument) {
    if (number < SYSCALL_BASE || number - SYSCALL_BASE >= SYSCALL_COUNT) return false;
    const struct fuzz_call *call = &fuzz_calls[number - SYSCALL_BASE];
    return argument < call->count && call->arguments[argument].type == FUZZ_TIME;
}

// Times are left out: when QEMU lets an idle CPU's clock jump, it may be a few instructions off.
static int64_t make(uint64_t number, const uint64_t *a) {
    if (progress->threads != 1) return system_call(number, a);
    hash(number);
    for (uint32_t i = 0; i < 6; i++)
        if (!is_time(number, i)) hash(a[i]);
    int64_t result = system_call(number, a);
    if (number != SYS_clock_get) hash((uint64_t)result);
    return result;
}

static void one_call(struct fuzzer *f) {
    const struct fuzz_call *call = &fuzz_calls[next(f) % SYSCALL_COUNT];
    uint64_t a[6], number = call->number;
    if (!is_wanted(f, call)) return;
    choose(f, call, a);
    if (one_in(f, 500)) {
        for (uint32_t i = 0; i < 6; i++)
            if (is_time(number, i)) a[i] = next(f);
        number = one_in(f, 2) ? next(f) : SYSCALL_BASE + next(f) % 256;  // foreign and unknown ones
    }
    shorten_waits(number, a);
    uint64_t *inside = &progress->inside[f - fuzzers];
    __atomic_store_n(inside, number, __ATOMIC_RELAXED);
    int64_t result = make(number, a);
    __atomic_store_n(inside, 0, __ATOMIC_RELAXED);
    if (number == SYS_thread_set_bases) {
        uint64_t bases[6] = {(uint64_t)f->block, 0};
        (void)system_call(SYS_thread_set_bases, bases);
    }
    if (number != call->number) return;
    count(call, result);
    result_joins_the_pool(f, call, a, result);
}

static bool on_exception(struct kpio_exception_frame *frame, void *context) {
    return frame->kind == KPIO_EXC_INTERRUPT;  // interrupted by another fuzzer: go on; a fault ends the process
}

static int64_t fuzz(void *arg) {
    struct fuzzer *f = arg;
    f->block = thread_self();
    (void)exception_set(on_exception, f, f->exception_stack, sizeof(f->exception_stack));
    while (__atomic_fetch_add(&progress->calls, 1, __ATOMIC_RELAXED) < progress->budget) {
        if (f->calls++ % 64 == 0) restore(f);
        one_call(f);
    }
    return 0;
}

// Partners for IPC: these call, and the next one answers; until a call closes what they do it through.
static int64_t call_always(void *arg) {
    while (kpio_ipc_call(originals[BASE_CALLERS], KPIO_MESSAGE(1, 8, 0), KPIO_TIME_NEVER) != -EBADF) continue;
    return 0;
}

static int64_t answer_always(void *arg) {
    int64_t message = kpio_ipc_receive(originals[BASE_SERVER], KPIO_TIME_NEVER);
    while (message != -EBADF) {
        if (message < 0) {
            message = kpio_ipc_receive(originals[BASE_SERVER], KPIO_TIME_NEVER);
            continue;
        }
        for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES(message); i++)
            (void)kpio_handle_close((uint64_t)thread_self()->handles[i].handle);
        message = kpio_ipc_reply_receive(originals[BASE_SERVER], KPIO_MESSAGE(1, 8, 0), KPIO_TIME_NEVER);
    }
    return 0;
}

#define PARTNERS 5
static struct thread partners[PARTNERS];

// Not the rights to end what makes the calls.
static int prepare_originals(void) {
    static const char *const given[] = {
        [BASE_SYSTEM] = "fuzz_system", [BASE_ASPACE] = "aspace", [BASE_PROCESS] = "process", [BASE_PCI] = "pci",
        [BASE_DISK] = "disk"};
    renew_job();
    originals[BASE_CALLERS] = (kpio_handle)kpio_endpoint_create();
    originals[BASE_SERVER] = (kpio_handle)kpio_endpoint_create();
    for (uint32_t i = 0; i < VOLUMES; i++) originals[BASE_VOLUME + i] = startup_handle(volume_names[i]);
    for (uint32_t i = 0; i < BASE_COUNT; i++) {
        if (i < sizeof(given) / sizeof(given[0]) && given[i]) originals[i] = startup_handle(given[i]);
        struct kpio_handle_info info;
        if (originals[i] <= 0) continue;  // a machine without PCI, without a disk
        if (kpio_handle_info(originals[i], &info) != 0) return -EBADF;
        base_rights[i] = i == BASE_JOB ? info.rights : info.rights & ~(KPIO_RIGHT_KILL | KPIO_RIGHT_POWER);
    }
    for (uint32_t i = 0; i < PARTNERS; i++) {
        int error = thread_spawn(&partners[i], "partner", i == 0 ? answer_always : call_always, NULL, NULL, 0);
        if (error) return error;
    }
    return 0;
}

KT_CHILD(fuzzer) {
    kpio_handle self = startup_handle("aspace");
    int64_t shared = kpio_aspace_map(self, startup_handle("progress"), 0, align_up(sizeof(struct progress), 4096),
                                      KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    arena = (uint64_t)kpio_aspace_map(self, 0, 0, ARENA, KPIO_MAP_RESERVE, 0);
    if (shared < 0 || (int64_t)arena < 0) return 1;
    progress = (struct progress *)shared;
    if (prepare_originals() != 0) return 2;
    uint32_t threads = (uint32_t)progress->threads;
    for (uint32_t i = 0; i < threads; i++) {
        struct fuzzer *f = &fuzzers[i];
        f->random = (progress->seed * MAX_THREADS + i) * 0x9e3779b97f4a7c15ull | 1;
        f->scratch_vmo = (kpio_handle)kpio_vmo_create(SCRATCH, 0);
        f->scratch = (uint8_t *)kpio_aspace_map(self, f->scratch_vmo, 0, SCRATCH,
                                              KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
        if ((int64_t)f->scratch < 0 || thread_spawn(&f->thread, "fuzz", fuzz, f, NULL, 0) != 0) return 3;
    }
    for (uint32_t i = 0; i < threads; i++) (void)thread_join(&fuzzers[i].thread, NULL);
    return 0;
}
