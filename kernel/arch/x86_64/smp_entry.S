// Where the other processors start: a page below 1 MiB, copied there, in real mode with cs = page >> 4, ip = 0.
#include "kernel/arch/x86_64/asm.h"

.section .rodata.smp, "a"
.balign 16
.globl smp_trampoline, smp_trampoline_end, smp_trampoline_root, smp_trampoline_base, smp_trampoline_target
.hidden smp_trampoline, smp_trampoline_end, smp_trampoline_root, smp_trampoline_base, smp_trampoline_target
.code16
smp_trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    xor %ebx, %ebx
    mov %ax, %bx
    shl $4, %ebx                    // linear address of this page
    lgdtl gdt_pointer - smp_trampoline
    mov %cr0, %eax
    or $CR0_PE, %eax
    mov %eax, %cr0
    ljmpl *(far_32 - smp_trampoline)

.code32
start_32:
    mov $0x18, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $(CR4_PAE | CR4_PGE), %eax
    mov %eax, %cr4
    mov smp_trampoline_root - smp_trampoline(%ebx), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $(EFER_SCE | EFER_LME | EFER_NXE), %eax
    wrmsr
    mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    mov %eax, %cr0
    ljmpl *(far_64 - smp_trampoline)(%ebx)

.code64
start_64:
    mov %ebx, %ebx
    mov smp_trampoline_target - smp_trampoline(%rbx), %rax
    jmp *%rax

.balign 8
smp_trampoline_target:
    .quad 0                         // smp_entry
smp_trampoline_root:
    .long 0                         // boot_pml4, physical
smp_trampoline_base:                // three places where the page's linear address is added
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt - smp_trampoline
far_32:
    .long start_32 - smp_trampoline
    .word 0x10
far_64:
    .long start_64 - smp_trampoline
    .word 0x08
.balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff        // 64-bit code
    .quad 0x00cf9b000000ffff        // 32-bit code
    .quad 0x00cf93000000ffff        // data
gdt_end:
smp_trampoline_end:

.section .text.entry, "ax"
.globl smp_entry
.hidden smp_entry
smp_entry:
    xor %eax, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov smp_boot_root(%rip), %rax   // the kernel's own tables: no identity mapping from here on
    mov %rax, %cr3
    mov smp_boot_stack(%rip), %rsp
    mov smp_boot_cpu(%rip), %rax
    mov %rax, %rdx
    shr $32, %rdx
    mov $MSR_GS_BASE, %ecx
    wrmsr
    xor %ebp, %ebp
    mov smp_boot_cpu(%rip), %rdi
    call smp_started
    ud2

.section .note.GNU-stack, "", @progbits
