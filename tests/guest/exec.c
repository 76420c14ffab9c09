// A process that goes on in another address space: what it keeps, what ends, and that a failure changes nothing.
#include "lib/string.h"
#include "tests/guest/kt/fork.h"

#define STACK 32768u

struct shared {
    uint32_t step, tries;
    int64_t result;
    uint64_t address;
};
static struct shared *shared;
static uint8_t new_stack[STACK] __attribute__((aligned(16)));

static int64_t nothing(void *arg) { return (int64_t)arg; }

KT_TEST(arguments) {
    kpio_handle space = KT_HANDLE(kpio_aspace_create());
    KT_ERROR(kpio_process_exec(kt_process(), "x", 1, 0x10000, 0x20000, 0), EWRONGTYPE);
    KT_ERROR(kpio_process_exec(space, "x", 1, 0, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_exec(space, "x", 1, (uint64_t)KT_KERNEL_ADDRESS, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_exec(space, "x", 1, 0x10000, (uint64_t)KT_KERNEL_ADDRESS, 0), EINVAL);
    KT_ERROR(kpio_process_exec(space, "x", 1000, 0x10000, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_exec(space, KT_KERNEL_ADDRESS, 1, 0x10000, 0x20000, 0), EFAULT);
    kpio_handle narrow = KT_HANDLE(kpio_handle_dup(space, KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_process_exec(narrow, "x", 1, 0x10000, 0x20000, 0), EACCES);
    uint64_t range[6] = {0};
    KT_ERROR(kpio_aspace_query(space, 0, range, 6), ENOENT);  // no thread block is left there
    kt_close(narrow);
    kt_close(space);
}

static int64_t exec_to(void *arg) { return kt_exec_new(nothing, arg, new_stack, STACK); }

KT_TEST(it_goes_on_elsewhere) { KT_EQUAL(kt_wait(kt_fork(exec_to, (void *)23)), 23); }

// ---- registers ---------------------------------------------------------------------------------------------------------

uint64_t exec_seen[16], exec_fs;
uint8_t exec_xmm[16], exec_fresh_mxcsr[4];

__attribute__((naked)) static void look(void) {
    __asm__ volatile(
        "mov %rax, exec_seen+0(%rip)\n\tmov %rbx, exec_seen+8(%rip)\n\tmov %rcx, exec_seen+16(%rip)\n\t"
        "mov %rdx, exec_seen+24(%rip)\n\tmov %rsi, exec_seen+32(%rip)\n\tmov %rdi, exec_seen+40(%rip)\n\t"
        "mov %rbp, exec_seen+48(%rip)\n\tmov %r8, exec_seen+56(%rip)\n\tmov %r9, exec_seen+64(%rip)\n\t"
        "mov %r10, exec_seen+72(%rip)\n\tmov %r11, exec_seen+80(%rip)\n\tmov %r12, exec_seen+88(%rip)\n\t"
        "mov %r13, exec_seen+96(%rip)\n\tmov %r14, exec_seen+104(%rip)\n\tmov %r15, exec_seen+112(%rip)\n\t"
        "mov %rsp, exec_seen+120(%rip)\n\tmovups %xmm15, exec_xmm(%rip)\n\tstmxcsr exec_fresh_mxcsr(%rip)\n\t"
        "rdfsbase %rax\n\tmov %rax, exec_fs(%rip)\n\tjmp exec_judge");
}

void exec_judge(const char *arg, struct kpio_thread_block *block);
void exec_judge(const char *arg, struct kpio_thread_block *block) {
    int64_t status = 0;
    uint32_t mxcsr;
    memcpy(&mxcsr, exec_fresh_mxcsr, sizeof(mxcsr));
    for (unsigned i = 0; i < 15; i++)
        if (exec_seen[i] != 0 && i != 4 && i != 5 && !(i == 2 || i == 10)) status = 10 + i;
    for (unsigned i = 0; i < 16; i++)
        if (exec_xmm[i] != 0) status = 2;
    if (mxcsr != 0x1f80) status = 3;
    if (exec_seen[5] != 0x1234 || exec_seen[4] != block->self) status = 4;
    if (exec_fs != 0) status = 5;
    if (exec_seen[15] != (uint64_t)new_stack + STACK) status = 6;
    (void)kpio_process_exit((uint64_t)status);
}

static int64_t exec_and_look(void *arg) {
    struct kt_program program = kt_program_make(nothing, NULL, new_stack, STACK);
    if (program.space < 0) return program.space;
    const uint32_t mxcsr = 0x1f80 | 1 << 13;
    __asm__ volatile("ldmxcsr %0\n\tpcmpeqd %%xmm15, %%xmm15" : : "m"(mxcsr) : "xmm15");
    return kpio_process_exec((kpio_handle)program.space, "look", 4, (uint64_t)look, (uint64_t)new_stack + STACK, 0x1234);
}

static bool has_fsgsbase(void) {
    uint32_t eax = 7, ebx, ecx = 0, edx;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx & 1;
}

KT_TEST(registers_are_fresh) {
    if (!has_fsgsbase()) kt_skip("the processor has no rdfsbase");
    KT_EQUAL(kt_wait(kt_fork(exec_and_look, NULL)), 0);
}

// ---- what stays and what goes ------------------------------------------------------------------------------------------

static int64_t look_around(void *arg) {
    struct kpio_process_info info = {0};
    struct kpio_thread_info thread = {0};
    const struct kpio_thread_block *block = thread_self();
    if (kpio_process_info(kt_process(), &info) != 0) return 1;
    if (info.id != (uint64_t)(uintptr_t)arg || info.id != block->process_id) return 2;
    if (strncmp(info.name, "executed", 8) != 0 || info.threads != 1) return 3;
    if (kpio_thread_info(startup_handle("thread"), &thread) != 0 || thread.id != block->thread_id) return 4;
    if (kpio_thread_block(startup_handle("thread")) != (int64_t)(uint64_t)block) return 5;
    // The handle on the old address space names the old one, which is closed and empty.
    uint64_t range[6] = {0};
    if (kpio_aspace_map(kt_aspace(), 0, 0, 4096, KPIO_MAP_RESERVE, 0) != -EDESTROYED) return 6;
    if (kpio_aspace_query(kt_aspace(), 0, range, 6) != -ENOENT) return 7;
    int64_t result = 39;
    __asm__ volatile("syscall" : "+a"(result)::"rcx", "r11", "memory");
    return result == -ENOSYS ? 0 : 8;
}

static void never(void) { process_exit(99); }

static int64_t exec_from_foreign(void *arg) {
    if (kpio_process_set_foreign_entry((uint64_t)never) != 0) return 98;
    return kt_exec_new(look_around, (void *)(uintptr_t)thread_self()->process_id, new_stack, STACK);
}

KT_TEST(process_and_handles_stay) { KT_EQUAL(kt_wait(kt_fork(exec_from_foreign, NULL)), 0); }

static int64_t crash(void *arg) {
    __asm__ volatile("ud2");
    return 0;
}

static bool handle_it(struct kpio_exception_frame *frame, void *context) { process_exit(97); }

static int64_t exec_with_handler(void *arg) {
    static uint8_t stack[16384];
    if (exception_set(handle_it, NULL, stack, sizeof(stack)) != 0) return 1;
    return kt_exec_new(crash, NULL, new_stack, STACK);
}

KT_TEST(the_exception_entry_goes) { KT_EQUAL(kt_wait(kt_fork(exec_with_handler, NULL)), KPIO_STATUS_FAULT - 6); }

// ---- other threads -----------------------------------------------------------------------------------------------------

#define OTHERS 16u
static kpio_handle endpoint;

static int64_t other(void *arg) {
    uint32_t word = 0;
    __atomic_fetch_add(&shared->step, 1, __ATOMIC_RELEASE);
    for (;;) {
        switch ((uintptr_t)arg) {
        case 0: __asm__ volatile("pause"); break;
        case 1: (void)kpio_handle_close((uint64_t)kpio_event_create()); break;
        case 2: {
            int64_t at = kpio_aspace_map(kt_aspace(), 0, 0, 8192, KPIO_MAP_RESERVE, 0);
            if (at > 0) (void)kpio_aspace_unmap(kt_aspace(), (uint64_t)at, 8192);
            break;
        }
        default:
            if ((uintptr_t)arg % 2) (void)kpio_futex_wait((uint64_t)&word, 0, UINT32_MAX, KPIO_TIME_NEVER, 0);
            else (void)kpio_ipc_call(endpoint, KPIO_MESSAGE(1, 8, 0), KPIO_TIME_NEVER);
        }
    }
    return 0;
}

#define BUSY 3u  // the first ones never wait

static struct thread others[OTHERS];

static int64_t start_others(uintptr_t first) {
    endpoint = (kpio_handle)kpio_endpoint_create();
    shared->step = 0;
    for (uintptr_t i = first; i < first + OTHERS; i++)
        if (thread_spawn(&others[i - first], "other", other, (void *)i, NULL, 16384) != 0) return 1;
    // One that was never started.
    if (kpio_thread_create(kt_process(), "idle", 4) < 0) return 2;
    return kt_reaches(&shared->step, OTHERS) ? 0 : 3;
}

static int64_t alone(void *arg) {
    struct kpio_process_info info = {0};
    if (kpio_process_info(kt_process(), &info) != 0) return 1;
    return info.threads == 1 ? 0 : 2;
}

static int64_t exec_among_others(void *arg) {
    int64_t error = start_others(0);
    return error ? 10 + error : kt_exec_new(alone, NULL, new_stack, STACK);
}

// The copy of an address space in which threads spin asks their CPUs again and again: on a machine that has fewer than it
// shows, that takes.
static int64_t wait_patiently(kpio_handle process) {
    int64_t status = 0;
    KT_EQUAL(wait_terminated(process, kt_soon(), &status), 0);
    kt_close(process);
    return status;
}

KT_TEST(other_threads_end) {
    shared = kt_shared(4096);
    for (unsigned i = 0; i < 10; i++) KT_EQUAL(wait_patiently(kt_fork(exec_among_others, NULL)), 0);
    kt_shared_end(shared, 4096);
}

static uint8_t racing_stacks[4][STACK] __attribute__((aligned(16)));
static uint32_t go;

static int64_t race(void *arg) {
    struct kt_program program = kt_program_make(alone, NULL, racing_stacks[(uintptr_t)arg], STACK);
    if (program.space < 0) return program.space;
    __atomic_fetch_add(&shared->step, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&go, __ATOMIC_ACQUIRE) == 0) __asm__ volatile("pause");
    (void)kt_exec(&program);
    for (;;) time_sleep_ms(1000);  // it has lost
}

static int64_t all_exec(void *arg) {
    static struct thread threads[4];
    shared->step = 0;
    for (uintptr_t i = 0; i < 4; i++)
        if (thread_spawn(&threads[i], "racer", race, (void *)i, NULL, 16384) != 0) return 1;
    if (!kt_reaches(&shared->step, 4)) return 2;
    __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
    for (;;) time_sleep_ms(1000);
}

KT_TEST(of_several_at_once_one_wins) {
    shared = kt_shared(4096);
    for (unsigned i = 0; i < 20; i++) KT_EQUAL(kt_wait(kt_fork(all_exec, NULL)), 0);
    kt_shared_end(shared, 4096);
}

static int64_t exec_again(void *arg) {
    static uint8_t stacks[2][STACK] __attribute__((aligned(16)));
    uintptr_t which = (uintptr_t)arg;
    __atomic_fetch_add(&shared->tries, 1, __ATOMIC_RELAXED);
    return kt_exec_new(exec_again, (void *)(which ^ 1), stacks[which], STACK);
}

static int64_t exec_for_ever(void *arg) {
    if (start_others(BUSY) != 0) return 1;
    return exec_again(NULL);
}

KT_TEST(killed_meanwhile) {
    shared = kt_shared(4096);
    unsigned lives = 0;
    for (uint64_t hang = kt_soon(); lives < 30 || (shared->tries <= 30 && time_now() < hang); lives++) {
        kpio_handle child = kt_fork(exec_for_ever, NULL);
        KT_CHECK(kt_reaches(&shared->tries, shared->tries + (uint32_t)(kt_random() % 3)));
        for (uint64_t until = time_now() + kt_random() % 10000000; time_now() < until;) __asm__ volatile("pause");
        KT_EQUAL(kpio_process_kill(child, 77), 0);
        KT_EQUAL(kt_wait(child), 77);
    }
    kt_note("%u times in %u lives", shared->tries, lives);
    KT_CHECK(shared->tries > 30);
    kt_shared_end(shared, 4096);
}

static int64_t exec_often(void *arg) { return ++shared->tries < 300 ? kt_exec_new(exec_often, NULL, arg, STACK) : 6; }

KT_TEST(three_hundred_in_a_row) {
    shared = kt_shared(4096);
    KT_EQUAL(kt_wait(kt_fork(exec_often, new_stack)), 6);
    kt_shared_end(shared, 4096);
}

// ---- shared address spaces ---------------------------------------------------------------------------------------------

static uint8_t guest_stack[STACK] __attribute__((aligned(16)));

static int64_t leave(void *arg) {
    shared->address = (uint64_t)thread_self();
    return kt_exec(arg);
}

static bool is_mapped(uint64_t address) {
    uint64_t range[6] = {0};
    return kpio_aspace_query(kt_aspace(), address, range, 6) >= 0 && range[0] <= address;
}

KT_TEST(leaving_a_shared_one) {
    shared = kt_shared(4096);
    for (unsigned i = 0; i < 20; i++) {
        struct kt_program program = kt_program_make(nothing, (void *)5, new_stack, STACK);
        KT_OK(program.space);
        kpio_handle child = KT_HANDLE(kt_fork_on(KPIO_FORK_SHARE, leave, &program, guest_stack, STACK));
        KT_EQUAL(kt_wait(child), 5);
        KT_CHECK(shared->address != 0 && !is_mapped(shared->address));
        kt_close((kpio_handle)program.space);
    }
    kt_shared_end(shared, 4096);
}

// ---- debts -------------------------------------------------------------------------------------------------------------

static int64_t answer_one(void *arg) {
    int64_t message = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    return message >= 0 ? kpio_ipc_reply(KPIO_MESSAGE(2, 8, 0)) : message;
}

static int64_t take_and_exec(void *arg) {
    int64_t message = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    return message >= 0 ? kt_exec_new(answer_one, NULL, new_stack, STACK) : message;
}

KT_TEST(a_reply_that_it_owes) {
    endpoint = KT_HANDLE(kpio_endpoint_create());
    kpio_handle child = kt_fork(take_and_exec, NULL);
    KT_ERROR(kpio_ipc_call(endpoint, KPIO_MESSAGE(1, 8, 0), kt_soon()), EPIPE);
    KT_CHECK(kpio_ipc_call(endpoint, KPIO_MESSAGE(1, 8, 0), kt_soon()) >= 0);  // it serves again
    KT_EQUAL(kt_wait(child), 0);
    kt_close(endpoint);
}

// ---- failure -----------------------------------------------------------------------------------------------------------

static int64_t exec_without_memory(void *arg) {
    kpio_handle job = startup_handle("limited");
    int64_t error = start_others(BUSY);
    struct kt_program program = kt_program_make(nothing, NULL, new_stack, STACK);
    if (error != 0 || program.space < 0) return 1;
    // The program is a snapshot, which took their stacks from them: one that is on its way to its wait would need a page of it.
    kt_all_blocked(others, OTHERS);
    struct kpio_job_info info = {0};
    if (kpio_job_info(job, &info) != 0) return 2;
    struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, tight = none;
    tight.kernel_bytes = 0;
    if (kpio_job_set_limits(job, &tight) != 0) return 3;
    error = kt_exec(&program);
    if (error != -ENFILE) return 5;
    tight = none;
    tight.pages = 0;
    if (kpio_job_set_limits(job, &tight) != 0) return 6;
    error = kt_exec(&program);
    if (error != -ENOMEM) return 7;
    struct kpio_process_info process = {0};
    if (kpio_process_info(kt_process(), &process) != 0 || process.threads != OTHERS + 2) return 8;
    if (kpio_job_set_limits(job, &none) != 0) return 9;
    return kt_exec(&program);
}

KT_CHILD(fails_to_exec) {
    shared = (struct shared *)kpio_aspace_map(kt_aspace(), startup_handle("shared"), 0, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    return exec_without_memory(NULL);
}

KT_TEST(a_failure_changes_nothing) {
    struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &none, "limited", 7));
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(4096, 0));
    const struct process_grant grants[] = {{"limited", job, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
                                           {"shared", vmo, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    KT_EQUAL(kt_wait(kt_spawn_in(job, "fails_to_exec", grants, 2)), 0);
    kt_close(vmo);
    kt_close(job);
}
