#include "tests/guest/kt/balance.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "tests/guest/kt/kt.h"
#include "user/libkpio/heap.h"

// Slabs keep a few empty pages for each of their caches and CPUs, and per-CPU lists of pages count as free.
#define PAGES_TOLERATED 256u
#define SETTLE_ROUNDS 20u

static const char *const kind_names[KPIO_KIND_COUNT] = {
    "none", "job", "process", "thread", "vmo", "aspace", "endpoint", "reply", "event", "port", "timer", "irq", "mmio",
    "dma", "pci", "disk", "directory", "file", "pipe", "wasm_pool", "system", "counter", "fuse"};

static void read_once(struct kt_balance *balance) {
    struct kpio_system_info info = {0};
    int64_t error = kpio_system_info(startup_handle("system"), &info);
    if (error) print("system_info: %s\n", error_name(error));
    balance->free_pages = info.memory_free / 4096;
    balance->handles = info.handles;
    for (unsigned kind = 0; kind < KPIO_KIND_COUNT; kind++) balance->objects[kind] = info.objects[kind];
}

// ---- what ends on its own -------------------------------------------------------------------------------------------------------

#define PEOPLE_MAX 64u                // processes of a job that are looked at

static uint64_t at_first[KPIO_KIND_COUNT];

// Whether somebody else still holds this program's address space or first thread: who started it has not got to the end of that.
static bool is_held(kpio_handle process) {
    struct kpio_handle_info own[2], held[64];
    (void)kpio_handle_info(startup_handle("aspace"), &own[0]);
    (void)kpio_handle_info(startup_handle("thread"), &own[1]);
    const int64_t count = kpio_process_handles(process, held, ARRAY_SIZE(held));
    for (int64_t i = 0; i < MIN(count, (int64_t)ARRAY_SIZE(held)); i++)
        if (held[i].object_id == own[0].object_id || held[i].object_id == own[1].object_id) return true;
    return false;
}

static bool is_being_started(void) {
    uint64_t ids[PEOPLE_MAX];
    struct kpio_handle_info self;
    (void)kpio_handle_info(startup_handle("process"), &self);
    const int64_t count = kpio_job_list(startup_handle("job"), 1, ids, ARRAY_SIZE(ids));
    for (int64_t i = 0; i < MIN(count, (int64_t)ARRAY_SIZE(ids)); i++) {
        const int64_t process = ids[i] == self.object_id ? 0 : kpio_job_open(startup_handle("job"), ids[i], KPIO_RIGHT_INSPECT);
        if (process <= 0) continue;
        const bool held = is_held((kpio_handle)process);
        (void)kpio_handle_close((uint64_t)process);
        if (held) return true;
    }
    return false;
}

static bool counts_for_population(unsigned kind) { return kind == KPIO_KIND_JOB || kind == KPIO_KIND_PROCESS || kind == KPIO_KIND_THREAD; }

static bool is_crowded(const struct kt_balance *balance) {
    for (unsigned kind = 0; kind < KPIO_KIND_COUNT; kind++)
        if (counts_for_population(kind) && balance->objects[kind] > at_first[kind]) return true;
    return false;
}

void kt_balance_settle(void) {
    const uint64_t until = time_after_ms(KT_HANG_MS);
    struct kt_balance balance;
    read_once(&balance);
    while (is_crowded(&balance) && time_now() < until) {
        time_sleep_ms(1);
        read_once(&balance);
    }
    if (is_crowded(&balance)) memcpy(at_first, balance.objects, sizeof at_first);
}

// ---- counting -------------------------------------------------------------------------------------------------------------------

static bool same_counts(const struct kt_balance *a, const struct kt_balance *b) {
    if (a->handles != b->handles) return false;
    for (unsigned kind = 0; kind < KPIO_KIND_COUNT; kind++)
        if (a->objects[kind] != b->objects[kind]) return false;
    return true;
}

void kt_balance_take(struct kt_balance *balance) {
    struct kt_balance earlier;
    read_once(&earlier);
    for (unsigned round = 0; round < SETTLE_ROUNDS; round++) {
        time_sleep_ms(1);
        read_once(balance);
        if (same_counts(&earlier, balance) && round > 0) return;
        earlier = *balance;
    }
}

// What the kernel makes at its first use: the table of names with the first mount. The program's own heap.
void kt_balance_warm_up(void) {
    struct kt_balance balance;
    while (is_being_started()) time_sleep_ms(1);
    int64_t root = kpio_fs_mount("tmpfs", 0, 0, NULL);
    if (root > 0) (void)kpio_handle_close((uint64_t)root);
    heap_free(heap_alloc(1));
    kt_balance_take(&balance);
    memcpy(at_first, balance.objects, sizeof at_first);
}

bool kt_balance_equal(const struct kt_balance *before, const struct kt_balance *after, char *reason, size_t size) {
    for (unsigned kind = 0; kind < KPIO_KIND_COUNT; kind++) {
        if (before->objects[kind] != after->objects[kind]) {
            (void)fmt_print(reason, size, "%s objects before %lu, after %lu", kind_names[kind],
                            (unsigned long)before->objects[kind], (unsigned long)after->objects[kind]);
            return false;
        }
    }
    if (before->handles != after->handles) {
        (void)fmt_print(reason, size, "handles before %lu, after %lu", (unsigned long)before->handles,
                        (unsigned long)after->handles);
        return false;
    }
    if (before->free_pages > after->free_pages + PAGES_TOLERATED) {
        (void)fmt_print(reason, size, "free pages before %lu, after %lu", (unsigned long)before->free_pages,
                        (unsigned long)after->free_pages);
        return false;
    }
    return true;
}
