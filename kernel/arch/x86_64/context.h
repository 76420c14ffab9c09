// Switching between kernel stacks, the first entry to user mode, and extended (FPU) state.
#pragma once
#include "kernel/arch/x86_64/arch.h"

// Saves where to go on and the stack pointer in *save, and goes on at what `load` holds: the other thread continues behind
// its own call of this. Every other register is lost, so the compiler keeps what it needs on the stack: a function around
// this pushes the callee-saved registers once, not twice. Interrupts off.
static inline __attribute__((always_inline)) void context_switch(uint64_t *save, uint64_t load) {
    __asm__ volatile(
        "push %%rbp\n\t"
        "lea 1f(%%rip), %%rax\n\t"
        "push %%rax\n\t"
        "mov %%rsp, (%%rdi)\n\t"
        "mov %%rsi, %%rsp\n\t"
        "ret\n"
        "1:\tpop %%rbp"
        : "+D"(save), "+S"(load)
        :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
}

// Prepares a fresh kernel stack (top address) so that the first context_switch to the returned rsp calls
// entry(arg) with interrupts off. entry must not return.
uint64_t context_prepare(uint64_t stack_top, void (*entry)(void *arg), void *arg);

// Leaves for user mode with exactly this frame. The kernel stack is empty afterwards.
[[gnu::noreturn]] void context_enter_user(const struct trap_frame *frame);

// The full frame of user registers at the top of the current thread's kernel stack. There after an exception or interrupt
// from user mode, in a system call flagged `frame` in syscalls.def, in syscall_foreign, and in sched_exit_work. What it
// holds is what user mode goes on with; changes to rip, rsp and rflags go through context_frame_set.
static inline struct trap_frame *context_user_frame(uint64_t stack_top) { return (struct trap_frame *)stack_top - 1; }

// A fresh frame: all registers zero but these, interrupts on.
void context_frame_init(struct trap_frame *frame, uint64_t rip, uint64_t rsp);
// Puts user-supplied values into a frame: rflags keeps only what user mode may change. False, and nothing changed, when
// rip is no user address.
[[nodiscard]] bool context_frame_set(struct trap_frame *frame, uint64_t rip, uint64_t rsp, uint64_t rflags);
// Whether a frame can be returned to.
bool context_frame_valid(const struct trap_frame *frame);
// CF PF AF ZF SF TF DF OF RF AC ID
#define CONTEXT_RFLAGS_USER 0x250dd5ull

// In a native system call without the `frame` flag: what rdx holds when it returns (otherwise it is unchanged).
static inline void context_set_result2(uint64_t value) { ((uint64_t *)this_cpu()->kernel_stack)[-4] = value; }

// ---- extended state (x87, SSE, AVX...) -------------------------------------------------------------------------------

extern uint32_t fpu_state_size;  // bytes of an XSAVE area with every enabled component; set at boot
void fpu_init(void);             // boot CPU: finds size and initial state
// Memory of fpu_state_size bytes, 64-byte aligned, put into the initial state.
void fpu_state_init(void *area);
// Whether user-supplied bytes are a state that xrstor takes without a fault: header bits, MXCSR.
bool fpu_state_valid(const void *area, size_t size);

enum { FPU_FXSAVE, FPU_XSAVE, FPU_XSAVEOPT };
extern uint8_t fpu_method;
void fpu_save_slow(void *area);
void fpu_restore_slow(const void *area);

static inline void fpu_save(void *area) {
    if (likely(fpu_method == FPU_XSAVEOPT))
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else
        fpu_save_slow(area);
}
// The area was checked with fpu_state_valid or written by fpu_save.
static inline void fpu_restore(const void *area) {
    if (likely(fpu_method != FPU_FXSAVE))
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else
        fpu_restore_slow(area);
}

// The same with an area in user memory (64-byte aligned, inside the user range): false on a fault, also one that bad bytes
// cause. A failed restore leaves some valid state in the registers. No lock held.
[[nodiscard]] bool fpu_save_user(uint64_t area);
[[nodiscard]] bool fpu_restore_user(uint64_t area);

// User FS and GS base of this CPU, for switching (FSGSBASE where there is, MSRs else).
struct segment_bases {
    uint64_t fs, gs;
};
extern bool segment_bases_fast;
void segment_bases_save_slow(struct segment_bases *bases);
void segment_bases_load_slow(const struct segment_bases *bases);

// In the kernel the user's GS base is the one that swapgs brings back.
static inline void segment_bases_save(struct segment_bases *bases) {
    if (likely(segment_bases_fast))
        __asm__ volatile("rdfsbase %0\n\tswapgs\n\trdgsbase %1\n\tswapgs" : "=r"(bases->fs), "=r"(bases->gs));
    else
        segment_bases_save_slow(bases);
}
static inline void segment_bases_load(const struct segment_bases *bases) {
    if (likely(segment_bases_fast))
        __asm__ volatile("wrfsbase %0\n\tswapgs\n\twrgsbase %1\n\tswapgs" : : "r"(bases->fs), "r"(bases->gs));
    else
        segment_bases_load_slow(bases);
}

// Extended state and bases of one user thread out, of another in. One test for the processors that have all of it.
extern bool context_fast;  // XSAVEOPT and FSGSBASE
static inline void context_state_switch(void *out, struct segment_bases *bases_out, const void *in,
                                        const struct segment_bases *bases_in) {
    if (likely(context_fast)) {
        __asm__ volatile(
            "xsaveopt64 (%0)\n\t"
            "xrstor64 (%1)"
            :
            : "r"(out), "r"(in), "a"(-1), "d"(-1)
            : "memory");
        __asm__ volatile(
            "rdfsbase %0\n\t"
            "wrfsbase %2\n\t"
            "swapgs\n\t"
            "rdgsbase %1\n\t"
            "wrgsbase %3\n\t"
            "swapgs"
            : "=&r"(bases_out->fs), "=&r"(bases_out->gs)
            : "r"(bases_in->fs), "r"(bases_in->gs));
        return;
    }
    fpu_save(out);
    segment_bases_save(bases_out);
    fpu_restore(in);
    segment_bases_load(bases_in);
}

// Points TSS.rsp0 and cpu->kernel_stack at the stack of the thread that runs now.
typedef uint64_t __attribute__((aligned(1), may_alias)) context_tss_word;  // the TSS has its words at odd places
static inline void context_set_kernel_stack_of(struct cpu *c, uint64_t stack_top) {
    c->kernel_stack = stack_top;
    *(context_tss_word *)c->rsp0 = stack_top;
}
static inline void context_set_kernel_stack(uint64_t stack_top) { context_set_kernel_stack_of(this_cpu(), stack_top); }
