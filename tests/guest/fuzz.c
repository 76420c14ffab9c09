// System-call fuzzer: calls from the grammar that abi/generate.py makes of syscalls.def, with arguments that are mostly
// well-formed and sometimes anything. A child process in a job with quotas makes the calls from several threads; it may
// well end itself, then another goes on with the next seed. What counts is that the kernel lives, loses nothing, and that
// enough calls succeed to reach beyond the checks.
//
//   kpio.seed=N          first seed (1)              kpio.fuzz_calls=N    calls in all (60,000; long form 10,000,000)
//   kpio.fuzz_threads=N  threads of the child (4; with 1 and one CPU a run repeats exactly)
#include "abi/gen/fuzz_grammar.h"
#include "lib/string.h"
#include "lib/util.h"
#include "tests/guest/fuzz_pool.h"
#include "tests/guest/kt/coverage.h"
#include "tests/guest/kt/driver.h"
#include "tests/guest/kt/kt.h"

#define ARENA (64ul << 20)  // where mappings go: nothing else lives there
#define SCRATCH 16384u
#define MAX_THREADS 8
#define FUZZED_DEVICE (0x1af4u | 0x1044u << 16)  // virtio-rng: harmless, and in every test machine

// Shared with the parent.
struct progress {
    uint64_t calls, budget, seed, threads;
    struct {
        uint64_t calls, succeeded;
    } kind[KPIO_KIND_COUNT], call[SYSCALL_COUNT];
};

// ---- the child ------------------------------------------------------------------------------------------------------------

static struct progress *progress;
static uint64_t arena;
struct fuzzer {
    struct thread thread;
    uint64_t random;
    struct kpio_thread_block *block;
    uint8_t *scratch;
    kpio_handle scratch_vmo;
    uint32_t calls;
    uint8_t exception_stack[32768] __attribute__((aligned(64)));
};
static struct fuzzer fuzzers[MAX_THREADS];

static uint64_t next(struct fuzzer *f) {
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}
static bool one_in(struct fuzzer *f, uint32_t n) { return next(f) % n == 0; }

static uint64_t pick_handle(struct fuzzer *f, const struct fuzz_argument *a) {
    if (one_in(f, 40)) return next(f) % 3 == 0 ? next(f) : next(f) % 4096 | 1u << 18;
    if (a->optional && one_in(f, 3)) return 0;
    uint32_t start = (uint32_t)next(f);
    bool any = one_in(f, 50);
    kpio_handle found = pool_find(start, any ? 0 : a->kinds, any || one_in(f, 30) ? 0 : a->rights);
    return (uint64_t)(found > 0 ? found : pool[start % POOL].handle);
}

static uint64_t pick_number(struct fuzzer *f) {
    switch (next(f) % 16) {
    case 0: return next(f);
    case 1: return UINT64_MAX - next(f) % 4;
    case 2: return 1ull << next(f) % 64;
    case 3: return (1ull << next(f) % 64) - 1;
    case 4: return next(f) % 4096;
    case 5: return next(f) % 64 * 4096;
    default: return next(f) % 4;
    }
}

static uint64_t pick_size(struct fuzzer *f) {
    switch (next(f) % 16) {
    case 0: return pick_number(f);
    case 1: return 0;
    case 2: case 3: case 4: return next(f) % 4096;
    case 5: return (next(f) % 600 + 1) * 4096;
    default: return (next(f) % 8 + 1) * 4096;
    }
}

static uint64_t pick_address(struct fuzzer *f) {
    switch (next(f) % 12) {
    case 0: return pick_number(f);
    case 1: return 0;
    case 2: return 0xffff800000000000ull + pick_number(f);
    case 3: case 4: return (uint64_t)f->scratch + next(f) % 512 * 4;
    default: return arena + next(f) % (ARENA / 4096 / 64) * 4096;
    }
}

