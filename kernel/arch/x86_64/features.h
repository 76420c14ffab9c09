// What this processor can do. Found on the boot CPU; the others are of the same kind.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cpu_features {
    bool fsgsbase, smep, smap, umip, pcid, invpcid, x2apic, tsc_deadline, xsave, xsaveopt, tsc_invariant, hypervisor;
    bool ibpb;     // MSR_PRED_CMD
    bool rdcl_no;  // not open to Meltdown
    bool emulated; // by QEMU, not run
    uint32_t hypervisor_max_leaf;
    uint64_t xcr0;
};
extern struct cpu_features cpu_features;

void cpu_features_detect(void);
// Sets control registers and MSRs of the running CPU for the kernel.
void cpu_features_enable(void);
