// What the architecture offers to the layers above, and the few functions that it calls up. x86-64 only, but nothing
// above includes another header of this folder except paging.h, context.h and pci/acpi ones named in kernel/hal.
#pragma once
#include "kernel/core/cpu.h"
#include "kernel/core/types.h"

// ---- boot facts -----------------------------------------------------------------------------------------------------

struct mem_range {
    uint64_t base, size;  // bytes; page aligned when handed on
};
#define BOOT_MAX_RANGES 64

// What the boot loader told (PVH start info or Multiboot2). Filled before kernel_main, kept for good.
struct boot_info {
    char cmdline[2048];
    struct mem_range ram[BOOT_MAX_RANGES];  // usable, page aligned, sorted, without kernel image, initrd, boot tables
    unsigned ram_count;
    uint64_t ram_bytes;         // all RAM that the loader told of, also what is taken out of `ram`
    struct mem_range initrd;    // size 0: none
    struct mem_range disk;      // a disk image that the loader put into memory; size 0: none
    struct mem_range kernel;    // physical image
    paddr_t rsdp;               // 0: none
    struct {
        uint64_t base, size;    // size 0: none
        uint32_t width, height, pitch, bpp;
    } framebuffer;
    uint64_t entry_tsc;         // TSC at the first kernel instruction
    uint8_t seed[32];           // boot entropy: RDRAND, TSC, command line `seed=`
};
extern struct boot_info boot_info;

extern uint64_t direct_map_base;  // virtual address of physical 0 (randomised)
static inline void *phys_to_virt(paddr_t p) { return (void *)(direct_map_base + p.v); }
static inline paddr_t virt_to_phys(const void *v) { return paddr((uint64_t)v - direct_map_base); }  // direct map only

// ---- CPUs -----------------------------------------------------------------------------------------------------------

// Starts the other processors found in ACPI MADT (at most `maxcpus=` of the command line); each calls
// kernel_ap_main(). Called once from kernel_main, after memory and scheduler are up.
void arch_start_cpus(void);
// The CPU waits with interrupts on until the next interrupt, then returns with them off. Re-checks cpu->need_resched
// after interrupts are closed, so that no wake-up is lost.
void arch_idle(void);
// Opens interrupts for a moment: whatever is pending is handled before it returns. A preemption point's window.
void arch_irq_window(void);
// Runs fn(arg) on every CPU in mask but this one, at the latest when each next calls cpu_relax or opens interrupts, and
// waits for all. For TLB shoot-down, per-CPU cache draining. No lock that a target may spin on without cpu_relax.
void arch_call_cpus(uint64_t mask, void (*fn)(void *arg), void *arg);
[[gnu::noreturn]] void arch_power_off(void);
[[gnu::noreturn]] void arch_reboot(void);
// isa-debug-exit (port 0xf4) where QEMU has it, with 0x10 for success, else 0x11; then power-off.
[[gnu::noreturn]] void arch_exit(bool success);

// ---- time -----------------------------------------------------------------------------------------------------------

// The scale: ns = (tsc - base) * mult >> shift. For the user-mapped clock page.
struct arch_clock {
    uint64_t base;
    uint32_t mult, shift;
    uint64_t tsc_hz;
    uint64_t realtime_base;  // UNIX nanoseconds (from the RTC) at monotonic 0
};
extern struct arch_clock arch_clock;
// Monotonic nanoseconds since boot.
#ifdef __KPIO_HOST__
nanos_t arch_now(void);  // a test's own
#else
static inline nanos_t arch_now(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    uint64_t now = ((uint64_t)high << 32 | low) - arch_clock.base, top;
    __asm__("mulq %[mult]\n\tshrdq %%cl, %%rdx, %%rax"  // 128 bits in between; the shift is below 64
            : "+a"(now), "=&d"(top)
            : [mult] "r"((uint64_t)arch_clock.mult), "c"(arch_clock.shift)
            : "cc");
    return now;
}
#endif
// Arms this CPU's one-shot timer for an absolute time (TIME_NEVER: off); the interrupt calls sched_timer_interrupt().
void arch_timer_set(nanos_t deadline);

// ---- interrupts -----------------------------------------------------------------------------------------------------

#define IRQ_VECTOR_FIRST 0x30
#define IRQ_VECTOR_LAST 0xdf
// Allocates a free interrupt vector on a CPU for a device; handler(arg) runs with interrupts off and must not block.
// Returns the vector, or -ENOSPC. arch_vector_free waits until no handler of it is running.
int arch_vector_alloc(uint32_t cpu, void (*handler)(void *arg), void *arg);
void arch_vector_free(uint32_t cpu, int vector);
// MSI/MSI-X message (address, data) that raises the vector on that CPU.
void arch_msi_message(uint32_t cpu, int vector, uint64_t *address, uint32_t *data);
// Routes a global system interrupt of an I/O APIC, masked at first. 0 or negative errno.
int arch_gsi_route(uint32_t gsi, uint32_t cpu, int vector, bool level, bool active_low);
void arch_gsi_mask(uint32_t gsi, bool masked);
// A full barrier in memory that a device works on at the same time: stores before it are seen there before loads after it
// are made. The ordinary barriers are between CPUs only: an emulator may leave them out where there is one CPU.
#ifdef __KPIO_HOST__
static inline void arch_device_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#else
void arch_device_fence(void);
#endif

// ---- console input ---------------------------------------------------------------------------------------------------

// Takes received bytes; returns how many. One reader at a time. Beyond 256 bytes that nobody takes the UART is not emptied: the
// other side waits.
size_t arch_console_read(char *buf, size_t size);
bool arch_console_has_input(void);
// notify() is called from the interrupt handler when bytes arrived. NULL: nobody.
void arch_console_set_input(void (*notify)(void));

// ---- random ---------------------------------------------------------------------------------------------------------

bool arch_rdrand(uint64_t *out);

// ---- called up: provided by the layers above ------------------------------------------------------------------------

[[gnu::noreturn]] void kernel_main(void);     // provided by kernel/main.c: boot CPU, on its first stack, paging final
[[gnu::noreturn]] void kernel_ap_main(void);  // provided by kernel/main.c: every other CPU, GS base set
// Provided by sched. The per-CPU timer fired.
void sched_timer_interrupt(void);
// Provided by sched: before returning to user mode (interrupts off) when cpu->need_resched is set; and after interrupts
// in a preemption window.
void sched_exit_work(void);

// Registers of user mode at a trap, as pushed by the trap entry; also what exception upcalls show and change.
struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
// Provided by mm. A page fault at `address` from user mode, or from a usercopy helper in the kernel (frame->cs & 3 is 0;
// arch looks the exception table up first when this returns false). error is the CPU's code. Returns true when resolved.
bool aspace_handle_fault(struct trap_frame *frame, uint64_t address, uint64_t error);
// Provided by object (exception.c). A fault that nobody resolved, from user mode: delivers it to the thread's exception
// entry by changing *frame, or ends the process.
void exception_deliver(struct trap_frame *frame, uint64_t address);

// System calls: syscall entry calls native numbers through the generated table `syscall_table[nr - SYSCALL_BASE]` with
// (rdi, rsi, rdx, r10, r8, r9) as C arguments and returns rax (and rdx for those that say so); others go here.
// Provided by syscall (foreign.c): a number that is not native; Linux upcall or -ENOSYS.
int64_t syscall_foreign(uint64_t nr, struct trap_frame *frame);
