#include "kernel/arch/x86_64/context.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/features.h"
#include "lib/string.h"

#define LEGACY_SIZE 512
#define HEADER_SIZE 64
#define MXCSR_AT 24
#define MXCSR_MASK_AT 28
#define MXCSR_INITIAL 0x1f80u

uint32_t fpu_state_size = LEGACY_SIZE;
uint8_t fpu_method;
bool segment_bases_fast;
bool context_fast;
static uint32_t mxcsr_mask = 0xffbf;  // what a zero mask in an FXSAVE image stands for

void fpu_init(void) {
    static uint8_t image[LEGACY_SIZE] __attribute__((aligned(64)));
    uint32_t mask;
    segment_bases_fast = cpu_features.fsgsbase;
    __asm__ volatile("fninit; fxsave64 (%0)" : : "r"(image) : "memory");
    memcpy(&mask, image + MXCSR_MASK_AT, sizeof(mask));
    if (mask != 0) mxcsr_mask = mask;
    if (!cpu_features.xsave) return;
    fpu_method = cpu_features.xsaveopt ? FPU_XSAVEOPT : FPU_XSAVE;
    context_fast = fpu_method == FPU_XSAVEOPT && segment_bases_fast;
    fpu_state_size = cpu_cpuid(0xd, 0).ebx;  // for what XCR0 enables now
}

// A zero XSTATE_BV makes xrstor load the initial state of every component, whatever else the area holds; MXCSR is taken
// from the image even then.
void fpu_state_init(void *area) {
    const uint32_t mxcsr = MXCSR_INITIAL;
    const uint16_t control = 0x37f;
    if (fpu_method == FPU_FXSAVE) memset(area, 0, LEGACY_SIZE);
    else memset((char *)area + LEGACY_SIZE, 0, HEADER_SIZE);
    memcpy(area, &control, sizeof(control));
    memcpy((char *)area + MXCSR_AT, &mxcsr, sizeof(mxcsr));
}

bool fpu_state_valid(const void *area, size_t size) {
    uint32_t mxcsr;
    uint64_t header[8];
    if (size != fpu_state_size) return false;
    memcpy(&mxcsr, (const char *)area + MXCSR_AT, sizeof(mxcsr));
    if (mxcsr & ~mxcsr_mask) return false;
    if (fpu_method == FPU_FXSAVE) return true;
    memcpy(header, (const char *)area + LEGACY_SIZE, HEADER_SIZE);
    if (header[0] & ~cpu_features.xcr0) return false;
    for (int i = 1; i < 8; i++)
        if (header[i] != 0) return false;  // not compacted, nothing reserved
    return true;
}

void fpu_save_slow(void *area) {
    if (fpu_method == FPU_XSAVE)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}
void fpu_restore_slow(const void *area) { __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory"); }

void segment_bases_save_slow(struct segment_bases *bases) {
    bases->fs = cpu_rdmsr(MSR_FS_BASE);
    bases->gs = cpu_rdmsr(MSR_KERNEL_GS_BASE);
}
void segment_bases_load_slow(const struct segment_bases *bases) {
    cpu_wrmsr(MSR_FS_BASE, bases->fs);
    cpu_wrmsr(MSR_KERNEL_GS_BASE, bases->gs);
}
