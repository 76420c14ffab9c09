#include "kernel/arch/x86_64/features.h"

#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/kpti.h"
#include "lib/string.h"

struct cpu_features cpu_features;

// x87, SSE, AVX, AVX-512. What nothing here uses (MPX, protection keys, AMX) would only make every thread's state larger.
#define XCR0_USED 0xe7ull

static bool bit(uint32_t word, int n) { return word >> n & 1; }

void cpu_features_detect(void) {
    struct cpu_features *f = &cpu_features;
    uint32_t max = cpu_cpuid(0, 0).eax;
    struct cpuid_regs one = cpu_cpuid(1, 0);

    f->pcid = bit(one.ecx, 17);
    f->x2apic = bit(one.ecx, 21);
    f->tsc_deadline = bit(one.ecx, 24);
    f->xsave = bit(one.ecx, 26);
    f->hypervisor = bit(one.ecx, 31);
    if (max >= 7) {
        struct cpuid_regs seven = cpu_cpuid(7, 0);
        f->fsgsbase = bit(seven.ebx, 0);
        f->smep = bit(seven.ebx, 7);
        f->invpcid = bit(seven.ebx, 10);
        f->smap = bit(seven.ebx, 20);
        f->umip = bit(seven.ecx, 2);
        f->ibpb = bit(seven.edx, 26);
        if (bit(seven.edx, 29)) f->rdcl_no = cpu_rdmsr(MSR_ARCH_CAPABILITIES) & 1;
    }
    // Meltdown is a matter of Intel's processors.
    struct cpuid_regs vendor = cpu_cpuid(0, 0);
    if (vendor.ebx != 0x756e6547) f->rdcl_no = true;
    if (f->xsave && max >= 0xd) {
        struct cpuid_regs d = cpu_cpuid(0xd, 0);
        f->xcr0 = ((uint64_t)d.edx << 32 | d.eax) & XCR0_USED;
        f->xsaveopt = bit(cpu_cpuid(0xd, 1).eax, 0);
    } else {
        f->xsave = false;
    }
    f->tsc_invariant = cpu_cpuid(0x80000000, 0).eax >= 0x80000007 && bit(cpu_cpuid(0x80000007, 0).edx, 8);
    if (f->hypervisor) {
        struct cpuid_regs host = cpu_cpuid(0x40000000, 0);
        f->hypervisor_max_leaf = host.eax;
        f->emulated = host.ebx == 0x54474354;  // TCGT
    }
}

void cpu_features_enable(void) {
    const struct cpu_features *f = &cpu_features;
    uint64_t cr4 = CR4_PAE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (bit(cpu_cpuid(1, 0).edx, 7)) cr4 |= CR4_MCE;
    if (!kpti_enabled) cr4 |= CR4_PGE;  // global entries would stay in the TLB in user mode
    if (f->umip) cr4 |= CR4_UMIP;
    if (f->fsgsbase) cr4 |= CR4_FSGSBASE;
    if (f->pcid && !kpti_enabled) cr4 |= CR4_PCIDE;
    if (f->xsave) cr4 |= CR4_OSXSAVE;
    if (f->smep) cr4 |= CR4_SMEP;
    if (f->smap) cr4 |= CR4_SMAP;
    cpu_write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    cpu_write_cr4(cr4);
    if (f->xsave) cpu_xsetbv(0, f->xcr0);
    cpu_wrmsr(MSR_EFER, EFER_SCE | EFER_LME | EFER_NXE | (cpu_rdmsr(MSR_EFER) & 1 << 10));
}
