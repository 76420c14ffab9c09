// What a handler finds on its stack, and what it may change there.
#include "tests/linux/lt.h"

#include <cpuid.h>
#include <fenv.h>
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

static void handle_info(int number, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    LT_OK(sigaction(number, &action, NULL));
}

// ---- registers ------------------------------------------------------------------------------------------------------------

// The program sets every register, traps in one instruction, and the handler sees and changes all of them.
#define REGISTERS 15
static const int numbers[REGISTERS] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_R8,
                                       REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static unsigned long registers_seen[REGISTERS];
unsigned long registers_in[REGISTERS], registers_out[REGISTERS], flags_out;  // the assembly names them
static long cs_seen, trap_seen, flags_seen;
static siginfo_t fault_info;

static void change_all(int number, siginfo_t *info, void *context) {
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)number;
    fault_info = *info;
    for (int i = 0; i < REGISTERS; i++) {
        registers_seen[i] = (unsigned long)g[numbers[i]];
        g[numbers[i]] = (greg_t)(0x2222222200000000ul + (unsigned)i);
    }
    cs_seen = g[REG_CSGSFS] & 0xffff;
    trap_seen = g[REG_TRAPNO];
    flags_seen = g[REG_EFL];
    g[REG_EFL] = (flags_seen & ~0x8d5l) | 0x41;  // carry and zero, nothing else
    g[REG_RIP] += 2;
}

