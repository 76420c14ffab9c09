#include "tests/guest/kt/fork.h"

#include "lib/string.h"

void thread_begin(struct thread *thread, struct kpio_thread_block *block);

// At the top of the new thread's stack, in either address space.
struct start {
    struct thread thread;
    int64_t (*run)(void *);
    void *arg;
};

static uint8_t own_stack[65536] __attribute__((aligned(16)));

static int64_t run_and_end(void *arg) {
    const struct start *start = arg;
    process_exit(start->run(start->arg));
}

static struct start *start_on(int64_t (*run)(void *), void *arg, void *stack, size_t size) {
    uint64_t top = stack ? (uint64_t)stack + size : (uint64_t)own_stack + sizeof(own_stack);
    struct start *start = (struct start *)((top - sizeof(*start)) & ~15ull);
    *start = (struct start){.run = run, .arg = arg};
    start->thread = (struct thread){.run = run_and_end, .arg = start, .startup = (uint64_t)startup_page()};
    return start;
}

int64_t kt_fork_on(uint32_t options, int64_t (*run)(void *), void *arg, void *stack, size_t size) {
    struct start *start = start_on(run, arg, stack, size);
    return kpio_process_fork(options, (uint64_t)thread_begin, (uint64_t)start, (uint64_t)&start->thread);
}

kpio_handle kt_fork(int64_t (*run)(void *), void *arg) { return KT_HANDLE(kt_fork_on(0, run, arg, NULL, 0)); }

int64_t kt_aspace_copy(void) {
    int64_t space = kpio_aspace_create();
    if (space < 0) return space;
    int64_t error = kpio_aspace_clone(kt_aspace(), (kpio_handle)space);
    if (error == 0) return space;
    (void)kpio_handle_close((uint64_t)space);
    return error;
}

// The start is written before the copy is made, which is what the new program finds.
int64_t kt_exec(kpio_handle space, int64_t (*run)(void *), void *arg, void *stack, size_t size) {
    struct start *start = start_on(run, arg, stack, size);
    kpio_handle copy = space;
    if (space == 0) {
        int64_t made = kt_aspace_copy();
        if (made < 0) return made;
        copy = (kpio_handle)made;
    }
    int64_t error = kpio_process_exec(copy, "executed", 8, (uint64_t)thread_begin, (uint64_t)start, (uint64_t)&start->thread);
    if (space == 0) (void)kpio_handle_close((uint64_t)copy);
    return error;
}

void *kt_shared(size_t size) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(size, 0));
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, size,
                                                  KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_LOCAL_SHARE, 0));
    kt_close(vmo);
    memset((void *)at, 0, size);
    return (void *)at;
}

void kt_shared_end(void *memory, size_t size) { KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)memory, size), 0); }

bool kt_reaches(const uint32_t *word, uint32_t least) {
    for (uint64_t deadline = kt_soon(); __atomic_load_n(word, __ATOMIC_ACQUIRE) < least; time_sleep_ms(1))
        if (time_now() > deadline) return false;
    return true;
}
