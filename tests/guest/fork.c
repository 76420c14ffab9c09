// Copies of a process: what they have, what they share, and that nothing is left of them.
#include "tests/guest/kt/fork.h"

static int64_t give_back(void *arg) { return *(int64_t *)arg; }

KT_TEST(arguments) {
    KT_ERROR(kpio_process_fork(2, 0x10000, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_fork(0x80000000u, 0x10000, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_fork(0, 0, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_fork(0, (uint64_t)KT_KERNEL_ADDRESS, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_fork(0, 0x10000, (uint64_t)KT_KERNEL_ADDRESS, 0), EINVAL);
    // Nothing is mapped at its entry: it dies of that alone.
    KT_EQUAL(kt_wait(KT_HANDLE(kpio_process_fork(0, 0x10000, 0x20000, 0))), KPIO_STATUS_FAULT - 14);
}

KT_TEST(a_copy_runs_and_ends) {
    int64_t status = 7;
    KT_EQUAL(kt_wait(kt_fork(give_back, &status)), 7);
}

// ---- memory -----------------------------------------------------------------------------------------------------------

struct shared {
    uint32_t step, answer;
    int64_t result;
    uint64_t address;
    kpio_handle handle;
};
static struct shared *shared;
static volatile int64_t variable;

static int64_t look_and_change(void *arg) {
    if (variable != 1) return 1;
    __atomic_store_n(&shared->step, 1, __ATOMIC_RELEASE);
    if (!kt_reaches(&shared->step, 2)) return 2;
    if (variable != 1) return 3;  // the parent's change is the parent's
    variable = 3;
    return variable == 3 ? 0 : 4;
}

KT_TEST(memory_is_a_snapshot) {
    shared = kt_shared(4096);
    variable = 1;
    kpio_handle child = kt_fork(look_and_change, NULL);
    KT_CHECK(kt_reaches(&shared->step, 1));
    variable = 2;
    __atomic_store_n(&shared->step, 2, __ATOMIC_RELEASE);
    KT_EQUAL(kt_wait(child), 0);
    KT_EQUAL(variable, 2);
    kt_shared_end(shared, 4096);
}

static int64_t fork_once_more(void *arg) {
    int64_t depth = (int64_t)arg;
    if (variable != 10 - depth) return 100 + depth;
    if (depth == 0) return 0;
    variable++;
    int64_t status = 0, child = kt_fork_on(0, fork_once_more, (void *)(depth - 1), NULL, 0);
    if (child < 0) return 200 + depth;
    int error = wait_terminated((kpio_handle)child, kt_soon(), &status);
    return error ? 300 + depth : status;
}

KT_TEST(copies_of_copies) {
    static uint8_t stack[65536] __attribute__((aligned(16)));
    variable = 0;
    KT_EQUAL(kt_wait(KT_HANDLE(kt_fork_on(0, fork_once_more, (void *)10, stack, sizeof(stack)))), 0);
    KT_EQUAL(variable, 0);
}

// ---- handles ----------------------------------------------------------------------------------------------------------

static int64_t name_itself(void *arg) {
    struct kpio_process_info process = {0};
    struct kpio_thread_info thread = {0};
    const struct kpio_thread_block *block = thread_self();
    if (kpio_process_info(kt_process(), &process) != 0 || process.id != block->process_id) return 1;
    if (kpio_thread_info(startup_handle("thread"), &thread) != 0 || thread.id != block->thread_id) return 2;
    if (process.threads != 1 || thread.process_id != process.id) return 3;
    if (kpio_thread_block(startup_handle("thread")) != (int64_t)(uint64_t)block) return 4;
    uint64_t here = (uint64_t)kpio_vmo_create(4096, 0);
    int64_t at = kpio_aspace_map(kt_aspace(), (kpio_handle)here, 0, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return 5;
    *(volatile int *)at = 1;
    return process.id == (uint64_t)(uintptr_t)arg ? 6 : 0;
}

KT_TEST(its_own_handles_name_itself) {
    struct kpio_process_info info = {0};
    KT_EQUAL(kpio_process_info(kt_process(), &info), 0);
    KT_EQUAL(kt_wait(kt_fork(name_itself, (void *)info.id)), 0);
}

static int64_t has_handle(void *arg) {
    struct kpio_handle_info info;
    return kpio_handle_info((kpio_handle)(uintptr_t)arg, &info);
}

static int64_t wait_for_word(void *arg) { return kt_reaches(arg, 1) ? 0 : 1; }

KT_TEST(other_threads_of_the_parent_are_left_out) {
    static struct thread thread;
    uint32_t word = 0;
    KT_EQUAL(thread_spawn(&thread, "other", wait_for_word, &word, NULL, 0), 0);
    KT_EQUAL(kt_wait(kt_fork(has_handle, (void *)(uintptr_t)thread.handle)), -EBADF);
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    KT_EQUAL(thread_join(&thread, NULL), 0);
}

static int64_t use_until_revoked(void *arg) {
    struct kpio_handle_info info;
    if (kpio_handle_info(shared->handle, &info) != 0) return 1;
    __atomic_store_n(&shared->step, 1, __ATOMIC_RELEASE);
    if (!kt_reaches(&shared->step, 2)) return 2;
    return kpio_handle_info(shared->handle, &info) == shared->result ? 0 : 3;
}

static void revoke_case(void (*revoke)(kpio_handle root, kpio_handle own), int64_t expected) {
    shared = kt_shared(4096);
    kpio_handle root = KT_HANDLE(kpio_event_create());
    shared->handle = KT_HANDLE(kpio_handle_dup(root, KPIO_RIGHTS_SAME));
    shared->result = expected;
    kpio_handle child = kt_fork(use_until_revoked, NULL);
    KT_CHECK(kt_reaches(&shared->step, 1));
    revoke(root, shared->handle);
    __atomic_store_n(&shared->step, 2, __ATOMIC_RELEASE);
    KT_EQUAL(kt_wait(child), 0);
    (void)kpio_handle_close((uint64_t)shared->handle);
    kt_close(root);
    kt_shared_end(shared, 4096);
}

static void revoke_root(kpio_handle root, kpio_handle own) { KT_EQUAL(kpio_handle_revoke(root, 0), 2); }
static void revoke_own(kpio_handle root, kpio_handle own) { KT_EQUAL(kpio_handle_revoke(own, 1), 1); }
static void close_own(kpio_handle root, kpio_handle own) { KT_EQUAL(kpio_handle_close((uint64_t)own), 0); }

KT_TEST(revoking_an_ancestor_ends_the_copy) { revoke_case(revoke_root, -EBADF); }
KT_TEST(revoking_the_original_does_not) { revoke_case(revoke_own, 0); }
KT_TEST(closing_the_original_does_not) { revoke_case(close_own, 0); }

#define TOO_LATE 3

static int64_t expires_too(void *arg) {
    struct kpio_handle_info info = {0};
    kpio_handle h = (kpio_handle)(uintptr_t)arg;
    int64_t error = kpio_handle_info(h, &info);
    if (error == -EBADF) return TOO_LATE;  // or it did not come along
    if (error != 0 || info.expiry == KPIO_TIME_NEVER) return 1;
    while (time_now() <= info.expiry) time_sleep_ms(5);
    return kpio_handle_info(h, &info) == -EBADF ? 0 : 2;
}

KT_TEST(an_expiry_comes_along) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    int64_t status = TOO_LATE;
    for (uint64_t ms = 100; status == TOO_LATE && ms < KT_HANG_MS; ms *= 3) {
        kpio_handle h = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
        KT_EQUAL(kpio_handle_expire(h, time_after_ms(ms)), 0);
        status = kt_wait(kt_fork(expires_too, (void *)(uintptr_t)h));
        (void)kpio_handle_close((uint64_t)h);
    }
    KT_EQUAL(status, 0);
    kt_close(event);
}

#define MANY 1200u  // more than two chunks of a table

static kpio_handle many[MANY];

static int64_t many_are_there(void *arg) {
    for (unsigned i = 0; i < MANY; i++) {
        bool there = kpio_event_signal(many[i], 0, 1) >= 0;
        if (there != (i % 3 != 0)) return 1;
    }
    // What it makes and closes now goes into gaps and beyond.
    for (unsigned i = 0; i < MANY; i++)
        if (kpio_event_create() < 0) return 2;
    return 0;
}

KT_TEST(a_table_with_gaps) {
    for (unsigned i = 0; i < MANY; i++) many[i] = KT_HANDLE(kpio_event_create());
    for (unsigned i = 0; i < MANY; i += 3) kt_close(many[i]);
    KT_EQUAL(kt_wait(kt_fork(many_are_there, NULL)), 0);
    for (unsigned i = 0; i < MANY; i++)
        if (i % 3 != 0) kt_close(many[i]);
}

// ---- the same address space ---------------------------------------------------------------------------------------------

static uint8_t guest_stack[32768] __attribute__((aligned(16)));
static uint32_t word;
static uint64_t guest_block;

static int64_t change_and_wake(void *arg) {
    guest_block = (uint64_t)thread_self();
    variable = 9;
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    while (kpio_futex_wake((uint64_t)&word, 1, UINT32_MAX, 0) == 0) time_sleep_ms(1);
    return 4;
}

static bool is_mapped(uint64_t address) {
    uint64_t range[6] = {0};
    return kpio_aspace_query(kt_aspace(), address, range, 6) >= 0 && range[0] <= address;
}

KT_TEST(a_shared_address_space) {
    for (unsigned i = 0; i < 20; i++) {
        word = 0;
        variable = 1;
        kpio_handle child = KT_HANDLE(kt_fork_on(KPIO_FORK_SHARE, change_and_wake, NULL, guest_stack, sizeof(guest_stack)));
        // The child wakes until somebody was woken: in one of the two states of the word.
        while (kpio_futex_wait((uint64_t)&word, __atomic_load_n(&word, __ATOMIC_RELAXED), UINT32_MAX, kt_soon(), 0) == -EAGAIN) continue;
        KT_EQUAL(kt_wait(child), 4);
        KT_EQUAL(variable, 9);
        KT_CHECK(guest_block != 0 && !is_mapped(guest_block));
    }
}

static int64_t outlive(void *arg) {
    if (!kt_reaches(&shared->step, 1)) return 1;
    time_sleep_ms(20);
    variable++;
    shared->result = variable;
    __atomic_store_n(&shared->answer, 1, __ATOMIC_RELEASE);
    return 0;
}

static int64_t leave_first(void *arg) {
    int64_t child = kt_fork_on(KPIO_FORK_SHARE, outlive, NULL, guest_stack, sizeof(guest_stack));
    return child < 0 ? child : 0;
}

KT_TEST(whoever_ends_first_leaves_the_memory) {
    shared = kt_shared(4096);
    variable = 20;
    KT_EQUAL(kt_wait(kt_fork(leave_first, NULL)), 0);
    __atomic_store_n(&shared->step, 1, __ATOMIC_RELEASE);
    KT_CHECK(kt_reaches(&shared->answer, 1));
    KT_EQUAL(shared->result, 21);
    KT_EQUAL(variable, 20);
    kt_shared_end(shared, 4096);
}

// ---- registers ---------------------------------------------------------------------------------------------------------

// Ends with 0 when xmm15 and MXCSR are what the parent had.
__attribute__((naked)) static void look_at_state(void) {
    __asm__ volatile(
        "movq %%xmm15, %%rax\n\tmov %%rdi, %%rcx\n\tmov $1, %%edi\n\tcmp %%rax, %%rcx\n\tjne 1f\n\t"
        "sub $8, %%rsp\n\tstmxcsr (%%rsp)\n\tmov $2, %%edi\n\tcmpl $0x3f80, (%%rsp)\n\tjne 1f\n\txor %%edi, %%edi\n"
        "1:\tmov %0, %%eax\n\tsyscall\n\tud2" ::"i"(SYS_process_exit));
}

KT_TEST(extended_state_comes_along) {
    const uint32_t mxcsr = 0x3f80, plain = 0x1f80;
    const uint64_t pattern = 0x123456789abcdef0ull, stack = (uint64_t)guest_stack + sizeof(guest_stack);
    int64_t child = SYS_process_fork;
    register uint64_t r10 __asm__("r10") = pattern;
    uint64_t rdi = 0, rsi = (uint64_t)look_at_state, rdx = stack;
    __asm__ volatile("ldmxcsr %[mxcsr]\n\tmovq %[pattern], %%xmm15\n\tsyscall\n\tldmxcsr %[plain]"
                     : "+a"(child), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10)
                     : [mxcsr] "m"(mxcsr), [plain] "m"(plain), [pattern] "m"(pattern)
                     : "rcx", "r8", "r9", "r11", "xmm15", "memory");
    KT_EQUAL(kt_wait(KT_HANDLE(child)), 0);
}

// ---- limits -------------------------------------------------------------------------------------------------------------

static bool same_use(kpio_handle job, const struct kpio_job_limits *before) {
    struct kpio_job_info now = {0};
    for (uint64_t deadline = kt_soon(); time_now() < deadline; time_sleep_ms(2)) {
        if (kpio_job_info(job, &now) != 0) return false;
        if (now.used.pages <= before->pages && now.used.handles == before->handles && now.used.threads == before->threads &&
            now.used.kernel_bytes <= before->kernel_bytes && now.used.processes == before->processes)
            return true;
    }
    return false;
}

// Raises a limit bit by bit until a fork comes about; each one that fails must leave nothing behind. -EAGAIN: the first came about, as
// what the job used was still on its way back from the one before.
static int64_t fork_against_once(kpio_handle job, unsigned which, uint64_t step) {
    const struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct kpio_job_info before = {0};
    if (kpio_job_info(job, &before) != 0) return -EINVAL;
    for (uint64_t room = 0, failures = 0; room < 1000 * step; room += step) {
        struct kpio_job_limits tight = none;
        ((uint64_t *)&tight)[which] = ((const uint64_t *)&before.used)[which] + room;
        if (kpio_job_set_limits(job, &tight) != 0) return -EINVAL;
        int64_t status = 5, child = kt_fork_on(0, give_back, &status, NULL, 0);
        if (kpio_job_set_limits(job, &none) != 0) return -EINVAL;
        if (child > 0) {
            if (wait_terminated((kpio_handle)child, kt_soon(), NULL) != 0 || kpio_handle_close((uint64_t)child) != 0) return -EIO;
            return failures > 0 ? 0 : -EAGAIN;
        }
        if (child != -ENFILE && child != -ENOMEM) return child;
        failures++;
        if (!same_use(job, &before.used)) return -EBUSY;
    }
    return -ETIMEDOUT;
}

static int64_t fork_against(kpio_handle job, unsigned which, uint64_t step) {
    int64_t error = -EAGAIN;
    for (uint64_t deadline = kt_soon(); error == -EAGAIN && time_now() < deadline; time_sleep_ms(1))
        error = fork_against_once(job, which, step);
    return error;
}

KT_CHILD(meets_limits) {
    static const struct {
        unsigned which;
        uint64_t step;
    } limits[] = {{0, 1}, {1, 1}, {2, 1}, {3, 600}, {4, 1}};
    kpio_handle job = startup_handle("limited");
    int64_t status = 0;
    (void)wait_terminated(kt_fork(give_back, &status), kt_soon(), NULL);
    for (unsigned i = 0; i < 5; i++) {
        int64_t error = fork_against(job, limits[i].which, limits[i].step);
        if (error != 0) return error - 1000 * (int64_t)(i + 1);
    }
    return 0;
}

KT_TEST(limits_of_the_job) {
    const struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &none, "limited", 7));
    const struct process_grant grants[] = {{"limited", job, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    KT_EQUAL(kt_wait(kt_spawn_in(job, "meets_limits", grants, 1)), 0);
    kt_close(job);
}

// ---- races --------------------------------------------------------------------------------------------------------------

static int64_t fork_always(void *arg) {
    uint8_t *stack = arg;
    for (int64_t zero = 0;;) {
        int64_t child = kt_fork_on(0, give_back, &zero, stack, 16384);
        if (child > 0) (void)kpio_handle_close((uint64_t)child);
    }
    return 0;
}

static int64_t churn(void *arg) {
    for (;;) {
        int64_t at = kpio_aspace_map(kt_aspace(), 0, 0, 8192, KPIO_MAP_RESERVE, 0);
        (void)kpio_handle_close((uint64_t)kpio_event_create());
        if (at > 0) (void)kpio_aspace_unmap(kt_aspace(), (uint64_t)at, 8192);
    }
    return 0;
}

static int64_t fork_and_churn(void *arg) {
    static uint8_t stacks[2][16384] __attribute__((aligned(16)));
    static struct thread threads[3];
    if (thread_spawn(&threads[0], "forks", fork_always, stacks[0], NULL, 0) != 0) return 1;
    if (thread_spawn(&threads[1], "forks", fork_always, stacks[1], NULL, 0) != 0) return 2;
    if (thread_spawn(&threads[2], "churns", churn, NULL, NULL, 0) != 0) return 3;
    __atomic_fetch_add(&shared->step, 1, __ATOMIC_RELEASE);
    for (;;) time_sleep_ms(1000);
}

KT_TEST(killed_while_it_forks) {
    shared = kt_shared(4096);
    for (uint32_t i = 0; i < 15; i++) {
        kpio_handle child = kt_fork(fork_and_churn, NULL);
        KT_CHECK(kt_reaches(&shared->step, i + 1));
        time_sleep_ms(kt_random() % 20);
        KT_EQUAL(kpio_process_kill(child, 12), 0);
        KT_EQUAL(kt_wait(child), 12);
    }
    kt_shared_end(shared, 4096);
}

// ---- often, and many --------------------------------------------------------------------------------------------------

KT_TEST(a_thousand_in_a_row) {
    for (int64_t i = 0; i < 1000; i++) KT_EQUAL(kt_wait(kt_fork(give_back, &i)), i);
}

KT_TEST(a_hundred_at_once) {
    static kpio_handle children[100];
    shared = kt_shared(4096);
    for (unsigned i = 0; i < 100; i++) children[i] = kt_fork(wait_for_word, &shared->step);
    __atomic_store_n(&shared->step, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 100; i++) KT_EQUAL(kt_wait(children[i]), 0);
    kt_shared_end(shared, 4096);
}
