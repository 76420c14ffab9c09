// Threads: start, end, exceptions, interrupts, scheduling.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

static int64_t add_one(void *arg) { return ++*(int64_t *)arg; }
static int64_t spin(void *arg) {
    while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED)) __asm__ volatile("pause");
    return 1;
}

KT_TEST(spawn_and_join) {
    struct thread thread;
    int64_t number = 41, result = 0;
    KT_EQUAL(thread_spawn(&thread, "adder", add_one, &number, NULL, 0), 0);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, 42);
    KT_EQUAL(number, 42);
}

KT_TEST(many_threads) {
    enum { COUNT = 32 };
    static struct thread threads[COUNT];
    static int64_t numbers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        numbers[i] = i;
        KT_EQUAL(thread_spawn(&threads[i], "adder", add_one, &numbers[i], NULL, 16384), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&threads[i], &result), 0);
        KT_EQUAL(result, i + 1);
    }
}

static int64_t check_block(void *arg) {
    struct kpio_thread_block *block = thread_self();
    if (block->self != (uint64_t)block) return 1;
    if (block->message != (uint64_t)block + 4096) return 2;
    if (block->thread_id == 0 || block->process_id == 0) return 3;
    memset(thread_message(), 0xab, KPIO_MESSAGE_MAX);
    return 0;
}

KT_TEST(each_has_its_block) {
    struct thread thread;
    int64_t result = -1;
    KT_EQUAL(check_block(NULL), 0);
    KT_EQUAL(thread_spawn(&thread, "block", check_block, NULL, NULL, 0), 0);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, 0);
}

static int64_t tell_block(void *arg) { return (int64_t)thread_self(); }

// Whether pages that a thread left are given to the next is the kernel's affair; what the process does with them is not to
// hurt that next thread.
KT_TEST(unmapping_what_a_thread_left) {
    const uint64_t sizes[] = {2 * 4096, 4096};
    for (unsigned round = 0; round < 6; round++) {
        struct thread thread;
        int64_t block = 0, result = -1;
        KT_EQUAL(thread_spawn(&thread, "leaver", tell_block, NULL, NULL, 0), 0);
        KT_EQUAL(thread_join(&thread, &block), 0);
        if (round % 3 == 2) (void)kpio_aspace_protect(startup_handle("aspace"), (uint64_t)block, 4096, KPIO_MAP_READ);
        else (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)block + (round & 1) * 4096, sizes[round & 1]);
        KT_EQUAL(thread_spawn(&thread, "next", check_block, NULL, NULL, 0), 0);
        KT_EQUAL(thread_join(&thread, &result), 0);
        KT_EQUAL(result, 0);
    }
}

KT_TEST(registers_survive_preemption) {
    // Two spinning threads per CPU, each with its own pattern in vector registers.
    bool stop = false;
    static struct thread threads[4];
    for (unsigned i = 0; i < 4; i++) KT_EQUAL(thread_spawn(&threads[i], "spin", spin, &stop, NULL, 16384), 0);
    uint64_t pattern[2] = {0x1122334455667788, 0x99aabbccddeeff00}, seen[2] = {0};
    __asm__ volatile("movups %0, %%xmm7" : : "m"(pattern));
    for (uint64_t end = time_after_ms(50); time_now() < end;) {
        __asm__ volatile("movups %%xmm7, %0" : "=m"(seen));
        if (seen[0] != pattern[0] || seen[1] != pattern[1]) break;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 4; i++) KT_EQUAL(thread_join(&threads[i], NULL), 0);
    KT_EQUAL(seen[0], pattern[0]);
    KT_EQUAL(seen[1], pattern[1]);
}

KT_TEST(kill_a_spinning_thread) {
    static struct thread thread;
    static bool never;
    KT_EQUAL(thread_spawn(&thread, "spin", spin, &never, NULL, 0), 0);
    time_sleep_ms(5);
    KT_EQUAL(kpio_thread_kill(thread.handle), 0);
    KT_EQUAL(thread_join(&thread, NULL), 0);
}

KT_TEST(create_arguments) {
    KT_ERROR(kpio_thread_create(kt_job(), "t", 1), EWRONGTYPE);
    KT_ERROR(kpio_thread_create(kt_process(), "t", 1000), EINVAL);
    KT_ERROR(kpio_thread_create(kt_process(), KT_UNMAPPED_ADDRESS, 1), EFAULT);
    kpio_handle thread = KT_HANDLE(kpio_thread_create(kt_process(), "t", 1));
    KT_ERROR(kpio_thread_start(thread, UINT64_MAX, 0x10000, 0), EINVAL);
    KT_ERROR(kpio_thread_start(kt_process(), 0x10000, 0x10000, 0), EWRONGTYPE);
    kt_close(thread);
}

KT_TEST(info_and_schedule) {
    struct kpio_thread_info info = {0};
    static struct thread thread;
    static bool stop;
    stop = false;
    KT_EQUAL(thread_spawn(&thread, "spin", spin, &stop, NULL, 0), 0);
    KT_EQUAL(kpio_thread_set_schedule(thread.handle, KPIO_SCHED_FAIR, 2048, 0), 0);
    KT_EQUAL(kpio_thread_info(thread.handle, &info), 0);
    KT_EQUAL(info.class_, KPIO_SCHED_FAIR);
    KT_EQUAL(info.priority, 2048);
    KT_ERROR(kpio_thread_set_schedule(thread.handle, 9, 1, 0), EINVAL);
    KT_ERROR(kpio_thread_set_schedule(thread.handle, KPIO_SCHED_REALTIME, 100, 0), EINVAL);
    KT_ERROR(kpio_thread_set_schedule(thread.handle, KPIO_SCHED_FAIR, 0, 0), EINVAL);
    KT_ERROR(kpio_thread_set_schedule(thread.handle, KPIO_SCHED_FAIR, 1024, 1ull << 63), EINVAL);
    KT_EQUAL(kpio_thread_set_schedule(thread.handle, KPIO_SCHED_FAIR, 1024, 1), 0);
    info.cpu = 1;
    for (uint64_t deadline = kt_soon(); info.cpu != 0 && time_now() < deadline; time_sleep_ms(1))
        KT_EQUAL(kpio_thread_info(thread.handle, &info), 0);
    KT_EQUAL(info.cpu, 0);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    KT_EQUAL(thread_join(&thread, NULL), 0);
}