static uint64_t pick_time(struct fuzzer *f, bool blocks) {
    uint64_t now = (uint64_t)kpio_clock_get(0);
    switch (next(f) % 8) {
    case 0: return now + next(f) % 300000;
    case 1: return now;
    case 2: return blocks ? now + 1000 : KPIO_TIME_NEVER;
    default: return 0;
    }
}

// A process below the job.
static uint64_t pick_id(struct fuzzer *f) {
    uint64_t ids[16] = {0};
    int64_t count = kpio_job_list(originals[BASE_JOB], (uint32_t)next(f) % 2, ids, 16);
    return count > 0 ? ids[next(f) % (uint64_t)(count < 16 ? count : 16)] : next(f) % 100;
}

// Where threads start: one that ran on would end the process by a fault.
__attribute__((naked)) static void exit_at_once(void) {
    __asm__ volatile("mov %0, %%eax\n\tsyscall\n\tud2" ::"i"(SYS_thread_exit));
}

// What a word of that name usually is; most of what makes a call succeed.
static uint64_t pick_named(struct fuzzer *f, const struct fuzz_argument *a) {
    const char *n = a->name;
    if (one_in(f, 12)) return pick_number(f);
    if (strcmp(n, "rights") == 0) return one_in(f, 3) ? next(f) & KPIO_RIGHTS_ALL : KPIO_RIGHTS_SAME;
    if (strcmp(n, "message") == 0)
        return KPIO_MESSAGE(next(f) % 8, next(f) % 3 ? next(f) % 65 : next(f) % 4200, one_in(f, 4) ? next(f) % 5 : 0);
    if (strcmp(n, "signals") == 0) return one_in(f, 2) ? 0x3fffffff : next(f) & 0x3fffffff;
    if (strcmp(n, "set") == 0 || strcmp(n, "clear") == 0 || strcmp(n, "mask") == 0) return next(f) & 0xffffff;
    if (strcmp(n, "affinity") == 0) return one_in(f, 2) ? 0 : 1;
    if (strcmp(n, "priority") == 0) return next(f) % 99 + 1;
    if (strcmp(n, "class") == 0) return one_in(f, 4) ? 2 : 0;  // real time would starve the others
    if (strcmp(n, "mode") == 0 || strcmp(n, "options") == 0 || strcmp(n, "self") == 0 || strcmp(n, "on") == 0) return next(f) % 2;
    if (strcmp(n, "what") == 0 || strcmp(n, "clock") == 0 || strcmp(n, "op") == 0) return next(f) % 3;
    if (strcmp(n, "status") == 0) return next(f);
    if (strcmp(n, "offset") == 0) return next(f) % 8 * 4096;
    if (strcmp(n, "rounds") == 0) return next(f) % 100;
    if (strcmp(n, "period") == 0) return one_in(f, 2) ? 0 : 100000 + next(f) % 1000000;
    if (strcmp(n, "key") == 0) return next(f) % 4;
    if (strcmp(n, "h") == 0) return pick_handle(f, a);
    if (strcmp(n, "entry") == 0) return one_in(f, 30) ? pick_address(f) : (uint64_t)exit_at_once;
    if (strcmp(n, "id") == 0) return pick_id(f);
    if (strcmp(n, "gsi") == 0) return next(f) % 24;
    if (strcmp(n, "index") == 0) return next(f) % 6;
    if (strcmp(n, "flags") == 0) return next(f) % 2;
    if (strcmp(n, "value") == 0 && one_in(f, 2)) return 0;
    return pick_number(f);
}

static void fill(struct fuzzer *f, uint8_t *at, const struct fuzz_argument *a, uint64_t bytes) {
    for (uint64_t i = 0; i + 8 <= bytes; i += 8)
        *(uint64_t *)(at + i) = a->size == 1 ? 0x6162636465666768 : one_in(f, 2) ? UINT64_MAX : next(f) % 5000 + 200;
}

