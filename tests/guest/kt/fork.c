#include "tests/guest/kt/fork.h"

#include "lib/string.h"

void thread_begin(struct thread *thread, struct kpio_thread_block *block);

// At the top of the new thread's stack, in either address space.
struct start {
    struct thread thread;
    int64_t (*run)(void *);
    void *arg;
    kpio_handle space;  // of a new program: what names its address space
};

// The address space that the running program is in; 0: the one that it has had from its start.
static kpio_handle own_space;
static uint8_t own_stack[65536] __attribute__((aligned(16)));

static int64_t run_and_end(void *arg) {
    const struct start *start = arg;
    if (start->space != 0) own_space = start->space;
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

static int64_t aspace_copy(kpio_handle *name_in_copy) {
    int64_t space = kpio_aspace_create();
    if (space < 0) return space;
    *name_in_copy = (kpio_handle)space;
    int64_t error = kpio_aspace_clone(own_space != 0 ? own_space : kt_aspace(), (kpio_handle)space);
    if (error == 0) return space;
    (void)kpio_handle_close((uint64_t)space);
    return error;
}

struct kt_program kt_program_make(int64_t (*run)(void *), void *arg, void *stack, size_t size) {
    struct start *start = start_on(run, arg, stack, size);
    return (struct kt_program){aspace_copy(&start->space), (uint64_t)start};
}

int64_t kt_exec(const struct kt_program *p) {
    if (p->space < 0) return p->space;
    struct start *start = (struct start *)p->stack;
    return kpio_process_exec((kpio_handle)p->space, "executed", 8, (uint64_t)thread_begin, p->stack, (uint64_t)&start->thread);
}

int64_t kt_exec_new(int64_t (*run)(void *), void *arg, void *stack, size_t size) {
    struct kt_program program = kt_program_make(run, arg, stack, size);
    return kt_exec(&program);
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