// ---- exceptions -----------------------------------------------------------------------------------------------------------
static char exception_stack[32768] __attribute__((aligned(64)));
static volatile uint64_t seen_kind, seen_cookie;

static bool step_over(struct kpio_exception_frame *frame, void *context) {
    seen_kind = frame->kind;
    if (frame->kind < 256) frame->rip += 2;
    frame->rbx = *(uint64_t *)context;
    return true;
}

KT_TEST(an_exception_may_change_registers) {
    uint64_t wanted = 0xfeedface, got = 0;
    KT_EQUAL(exception_set(step_over, &wanted, exception_stack, sizeof(exception_stack)), 0);
    __asm__ volatile("xorl %%ebx, %%ebx\n\tud2\n\tmovq %%rbx, %0" : "=r"(got) : : "rbx", "memory");
    KT_EQUAL(exception_set(NULL, NULL, NULL, 0), 0);
    KT_EQUAL(seen_kind, 6);
    KT_EQUAL(got, wanted);
}

KT_TEST(vector_registers_survive_an_exception) {
    uint64_t pattern[2] = {1, 2}, seen[2] = {0}, unused = 0;
    KT_EQUAL(exception_set(step_over, &unused, exception_stack, sizeof(exception_stack)), 0);
    __asm__ volatile("movups %1, %%xmm3\n\tud2\n\tmovups %%xmm3, %0" : "=m"(seen) : "m"(pattern) : "rbx", "xmm3");
    KT_EQUAL(exception_set(NULL, NULL, NULL, 0), 0);
    KT_EQUAL(seen[0], 1);
    KT_EQUAL(seen[1], 2);
}

KT_TEST(exception_arguments) {
    struct kpio_exception_frame frame;
    memset(&frame, 0, sizeof(frame));
    KT_ERROR(kpio_thread_set_exception(UINT64_MAX, (uint64_t)exception_stack, sizeof(exception_stack)), EINVAL);
    KT_ERROR(kpio_thread_set_exception(0x10000, (uint64_t)exception_stack, 16), EINVAL);
    KT_ERROR(kpio_thread_exception_return(KT_KERNEL_ADDRESS), EFAULT);
    frame.rip = 0xffff800000000000ull;
    int64_t result = kpio_thread_exception_return(&frame);
    KT_CHECK(result == -EINVAL || result == -EFAULT);
}

static bool note_interrupt(struct kpio_exception_frame *frame, void *context) {
    seen_kind = frame->kind;
    seen_cookie = frame->address;
    *(bool *)context = true;
    return true;
}

static bool has_handler;

static int64_t spin_with_handler(void *arg) {
    static char stack[32768] __attribute__((aligned(64)));
    int error = exception_set(note_interrupt, arg, stack, sizeof(stack));
    __atomic_store_n(&has_handler, true, __ATOMIC_RELEASE);
    return error ? error : spin(arg);
}

KT_TEST(an_interrupt_arrives_in_a_spinning_thread) {
    static struct thread thread;
    static bool stop;
    int64_t result = 0;
    stop = has_handler = false;
    KT_EQUAL(thread_spawn(&thread, "spin", spin_with_handler, &stop, NULL, 0), 0);
    while (!__atomic_load_n(&has_handler, __ATOMIC_ACQUIRE)) time_sleep_ms(1);
    time_sleep_ms(1);
    KT_EQUAL(kpio_thread_interrupt(thread.handle, 0xc0ffee), 0);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, 1);
    KT_EQUAL(seen_kind, KPIO_EXC_INTERRUPT);
    KT_EQUAL(seen_cookie, 0xc0ffee);
}

KT_TEST(futex_wakes_and_times_out) {
    uint32_t word = 5;
    KT_ERROR(kpio_futex_wait((uint64_t)&word, 4, UINT32_MAX, kt_soon(), 0), EAGAIN);
    KT_ERROR(kpio_futex_wait((uint64_t)&word, 5, UINT32_MAX, time_after_ms(5), 0), ETIMEDOUT);
    KT_ERROR(kpio_futex_wait((uint64_t)&word + 1, 5, UINT32_MAX, 0, 0), EINVAL);
    KT_ERROR(kpio_futex_wait((uint64_t)KT_UNMAPPED_ADDRESS, 5, UINT32_MAX, 0, 0), EFAULT);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 1, UINT32_MAX, 0), 0);
}

static struct mutex mutex;
static int64_t shared_count;
static int64_t count_up(void *arg) {
    for (unsigned i = 0; i < 2000; i++) {
        mutex_lock(&mutex);
        shared_count++;
        mutex_unlock(&mutex);
    }
    return 0;
}

KT_TEST(mutexes_exclude) {
    enum { COUNT = 6 };
    static struct thread threads[COUNT];
    shared_count = 0;
    for (unsigned i = 0; i < COUNT; i++) KT_EQUAL(thread_spawn(&threads[i], "count", count_up, NULL, NULL, 16384), 0);
    for (unsigned i = 0; i < COUNT; i++) KT_EQUAL(thread_join(&threads[i], NULL), 0);
    KT_EQUAL(shared_count, COUNT * 2000);
}
