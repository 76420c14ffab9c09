// What the parts of the system-call fuzzer share. The parent (../fuzz.c) starts children; a child (child.c) draws calls,
// gets their arguments (pick.c), makes it likely that they find what they need (prepare.c), and keeps handles (pool.c).
#pragma once
#include "abi/gen/fuzz_grammar.h"
#include "tests/guest/kt/kt.h"

#define ARENA (64ul << 20)  // where mappings go: nothing else lives there
#define SCRATCH 16384u      // of each thread: what buffers point to
#define MAX_THREADS 8
#define VOLUMES 3           // file systems on disks (host/kpio/fuzzed.py)
extern const char *const volume_names[VOLUMES];  // what the child knows their roots by

// Shared with the parent.
struct progress {
    uint64_t calls, budget, seed, threads;
    uint64_t inside[MAX_THREADS];  // the number of the call that each thread is in; 0: in none of those that count
    uint64_t hash;  // of every call's number, arguments and result, but times, in order; with one thread only
    struct {
        uint64_t calls, succeeded;
    } kind[KPIO_KIND_COUNT], call[SYSCALL_COUNT];
};

struct fuzzer {
    struct thread thread;
    uint64_t random;
    struct kpio_thread_block *block;
    uint8_t *scratch;
    kpio_handle scratch_vmo;
    uint32_t calls;
    uint8_t exception_stack[32768] __attribute__((aligned(64)));
};

static inline uint64_t next(struct fuzzer *f) {
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}
static inline bool one_in(struct fuzzer *f, uint32_t n) { return next(f) % n == 0; }

// ---- the child's memory for mappings (child.c) ----
extern uint64_t arena;
static inline bool in_arena(uint64_t address) { return address >= arena && address < arena + ARENA; }

// ---- handles (pool.c): a pool that calls take theirs from and put what they got into. Its first few are copies of handles
// that no call sees, and come back when calls have used them up; so do the kinds that can be made. ----
#define POOL 192
enum { BASE_JOB, BASE_SYSTEM, BASE_ASPACE, BASE_PROCESS, BASE_PCI, BASE_DISK, BASE_CALLERS, BASE_SERVER, BASE_VOLUME,
       BASE_VOLUMES = BASE_VOLUME + VOLUMES, BASE_COUNT = BASE_VOLUMES };
extern kpio_handle originals[BASE_COUNT];
extern uint32_t base_rights[BASE_COUNT];
void pool_add(int64_t handle);
// One of these kinds (a set; 0: any) with these rights, from `start` on; 0: there is none.
kpio_handle pool_find(uint32_t start, uint32_t kinds, uint32_t rights);
// What is at this place, whatever it is.
kpio_handle pool_at(uint32_t place);
// Makes one of each useful kind be there again.
void pool_refill(void);

// ---- arguments ----
// pick.c: one that fits the grammar, mostly.
uint64_t pick(struct fuzzer *f, const struct fuzz_call *call, uint32_t index);
uint64_t pick_handle(struct fuzzer *f, const struct fuzz_argument *a);
// prepare_files.c: the same for calls on files and directories.
void prepare_files(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a);
// prepare.c: makes a call likely to find its state, with the six words that it will be made with.
void prepare(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a);
// No wait is long: deadlines of the call of that number.
void shorten_waits(uint64_t number, uint64_t *a);
static inline bool is_ipc(uint64_t number) { return number >= SYS_ipc_call && number <= SYS_reply_send; }
