// Which signal a fault of the program is (Linux: arch/x86 traps and page faults).
#include "abi/gen/stubs.h"
#include "user/liblinux/signal.h"

enum {
    VECTOR_DIVIDE,
    VECTOR_DEBUG,
    VECTOR_BREAKPOINT = 3,
    VECTOR_OVERFLOW,
    VECTOR_BOUND,
    VECTOR_OPCODE,
    VECTOR_SEGMENT = 11,
    VECTOR_STACK,
    VECTOR_PROTECTION,
    VECTOR_PAGE,
    VECTOR_X87 = 16,
    VECTOR_ALIGNMENT,
    VECTOR_SIMD = 19
};
enum {
    ILL_ILLOPN = 2,
    FPE_INTDIV = 1,
    FPE_FLTDIV = 3,
    FPE_FLTOVF,
    FPE_FLTUND,
    FPE_FLTRES,
    FPE_FLTINV,
    TRAP_TRACE = 2,
    SEGV_MAPERR = 1,
    SEGV_ACCERR = 2,
    BUS_ADRALN = 1,
    BUS_ADRERR = 2
};
enum { ERROR_PRESENT = 1, ERROR_WRITE = 2, ERROR_FETCH = 16 };

// Of IEEE exception bits: what Linux tells first.
static int32_t float_code(uint32_t bits) {
    if (bits & 1) return FPE_FLTINV;
    if (bits & 4) return FPE_FLTDIV;
    if (bits & 8) return FPE_FLTOVF;
    if (bits & (16 | 2)) return FPE_FLTUND;
    if (bits & 32) return FPE_FLTRES;
    return LX_SI_KERNEL;
}

static int32_t x87_code(void) {
    uint16_t control, status;
    __asm__ volatile("fnstcw %0\n\tfnstsw %1" : "=m"(control), "=m"(status));
    return float_code(status & ~(uint32_t)control & 0x3f);
}

static int32_t simd_code(void) {
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return float_code(mxcsr & ~(mxcsr >> 7) & 0x3f);
}

// Mapped, and the access allowed: the file behind the mapping has no such page. Mapped and not allowed; not mapped. Behind what was
// mapped by a native call (of the WASM pool) is no file: an access beyond its end is one to nothing.
static void page_fault(struct lx_thread *t, struct lx_siginfo *info) {
    uint64_t mapping[3] = {0}, address = t->fault.address, error = t->fault.error;
    uint64_t needed = error & ERROR_FETCH ? KPIO_MAP_EXECUTE : error & ERROR_WRITE ? KPIO_MAP_WRITE : KPIO_MAP_READ;
    int64_t result = kpio_aspace_query(lx_space(t)->aspace, address, mapping, 3);
    info->number = LX_SIGSEGV;
    info->code = SEGV_MAPERR;
    info->fault.address = address;
    if (result < 0 || mapping[0] > address) return;
    info->code = SEGV_ACCERR;
    if (!(mapping[2] & needed) || error & ERROR_PRESENT || !(mapping[2] & (KPIO_MAP_PRIVATE | KPIO_MAP_LOCAL_SHARE))) return;
    info->number = LX_SIGBUS;
    info->code = BUS_ADRERR;
}

static void set(struct lx_siginfo *info, int32_t number, int32_t code, uint64_t address) {
    info->number = number;
    info->code = code;
    info->fault.address = address;
}

void lx_signal_fault(struct lx_thread *t, const struct lx_registers *r) {
    struct lx_siginfo info = {0};
    t->faulted = false;
    switch (t->fault.kind) {
    case VECTOR_DIVIDE: set(&info, LX_SIGFPE, FPE_INTDIV, r->rip); break;
    case VECTOR_DEBUG: set(&info, LX_SIGTRAP, TRAP_TRACE, r->rip); break;
    case VECTOR_BREAKPOINT: set(&info, LX_SIGTRAP, LX_SI_KERNEL, 0); break;
    case VECTOR_OPCODE: set(&info, LX_SIGILL, ILL_ILLOPN, r->rip); break;
    case VECTOR_SEGMENT:
    case VECTOR_STACK: set(&info, LX_SIGBUS, LX_SI_KERNEL, 0); break;
    case VECTOR_PAGE: page_fault(t, &info); break;
    case VECTOR_X87: set(&info, LX_SIGFPE, x87_code(), r->rip); break;
    case VECTOR_ALIGNMENT: set(&info, LX_SIGBUS, BUS_ADRALN, 0); break;
    case VECTOR_SIMD: set(&info, LX_SIGFPE, simd_code(), r->rip); break;
    case KPIO_EXC_NO_MEMORY:
    case KPIO_EXC_REVOKED: set(&info, LX_SIGBUS, BUS_ADRERR, t->fault.address); break;
    default: set(&info, LX_SIGSEGV, LX_SI_KERNEL, 0);
    }
    if (t->fault.kind >= KPIO_EXC_INTERRUPT) t->fault.kind = VECTOR_PAGE;
    lx_signal_force(t, &info);
}
