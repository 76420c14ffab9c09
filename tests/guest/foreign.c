// Foreign (Linux) system calls: they go to the process's own entry, and nothing but rip, rcx and r11 is different there.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define BLOCK(field) "%c[" #field "](%%rcx)"
#define OFFSETS                                                                                                  \
    [rip] "i"(offsetof(struct kpio_thread_block, foreign_rip)), [rsp] "i"(offsetof(struct kpio_thread_block, foreign_rsp))
#define FLAGS 0xad7ull  // carry, parity, adjust, zero, sign, overflow, interrupts; not direction, which C needs clear
#define RED_ZONE 128

// In the order in which the code below keeps them.
enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, RSP, RFLAGS, REGISTERS };
static const char *const names[REGISTERS] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9",
                                             "r10", "r11", "r12", "r13", "r14", "r15", "rsp", "rflags"};
uint64_t foreign_set[REGISTERS], foreign_seen[REGISTERS], foreign_after[REGISTERS];
uint64_t foreign_xmm[4], foreign_xmm_seen[4], foreign_rip, foreign_kept_rsp;
uint8_t foreign_zone[RED_ZONE];

#define EACH_REGISTER(ARRAY)                                                                                       \
    "mov %%rax, " ARRAY "+0(%%rip)\n\tmov %%rbx, " ARRAY "+8(%%rip)\n\tmov %%rcx, " ARRAY "+16(%%rip)\n\t"          \
    "mov %%rdx, " ARRAY "+24(%%rip)\n\tmov %%rsi, " ARRAY "+32(%%rip)\n\tmov %%rdi, " ARRAY "+40(%%rip)\n\t"        \
    "mov %%rbp, " ARRAY "+48(%%rip)\n\tmov %%r8, " ARRAY "+56(%%rip)\n\tmov %%r9, " ARRAY "+64(%%rip)\n\t"          \
    "mov %%r10, " ARRAY "+72(%%rip)\n\tmov %%r11, " ARRAY "+80(%%rip)\n\tmov %%r12, " ARRAY "+88(%%rip)\n\t"        \
    "mov %%r13, " ARRAY "+96(%%rip)\n\tmov %%r14, " ARRAY "+104(%%rip)\n\tmov %%r15, " ARRAY "+112(%%rip)\n\t"      \
    "mov %%rsp, " ARRAY "+120(%%rip)\n\t"                                                                           \
    "lea -128(%%rsp), %%rsp\n\tpushfq\n\tpopq " ARRAY "+128(%%rip)\n\tlea 128(%%rsp), %%rsp\n\t"

// The process's entry: keeps what it finds and goes back to where the call came from.
__attribute__((naked)) static void entry_that_looks(void) {
    __asm__ volatile(EACH_REGISTER("foreign_seen")
                     "movups %%xmm0, foreign_xmm_seen(%%rip)\n\tmovups %%xmm15, foreign_xmm_seen+16(%%rip)\n\t"
                     "jmp *" BLOCK(rip) ::OFFSETS);
}

// Makes a call with every register set, and the bytes below the stack too.
__attribute__((naked)) static void call_with_all(void) {
    __asm__ volatile(
        "push %%rbx\n\tpush %%rbp\n\tpush %%r12\n\tpush %%r13\n\tpush %%r14\n\tpush %%r15\n\t"
        "mov %%rsp, foreign_kept_rsp(%%rip)\n\t"
        "mov %%rsp, foreign_set+120(%%rip)\n\t"
        "lea foreign_zone(%%rip), %%rsi\n\tlea -128(%%rsp), %%rdi\n\tmov $128, %%ecx\n\trep movsb\n\t"
        "movups foreign_xmm(%%rip), %%xmm0\n\tmovups foreign_xmm+16(%%rip), %%xmm15\n\t"
        "lea 1f(%%rip), %%rax\n\tmov %%rax, foreign_rip(%%rip)\n\t"
        "lea -128(%%rsp), %%rsp\n\tpushq foreign_set+128(%%rip)\n\tpopfq\n\tlea 128(%%rsp), %%rsp\n\t"
        "mov foreign_set+0(%%rip), %%rax\n\tmov foreign_set+8(%%rip), %%rbx\n\tmov foreign_set+24(%%rip), %%rdx\n\t"
        "mov foreign_set+32(%%rip), %%rsi\n\tmov foreign_set+40(%%rip), %%rdi\n\tmov foreign_set+48(%%rip), %%rbp\n\t"
        "mov foreign_set+56(%%rip), %%r8\n\tmov foreign_set+64(%%rip), %%r9\n\tmov foreign_set+72(%%rip), %%r10\n\t"
        "mov foreign_set+88(%%rip), %%r12\n\tmov foreign_set+96(%%rip), %%r13\n\tmov foreign_set+104(%%rip), %%r14\n\t"
        "mov foreign_set+112(%%rip), %%r15\n\t"
        "syscall\n"
        "1:\t" EACH_REGISTER("foreign_after")
        "lea -128(%%rsp), %%rsi\n\tlea foreign_zone(%%rip), %%rdi\n\tmov $128, %%ecx\n\trep movsb\n\t"
        "pop %%r15\n\tpop %%r14\n\tpop %%r13\n\tpop %%r12\n\tpop %%rbp\n\tpop %%rbx\n\tret" ::: "memory");
}

static void prepare(uint64_t number) {
    for (unsigned i = 0; i < REGISTERS; i++) foreign_set[i] = 0x0101010101010101ull * (i + 0x11);
    foreign_set[RAX] = number;
    foreign_set[RFLAGS] = FLAGS;
    memset(foreign_seen, 0, sizeof(foreign_seen));
    for (unsigned i = 0; i < 4; i++) foreign_xmm[i] = 0xfeed0000beef0000 + i;
    for (unsigned i = 0; i < RED_ZONE; i++) foreign_zone[i] = (uint8_t)(i ^ 0x5a);
}

