#include "kernel/object/system_page.h"

#include "abi/types.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/assert.h"
#include "kernel/core/cpu.h"
#include "kernel/object/job.h"

static struct vmo *page_vmo;

void system_page_init(void) {
    int error = vmo_create_contiguous(job_root, PAGE_SIZE, 0, &page_vmo);
    verify(error == 0);
    // Nobody has it yet, so the sequence does not count. The clock's rate stays; whoever sets the time later does it by the sequence.
    *(struct kpio_system_page *)phys_to_virt(page_vmo->base) = (struct kpio_system_page){
        .flags = KPIO_CLOCK_TSC,
        .mult = arch_clock.mult,
        .shift = arch_clock.shift,
        .base = arch_clock.base,
        .realtime_base = arch_clock.realtime_base,
        .tsc_hz = arch_clock.tsc_hz,
        .cpus = cpu_count,
    };
}

struct vmo *system_page_vmo(void) { return page_vmo; }
