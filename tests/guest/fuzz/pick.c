#include "lib/string.h"
#include "tests/guest/fuzz/fuzz.h"

uint64_t pick_handle(struct fuzzer *f, const struct fuzz_argument *a) {
    if (one_in(f, 40)) return next(f) % 3 == 0 ? next(f) : next(f) % 4096 | 1u << 18;
    if (a->optional && one_in(f, 3)) return 0;
    uint32_t start = (uint32_t)next(f);
    bool any = one_in(f, 50);
    kpio_handle found = pool_find(start, any ? 0 : a->kinds, any || one_in(f, 30) ? 0 : a->rights);
    return (uint64_t)(found > 0 ? found : pool_at(start));
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

// Names and paths, good and bad.
static uint64_t pick_text(struct fuzzer *f) {
    static const char *const texts[] = {"file", "dir", "dir/file", "new", "link", "second", "moved", ".", "..", "/", "", "dir/../file",
                                        "file/", "dir/", "//dir//.//..", "tmpfs", "ext4", "user.some", "size=64K", "none/such"};
    if (one_in(f, 25)) return pick_address(f);
    return (uint64_t)texts[next(f) % (sizeof texts / sizeof texts[0])];
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

uint64_t pick(struct fuzzer *f, const struct fuzz_call *call, uint32_t index) {
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
    case FUZZ_TEXT: return pick_text(f);
    case FUZZ_FLAGS: return one_in(f, 8) ? next(f) : next(f) & 0x1f & next(f);
    case FUZZ_IN: case FUZZ_OUT: case FUZZ_INOUT: return pick_buffer(f, a, index);
    default: return pick_named(f, a);
    }
}