static void check_registers(const uint64_t *seen, bool after) {
    for (unsigned i = 0; i < REGISTERS; i++) {
        if (i == RCX || i == R11) continue;  // the instruction takes these
        if (seen[i] != foreign_set[i])
            kt_fail(__FILE__, __LINE__, "%s: %s is %lx, not %lx", after ? "after" : "in the entry", names[i],
                    (unsigned long)seen[i], (unsigned long)foreign_set[i]);
    }
}

static void set_entry(void (*entry)(void)) { KT_EQUAL(kpio_process_set_foreign_entry((uint64_t)entry), 0); }

KT_TEST(everything_arrives_as_it_was) {
    static const uint64_t numbers[] = {0, 39, 334, 0xfff, 0x2000, 0x7fffffff, 0x80000000, 0x100001000, UINT64_MAX};
    const struct kpio_thread_block *block = thread_self();
    set_entry(entry_that_looks);
    for (unsigned n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        prepare(numbers[n]);
        call_with_all();
        KT_EQUAL(foreign_seen[RCX], (uint64_t)block);
        KT_EQUAL(block->foreign_rip, foreign_rip);
        KT_EQUAL(block->foreign_rsp, foreign_set[RSP]);
        KT_EQUAL(block->foreign_rflags, FLAGS);
        check_registers(foreign_seen, false);
        check_registers(foreign_after, true);
        KT_EQUAL(memcmp(foreign_xmm, foreign_xmm_seen, sizeof(foreign_xmm)), 0);
        for (unsigned i = 0; i < RED_ZONE; i++) KT_EQUAL(foreign_zone[i], (uint8_t)(i ^ 0x5a));
    }
    set_entry(NULL);
}

static int64_t call(uint64_t number) {
    int64_t result = (int64_t)number;
    __asm__ volatile("syscall" : "+a"(result)::"rcx", "r11", "memory");
    return result;
}

__attribute__((naked)) static void entry_that_answers(void) {
    __asm__ volatile("mov $12345, %%eax\n\tjmp *" BLOCK(rip) ::OFFSETS);
}

KT_TEST(native_numbers_stay_native) {
    set_entry(entry_that_answers);
    KT_EQUAL(call(39), 12345);
    KT_EQUAL(call(SYS_nop), 0);
    KT_ERROR(call(0x1fff), ENOSYS);  // ours, and unknown
    KT_ERROR(call(SYSCALL_BASE + SYSCALL_COUNT), ENOSYS);
    set_entry(NULL);
}

KT_TEST(without_an_entry_they_are_unknown) {
    KT_ERROR(call(0), ENOSYS);
    KT_ERROR(call(39), ENOSYS);
    KT_ERROR(call(UINT64_MAX), ENOSYS);
    KT_ERROR(call(1ull << 63), ENOSYS);
    KT_ERROR(call(SYSCALL_BASE + SYSCALL_COUNT), ENOSYS);
    for (uint64_t bit = 13; bit < 64; bit++) KT_ERROR(call(SYS_nop | 1ull << bit), ENOSYS);
}

KT_TEST(entries_that_cannot_be) {
    KT_ERROR(kpio_process_set_foreign_entry((uint64_t)KT_KERNEL_ADDRESS), EINVAL);
    KT_ERROR(kpio_process_set_foreign_entry(1ull << 47), EINVAL);
    KT_ERROR(kpio_process_set_foreign_entry(UINT64_MAX), EINVAL);
    KT_ERROR(call(39), ENOSYS);  // what failed changed nothing
}

KT_CHILD(calls_39) { return call(39); }
KT_CHILD(enters_nowhere) {
    if (kpio_process_set_foreign_entry((uint64_t)KT_UNMAPPED_ADDRESS) != 0) return 1;
    return call(39);
}

KT_TEST(entries_are_of_one_process) {
    set_entry(entry_that_answers);
    KT_EQUAL(kt_wait(kt_spawn("calls_39", NULL, 0)), -ENOSYS);
    set_entry(NULL);
}

KT_TEST(an_entry_that_is_not_there_ends_the_process) {
    KT_EQUAL(kt_wait(kt_spawn("enters_nowhere", NULL, 0)), KPIO_STATUS_FAULT - 14);
}

// ---- threads -------------------------------------------------------------------------------------------------------------

// Answers with the block, and where the stack was.
__attribute__((naked)) static void entry_of_threads(void) {
    __asm__ volatile("mov %%rcx, %%rax\n\tmov " BLOCK(rsp) ", %%rdx\n\tjmp *" BLOCK(rip) ::OFFSETS);
}

static int64_t call_often(void *arg) {
    int64_t wrong = 0;
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t block = 39, stack, here;
        __asm__ volatile("mov %%rsp, %2\n\tsyscall" : "+a"(block), "=&d"(stack), "=&r"(here)::"rcx", "r11", "memory");
        wrong += block != (uint64_t)thread_self() || stack != here;
    }
    return wrong;
}

KT_TEST(each_thread_has_its_own_block) {
    enum { THREADS = 4 };
    static struct thread threads[THREADS];
    set_entry(entry_of_threads);
    for (unsigned i = 0; i < THREADS; i++) KT_EQUAL(thread_spawn(&threads[i], "caller", call_often, NULL, NULL, 0), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        int64_t wrong = 1;
        KT_EQUAL(thread_join(&threads[i], &wrong), 0);
        KT_EQUAL(wrong, 0);
    }
    set_entry(NULL);
}