static uint64_t pick_buffer(struct fuzzer *f, const struct fuzz_argument *a, uint32_t index) {
    if (one_in(f, 25)) return pick_address(f);
    uint8_t *at = f->scratch + index % 4 * (SCRATCH / 4);
    if (a->type != FUZZ_OUT) fill(f, at, a, a->length >= 0 ? 64 : a->size);
    return (uint64_t)at;
}

static uint64_t pick(struct fuzzer *f, const struct fuzz_call *call, uint32_t index) {
    const struct fuzz_argument *a = &call->arguments[index];
    bool blocks = strcmp(call->name, "handle_expire") != 0 && strcmp(call->name, "timer_set") != 0;
    for (uint32_t i = 0; i < call->count; i++)  // a count of elements of a buffer
        if (call->arguments[i].length == (int)index && !one_in(f, 16)) {
            uint32_t fits = SCRATCH / 4 / call->arguments[i].size;
            return strcmp(a->name, "name_len") == 0 ? next(f) % 20 : next(f) % (fits < 256 ? fits : 256);
        }
    if (a->type != FUZZ_HANDLE && strcmp(a->name, "entry") == 0) return pick_named(f, a);
    if (call->number == SYS_pci_config_read && a->type == FUZZ_U32 && !one_in(f, 8))
        return strcmp(a->name, "size") == 0 ? 1u << next(f) % 3 : next(f) % 64 * 4;
    switch (a->type) {
    case FUZZ_HANDLE: return pick_handle(f, a);
    case FUZZ_SIZE: return pick_size(f);
    case FUZZ_ADDR: return pick_address(f);
    case FUZZ_TIME: return pick_time(f, blocks);
    case FUZZ_FLAGS: return one_in(f, 8) ? next(f) : next(f) & 0x1f & next(f);
    case FUZZ_IN: case FUZZ_OUT: case FUZZ_INOUT: return pick_buffer(f, a, index);
    default: return pick_named(f, a);
    }
}