static void trap_with_registers(void) {
    __asm__ volatile(
        "push %%rbp\n\t"
        "push %%rbx\n\t"
        "lea registers_in(%%rip), %%rax\n\t"
        "mov 8(%%rax), %%rbx\n\tmov 16(%%rax), %%rcx\n\tmov 24(%%rax), %%rdx\n\tmov 32(%%rax), %%rsi\n\tmov 40(%%rax), %%rdi\n\t"
        "mov 48(%%rax), %%rbp\n\tmov 56(%%rax), %%r8\n\tmov 64(%%rax), %%r9\n\tmov 72(%%rax), %%r10\n\tmov 80(%%rax), %%r11\n\t"
        "mov 88(%%rax), %%r12\n\tmov 96(%%rax), %%r13\n\tmov 104(%%rax), %%r14\n\tmov 112(%%rax), %%r15\n\tmov (%%rax), %%rax\n\t"
        "ud2\n\t"
        "mov %%rax, registers_out(%%rip)\n\tlea registers_out(%%rip), %%rax\n\t"
        "mov %%rbx, 8(%%rax)\n\tmov %%rcx, 16(%%rax)\n\tmov %%rdx, 24(%%rax)\n\tmov %%rsi, 32(%%rax)\n\tmov %%rdi, 40(%%rax)\n\t"
        "mov %%rbp, 48(%%rax)\n\tmov %%r8, 56(%%rax)\n\tmov %%r9, 64(%%rax)\n\tmov %%r10, 72(%%rax)\n\tmov %%r11, 80(%%rax)\n\t"
        "mov %%r12, 88(%%rax)\n\tmov %%r13, 96(%%rax)\n\tmov %%r14, 104(%%rax)\n\tmov %%r15, 112(%%rax)\n\t"
        "pushfq\n\tpop flags_out(%%rip)\n\t"
        "pop %%rbx\n\tpop %%rbp"
        :
        :
        : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

LT_TEST(all_registers) {
    handle_info(SIGILL, change_all, 0);
    for (int i = 0; i < REGISTERS; i++) registers_in[i] = 0x1111111100000000ul + (unsigned)i;
    trap_with_registers();
    for (int i = 0; i < REGISTERS; i++) {
        LT_EQUAL(registers_seen[i], registers_in[i]);
        LT_EQUAL(registers_out[i], 0x2222222200000000ul + (unsigned)i);
    }
    LT_EQUAL(cs_seen, 0x33);
    LT_EQUAL(trap_seen, 6);
    LT_EQUAL(fault_info.si_code, ILL_ILLOPN);
    LT_EQUAL(flags_out & 0x8d5, 0x41);
}

// ---- the stack ------------------------------------------------------------------------------------------------------------

static unsigned long frame_at, frame_alignment, interrupted_rsp;
static ucontext_t *context_at;
static void look_at_stack(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    context_at = context;
    frame_at = (unsigned long)context - 8;
    frame_alignment = frame_at & 15;
    interrupted_rsp = (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}
LT_TEST(red_zone_and_layout) {
    unsigned long zone[16];
    handle_info(SIGILL, look_at_stack, 0);
    __asm__ volatile(
        "movq $0x5555, -8(%%rsp)\n\tmovq $0x6666, -128(%%rsp)\n\tud2\n\tmov -8(%%rsp), %%rax\n\tmov %%rax, (%0)\n\t"
        "mov -128(%%rsp), %%rax\n\tmov %%rax, 8(%0)"
        :
        : "r"(zone)
        : "rax", "memory");
    LT_EQUAL(zone[0], 0x5555);
    LT_EQUAL(zone[1], 0x6666);
    LT_EQUAL(frame_alignment, 8);
    LT_CHECK(frame_at + 440 <= interrupted_rsp - 128);
    LT_EQUAL(sizeof(siginfo_t), 128);
}

static char *alternate;
static size_t alternate_size;
static int inside, nested_inside;
static stack_t stack_seen;
static void on_alternate(int number, siginfo_t *info, void *context) {
    char here;
    (void)info, (void)context;
    if (number == SIGUSR1) {
        inside = &here > alternate && &here < alternate + alternate_size;
        sigaltstack(NULL, &stack_seen);
        raise(SIGUSR2);
    } else nested_inside = &here > alternate && &here < alternate + alternate_size;
}
LT_TEST(alternate_stack) {
    stack_t none = {.ss_flags = SS_DISABLE}, now, mine;
    alternate_size = 65536;
    alternate = mmap(NULL, alternate_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(alternate != MAP_FAILED);
    mine = (stack_t){.ss_sp = alternate, .ss_size = 100};
    LT_ERRNO(syscall(SYS_sigaltstack, &mine, NULL), ENOMEM);
    mine.ss_flags = 4, mine.ss_size = alternate_size;
    LT_ERRNO(syscall(SYS_sigaltstack, &mine, NULL), EINVAL);
    LT_ERRNO(syscall(SYS_sigaltstack, LT_BAD_ADDRESS, NULL), EFAULT);
    mine.ss_flags = 0;
    LT_OK(syscall(SYS_sigaltstack, &mine, &now));
    LT_EQUAL(now.ss_flags, SS_DISABLE);
    handle_info(SIGUSR1, on_alternate, SA_ONSTACK);
    handle_info(SIGUSR2, on_alternate, SA_ONSTACK);
    inside = nested_inside = 0;
    raise(SIGUSR1);
    LT_EQUAL(inside, 1);
    LT_EQUAL(nested_inside, 1);
    LT_EQUAL(stack_seen.ss_flags, SS_ONSTACK);
    LT_CHECK(stack_seen.ss_sp == alternate);
    handle_info(SIGUSR1, on_alternate, 0);
    handle_info(SIGUSR2, on_alternate, 0);
    raise(SIGUSR1);
    LT_EQUAL(inside, 0);
    LT_EQUAL(nested_inside, 0);
    LT_OK(syscall(SYS_sigaltstack, &none, &now));
    LT_EQUAL(now.ss_flags, 0);
    LT_CHECK(now.ss_sp == alternate && now.ss_size == alternate_size);
    LT_OK(munmap(alternate, alternate_size));
}

// A stack that is used up: only the alternate one can take the frame.
static sigjmp_buf out;
static void leave(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    fault_info = *info;
    siglongjmp(out, 1);
}
static volatile int never;
static int dig(volatile char *above) {
    volatile char here[4096];
    here[0] = above == NULL ? 0 : above[0];
    if (never) return 0;
    return dig(here) + here[0];
}
static void *overflow(void *unused) {
    stack_t mine = {.ss_sp = alternate, .ss_size = alternate_size}, none = {.ss_flags = SS_DISABLE};
    (void)unused;
    sigaltstack(&mine, NULL);
    if (sigsetjmp(out, 1) == 0) dig(NULL);
    sigaltstack(&none, NULL);
    return (void *)1;
}
LT_TEST(stack_overflow) {
    pthread_t thread;
    void *done = NULL;
    static char room[65536];
    alternate = room, alternate_size = sizeof room;
    memset(&fault_info, 0, sizeof fault_info);
    handle_info(SIGSEGV, leave, SA_ONSTACK);
    LT_EQUAL(pthread_create(&thread, NULL, overflow, NULL), 0);
    pthread_join(thread, &done);
    LT_CHECK(done != NULL);
    LT_EQUAL(fault_info.si_signo, SIGSEGV);
}

// ---- faults ------------------------------------------------------------------------------------------------------------------

static int fault_at(volatile char *address, int write) {
    memset(&fault_info, 0, sizeof fault_info);
    if (sigsetjmp(out, 1) == 0) {
        if (write) *address = 1;
        else (void)*address;
        return 0;
    }
    return 1;
}
LT_TEST(memory_faults) {
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(page != MAP_FAILED);
    LT_OK(munmap(page + 4096, 4096));
    handle_info(SIGSEGV, leave, 0);
    LT_EQUAL(fault_at(page + 5000, 0), 1);
    LT_EQUAL(fault_info.si_code, SEGV_MAPERR);
    LT_CHECK(fault_info.si_addr == page + 5000);
    LT_OK(mprotect(page, 4096, PROT_READ));
    LT_EQUAL(fault_at(page + 77, 0), 0);
    LT_EQUAL(fault_at(page + 77, 1), 1);
    LT_EQUAL(fault_info.si_code, SEGV_ACCERR);
    LT_CHECK(fault_info.si_addr == page + 77);
    LT_OK(mprotect(page, 4096, PROT_NONE));
    LT_EQUAL(fault_at(page, 0), 1);
    LT_EQUAL(fault_info.si_code, SEGV_ACCERR);
    LT_EQUAL(fault_at(NULL, 1), 1);
    LT_EQUAL(fault_info.si_code, SEGV_MAPERR);
    LT_EQUAL(fault_at((char *)0x8000000000000000, 0), 1);  // no address at all
    LT_EQUAL(fault_info.si_code, SI_KERNEL);
    LT_CHECK(fault_info.si_addr == NULL);
    LT_OK(munmap(page, 4096));
}

static long trap_rip, trap_number;
static void skip(int number, siginfo_t *info, void *context) {
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    fault_info = *info;
    trap_rip = g[REG_RIP];
    trap_number = g[REG_TRAPNO];
    if (number == SIGFPE) g[REG_RCX] = 1;  // what is divided by
}
LT_TEST(divide_by_zero) {
    long quotient;
    handle_info(SIGFPE, skip, 0);
    __asm__ volatile("idivq %%rcx" : "=a"(quotient) : "0"(77l), "d"(0l), "c"(0l));
    LT_EQUAL(quotient, 77);
    LT_EQUAL(fault_info.si_code, FPE_INTDIV);
    LT_CHECK((long)fault_info.si_addr == trap_rip);
    LT_EQUAL(trap_number, 0);
}
LT_TEST(breakpoint) {
    handle_info(SIGTRAP, skip, 0);
    __asm__ volatile("int3");
    LT_EQUAL(fault_info.si_code, SI_KERNEL);
    LT_EQUAL(trap_number, 3);
}
static void mask_x87(int number, siginfo_t *info, void *context) {
    fpregset_t fp = ((ucontext_t *)context)->uc_mcontext.fpregs;
    (void)number;
    fault_info = *info;
    fp->cwd |= 0x3f;
    fp->swd = 0;
}
LT_TEST(x87_exception) {
    unsigned short control = 0x37b, after;  // division by zero
    handle_info(SIGFPE, mask_x87, 0);
    memset(&fault_info, 0, sizeof fault_info);
    __asm__ volatile("fldcw %1\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait\n\tfnstcw %0\n\tfninit" : "=m"(after) : "m"(control) : "memory");
    LT_EQUAL(fault_info.si_signo, SIGFPE);
    LT_EQUAL(fault_info.si_code, FPE_FLTDIV);
    LT_EQUAL(after & 0x3f, 0x3f);
}

// ---- extended state -----------------------------------------------------------------------------------------------------------

struct software {
    unsigned magic, extended_size;
    unsigned long features;
    unsigned size;
};
static struct software software_seen;
static unsigned magic2_seen, mxcsr_inside;
static unsigned char sse_seen[16];
static void change_state(int number, siginfo_t *info, void *context) {
    fpregset_t fp = ((ucontext_t *)context)->uc_mcontext.fpregs;
    (void)number, (void)info;
    mxcsr_inside = _mm_getcsr();
    memcpy(&software_seen, (char *)fp + 464, sizeof software_seen);
    if (software_seen.magic == 0x46505853) memcpy(&magic2_seen, (char *)fp + software_seen.size, 4);
    memcpy(sse_seen, (char *)fp + 160 + 5 * 16, 16);
    memset((char *)fp + 160 + 5 * 16, 0x77, 16);  // xmm5
    if (software_seen.magic == 0x46505853 && software_seen.features & 4) memset((char *)fp + 576 + 5 * 16, 0x66, 16);  // upper half of ymm5
    fp->mxcsr |= 0x8000;
    __asm__ volatile("pxor %%xmm5, %%xmm5\n\tpxor %%xmm6, %%xmm6" : : : "xmm5", "xmm6");
}
LT_TEST(extended_state_may_be_changed) {
    unsigned char five[16], six[16], pattern[16], wide[32];
    memset(pattern, 0x11, sizeof pattern);
    handle_info(SIGUSR1, change_state, 0);
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x4000);
    const long pid = getpid(), tid = syscall(SYS_gettid);
    register long rax __asm__("rax") = SYS_tgkill;
    __asm__ volatile("movdqu (%[p]), %%xmm5\n\tmovdqu (%[p]), %%xmm6\n\tsyscall\n\tmovdqu %%xmm5, (%[five])\n\tmovdqu %%xmm6, (%[six])"
                     : "+r"(rax)
                     : [p] "r"(pattern), [five] "r"(five), [six] "r"(six), "D"(pid), "S"(tid), "d"((long)SIGUSR1)
                     : "xmm5", "xmm6", "rcx", "r11", "memory");
    unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    LT_EQUAL(rax, 0);
    memset(wide, 0x77, sizeof wide);
    LT_CHECK(memcmp(five, wide, 16) == 0);
    LT_CHECK(memcmp(six, pattern, 16) == 0);
    LT_CHECK(memcmp(sse_seen, pattern, 16) == 0);
    LT_EQUAL(after & 0xe000, 0xc000);
    LT_EQUAL(mxcsr_inside & 0xffc0, 0x1f80);  // a handler begins with the initial state
}
__attribute__((target("avx"))) static void wide_state(unsigned char *to, const unsigned char *pattern) {
    const long pid = getpid(), tid = syscall(SYS_gettid);
    register long rax __asm__("rax") = SYS_tgkill;
    __asm__ volatile("vmovdqu (%[p]), %%ymm5\n\tsyscall\n\tvmovdqu %%ymm5, (%[to])\n\tvzeroupper"
                     : "+r"(rax)
                     : [p] "r"(pattern), [to] "r"(to), "D"(pid), "S"(tid), "d"((long)SIGUSR1)
                     : "xmm5", "rcx", "r11", "memory");
}
LT_TEST(wide_state_may_be_changed) {
    unsigned char pattern[32], to[32];
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX) || !(c & bit_OSXSAVE)) LT_SKIP("no AVX");
    memset(pattern, 0x11, sizeof pattern);
    handle_info(SIGUSR1, change_state, 0);
    wide_state(to, pattern);
    for (int i = 0; i < 32; i++) LT_EQUAL(to[i], i < 16 ? 0x77 : 0x66);
    LT_EQUAL(software_seen.magic, 0x46505853);
    LT_EQUAL(software_seen.extended_size, software_seen.size + 4);
    LT_EQUAL(magic2_seen, 0x46505845);
    LT_EQUAL(software_seen.features & 7, 7);
}

// A program that computes while signals come does not notice.
static volatile int storming;
static void scribble(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
    __asm__ volatile("pcmpeqb %%xmm0, %%xmm0\n\tmovdqa %%xmm0, %%xmm1\n\tmovdqa %%xmm0, %%xmm7\n\tfninit" : : : "xmm0", "xmm1", "xmm7");
    storming++;
}
static void *send_many(void *to) {
    for (int i = 0; i < 300; i++) {
        int seen = storming;
        pthread_kill(*(pthread_t *)to, SIGUSR1);
        while (storming == seen) sched_yield();
    }
    return NULL;
}
static double compute(void) {
    double sum = 0;
    for (int i = 1; i < 2000; i++) sum += 1.0 / ((double)i * i);
    return sum;
}
LT_TEST(computing_goes_on_undisturbed) {
    pthread_t thread, self = pthread_self();
    handle_info(SIGUSR1, scribble, 0);
    storming = 0;
    double expected = compute();
    LT_EQUAL(pthread_create(&thread, NULL, send_many, &self), 0);
    while (storming < 300) LT_CHECK(compute() == expected);
    pthread_join(thread, NULL);
}