static int64_t system_call(uint64_t number, const uint64_t *a) {
    int64_t result = (int64_t)number;
    register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
    uint64_t rdi = a[0], rsi = a[1], rdx = a[2];
    __asm__ volatile("syscall" : "+a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)::"rcx", "r11", "memory");
    return result;
}

// Calls that would end the fuzzer itself: rarely, but they are part of it.
static bool is_wanted(struct fuzzer *f, const struct fuzz_call *call) {
    switch (call->number) {
    case SYS_process_exit: case SYS_thread_exit: return one_in(f, 3000);
    case SYS_thread_exception_return: case SYS_thread_set_exception: case SYS_process_set_foreign_entry: return one_in(f, 200);
    case SYS_console_write: case SYS_system_power: return one_in(f, 100);
    case SYS_job_kill: case SYS_process_kill: case SYS_handle_revoke: case SYS_job_set_limits: return one_in(f, 8);
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

static bool is_ipc(uint64_t number) { return number >= SYS_ipc_call && number <= SYS_reply_send; }

static void result_joins_the_pool(struct fuzzer *f, const struct fuzz_call *call, const uint64_t *a, int64_t result) {
    if (result < 0) return;
    if (is_ipc(call->number) && call->result_kind == 0)
        for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES(result) && i < 4; i++) pool_add(f->block->handles[i].handle);
    // Elsewhere it would stay: a place of the kernel's choice.
    if (call->number == SYS_aspace_map && ((uint64_t)result < arena || (uint64_t)result >= arena + ARENA) && !one_in(f, 4))
        (void)kpio_aspace_unmap((kpio_handle)a[0], (uint64_t)result, a[3]);
    if (result == 0 || call->result_kind == 0) return;
    pool_add(result);
    // The second handle of a pair.
    if (call->number == SYS_process_create) pool_add(*(int32_t *)a[4]);
    if (call->number == SYS_pipe_create) pool_add(*(int32_t *)a[2]);
}

// What makes the call likely to find its state; and no wait is long.
static void prepare(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    uint64_t now = (uint64_t)kpio_clock_get(0);
    bool replies = call->number == SYS_reply_save || call->number == SYS_ipc_reply || call->number == SYS_ipc_reply_receive;
    if (replies && !one_in(f, 6)) (void)kpio_ipc_receive(originals[BASE_CALLERS], now + 2000000);
    if (call->number == SYS_pci_bar && !one_in(f, 8)) a[1] = 4;  // virtio has its registers there
    bool plain = !one_in(f, 4);
    if (plain && call->number == SYS_aspace_map) {
        a[2] = 0;
        a[3] = (next(f) % 4 + 1) * 4096;
        a[4] = a[1] == 0 ? KPIO_MAP_RESERVE : a[4] & (KPIO_MAP_READ | KPIO_MAP_FIXED | KPIO_MAP_POPULATE);
    }
    if (plain && (call->number == SYS_aspace_unmap || call->number == SYS_aspace_protect)) {
        a[1] = arena + next(f) % 512 * 4096;
        a[2] = (next(f) % 8 + 1) * 4096;
    }
    if (plain && call->number == SYS_aspace_protect) a[3] &= KPIO_MAP_READ;
    for (uint32_t i = 0; i < call->count; i++)
        if (call->arguments[i].type == FUZZ_TIME && call->number != SYS_handle_expire && call->number != SYS_timer_set &&
            a[i] > now + 5000000)
            a[i] = now + 300000;
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

static void one_call(struct fuzzer *f) {
    const struct fuzz_call *call = &fuzz_calls[next(f) % SYSCALL_COUNT];
    if (!is_wanted(f, call)) return;
    uint64_t a[6], number = call->number;
    for (uint32_t i = 0; i < 6; i++) a[i] = i < call->count ? pick(f, call, i) : next(f);
    if (one_in(f, 64)) a[next(f) % 6] = next(f);
    if (one_in(f, 500)) number = one_in(f, 2) ? next(f) : 0x1000 + next(f) % 256;  // foreign and unknown ones
    if (call->number == SYS_aspace_map && (a[4] & (KPIO_MAP_FIXED | KPIO_MAP_FIXED_NOREPLACE))) a[5] = arena + next(f) % 256 * 4096;
    if (KPIO_MESSAGE_HANDLES(a[1]) != 0 && is_ipc(call->number))
        for (uint32_t i = 0; i < 4; i++)
            f->block->handles[i] = (struct kpio_message_handle){
                pool_find((uint32_t)next(f), 0, KPIO_RIGHT_TRANSFER | KPIO_RIGHT_DUPLICATE), KPIO_RIGHTS_SAME, next(f) % 2, 0, 0};
    prepare(f, call, a);
    int64_t result = system_call(number, a);
    if (call->number == SYS_thread_set_bases) {
        uint64_t bases[6] = {(uint64_t)f->block, 0};
        (void)system_call(SYS_thread_set_bases, bases);
    }
    if (number == call->number) {
        uint8_t kind = kind_of(call);
        bool good = result >= 0 || result == -EAGAIN || result == -ETIMEDOUT;  // waits that did wait
        __atomic_fetch_add(&progress->kind[kind].calls, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&progress->kind[kind].succeeded, good, __ATOMIC_RELAXED);
        __atomic_fetch_add(&progress->call[number - SYSCALL_BASE].calls, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&progress->call[number - SYSCALL_BASE].succeeded, good, __ATOMIC_RELAXED);
        result_joins_the_pool(f, call, a, result);
    }
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

// Partners for IPC: these call, and the next one answers.
[[gnu::noreturn]] static int64_t call_always(void *arg) {
    for (;;)
        if (kpio_ipc_call(originals[BASE_CALLERS], KPIO_MESSAGE(1, 8, 0), KPIO_TIME_NEVER) < 0)
            (void)kpio_event_wait(originals[BASE_JOB], 0, 0, 0);
}

[[gnu::noreturn]] static int64_t answer_always(void *arg) {
    for (int64_t message = -EAGAIN;;) {
        if (message < 0) message = kpio_ipc_receive(originals[BASE_SERVER], KPIO_TIME_NEVER);
        else {
            struct kpio_thread_block *block = thread_self();
            for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES(message); i++) (void)kpio_handle_close((uint64_t)block->handles[i].handle);
            message = kpio_ipc_reply_receive(originals[BASE_SERVER], KPIO_MESSAGE(1, 8, 0), KPIO_TIME_NEVER);
        }
    }
}

#define PARTNERS 5
static struct thread partners[PARTNERS];

// Not the rights to end what makes the calls.
static int prepare_originals(void) {
    static const char *const given[] = {
        [BASE_SYSTEM] = "fuzz_system", [BASE_ASPACE] = "aspace", [BASE_PROCESS] = "process", [BASE_PCI] = "pci"};
    renew_job();
    originals[BASE_CALLERS] = (kpio_handle)kpio_endpoint_create();
    originals[BASE_SERVER] = (kpio_handle)kpio_endpoint_create();
    for (uint32_t i = 0; i < BASE_COUNT; i++) {
        if (i < sizeof(given) / sizeof(given[0]) && given[i]) originals[i] = startup_handle(given[i]);
        struct kpio_handle_info info;
        if (originals[i] <= 0) continue;  // a machine without PCI
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

// ---- the parent -------------------------------------------------------------------------------------------------------------

static const char *const kind_names[KPIO_KIND_COUNT] = {
    "none", "job", "process", "thread", "vmo", "aspace", "endpoint", "reply", "event", "port", "timer", "irq",
    "mmio", "dma", "pci", "disk", "directory", "file", "pipe", "wasm_pool", "system"};

static struct progress *map_progress(kpio_handle vmo, uint64_t bytes) {
    return (struct progress *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, bytes, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
}

// What in the job did not end.
static void report_stuck(kpio_handle job) {
    uint64_t ids[8];
    struct kpio_job_info info;
    if (kpio_job_info(job, &info) == 0)
        kt_note("job has %lu processes, %lu threads, %lu handles", (unsigned long)info.used.processes,
                (unsigned long)info.used.threads, (unsigned long)info.used.handles);
    for (uint32_t what = 0; what < 3; what++) {
        int64_t count = kpio_job_list(job, what, ids, ARRAY_SIZE(ids));
        for (int64_t i = 0; i < count && i < (int64_t)ARRAY_SIZE(ids); i++) {
            int64_t h = kpio_job_open(job, ids[i], KPIO_RIGHT_INSPECT);
            struct kpio_thread_info thread;
            struct kpio_process_info process;
            if (what == 0) kt_note("job %lu remains", (unsigned long)ids[i]);
            if (what == 1 && kpio_process_info((kpio_handle)h, &process) == 0)
                kt_note("process %s: state %u, %lu threads", process.name, process.state, (unsigned long)process.threads);
            if (what == 2 && kpio_thread_info((kpio_handle)h, &thread) == 0)
                kt_note("thread %s: state %u, CPU %u, class %u", thread.name, thread.state, thread.cpu, thread.class_);
            if (what == 2 && h < 0) kt_note("thread %lu: %s", (unsigned long)ids[i], error_name(h));
        }
    }
}

static void run_child(kpio_handle vmo, struct progress *p) {
    uint64_t seed = p->seed;
    struct kpio_job_limits limits = {.pages = 6000, .handles = 8000, .threads = 200, .kernel_bytes = 8 << 20, .processes = 60};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"fuzz", 4));
    // Not DEVICE: most functions of a test machine cannot be reset, and DMA memory of such a one is lost for good.
    uint32_t system_rights = KPIO_RIGHT_INSPECT | KPIO_RIGHT_AUDIT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_LOG;
    int64_t pci = kpio_pci_open(kt_system(), (uint64_t)kt_device_find(FUZZED_DEVICE, 0));
    struct process_grant grants[] = {
        {"progress", vmo, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"job", job, KPIO_RIGHTS_ALL & ~KPIO_RIGHT_KILL, KPIO_SEND_COPY},
        {"fuzz_system", kt_system(), system_rights, KPIO_SEND_COPY},
        {"pci", (kpio_handle)pci, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
    };
    kpio_handle_info(job, &(struct kpio_handle_info){0});
    struct kpio_handle_info info;
    KT_EQUAL(kpio_handle_info(job, &info), 0);
    grants[1].rights = info.rights & ~KPIO_RIGHT_KILL;
    kpio_handle child = kt_spawn_in(job, "fuzzer", grants, pci > 0 ? 4 : 3);
    int64_t status;
    // A seed gets 20 s; then what is left of it is ended from outside, which must work in any state.
    int error = wait_terminated(child, time_after_ms(20000), &status);
    if (error) kt_note("seed %s", "took too long");
    if (error != 0) KT_EQUAL(kpio_process_kill(child, 9), 0);
    KT_EQUAL(kpio_job_kill(job), 0);
    error = wait_terminated(job, time_after_ms(60000), NULL);
    if (error != 0) {
        kt_note("seed %lu", (unsigned long)seed);
        report_stuck(job);
    }
    KT_EQUAL(error, 0);
    kt_close(child);
    if (pci > 0) kt_close((kpio_handle)pci);
    (void)kpio_console_write(kt_system(), (const uint8_t *)"\n", 1);  // the calls may have left a line open
    kt_close(job);
}

static void report(const struct progress *p, uint64_t children) {
    uint64_t calls = 0, succeeded = 0;
    for (uint32_t kind = 0; kind < KPIO_KIND_COUNT; kind++) {
        uint64_t of = p->kind[kind].calls, good = p->kind[kind].succeeded;
        if (of == 0) continue;
        calls += of;
        succeeded += good;
        kt_note("%s: %lu calls, %lu %% succeeded", kind_names[kind], (unsigned long)of, (unsigned long)(good * 100 / of));
    }
    for (uint32_t i = 0; i < SYSCALL_COUNT && kt_setting("fuzz_verbose", 0); i++)
        kt_note("%s: %lu of %lu", fuzz_calls[i].name, (unsigned long)p->call[i].succeeded, (unsigned long)p->call[i].calls);
    kt_note("all: %lu calls, %lu %% succeeded, %lu children", (unsigned long)calls,
            (unsigned long)(succeeded * 100 / calls), (unsigned long)children);
    KT_CHECK(succeeded * 100 >= calls * 30);
}

KT_TEST(random_calls_harm_nobody) {
    uint64_t bytes = align_up(sizeof(struct progress), 4096), children = 0;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(bytes, 0));
    struct progress *p = map_progress(vmo, bytes);
    uint64_t total = kt_setting("fuzz_calls", kt_long() ? 10000000 : 60000), seed = kt_setting("seed", 1);
    p->threads = kt_setting("fuzz_threads", 4);
    if (p->threads > MAX_THREADS) p->threads = MAX_THREADS;
    // A child that ends itself has used part of the budget; a few calls are set aside so that each child makes some.
    for (p->calls = 0; p->calls < total; children++) {
        uint64_t before = p->calls;
        p->seed = seed + children;
        p->budget = p->calls + 20000 < total ? p->calls + 20000 : total;
        if (children % 16 == 0) kt_note("seed %lu after %lu calls", (unsigned long)p->seed, (unsigned long)p->calls);
        run_child(vmo, p);
        KT_CHECK(p->calls > before);
    }
    report(p, children);
    KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)p, bytes), 0);
    kt_close(vmo);
}

// Nothing but what has run so far, for the host: last, so that all of the above counts.
KT_TEST(coverage) { kt_print_coverage(); }
