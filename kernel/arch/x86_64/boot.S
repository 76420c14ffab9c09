// Entries: 32-bit protected mode, paging off, %ebx = physical address of what the loader left: PVH's struct hvm_start_info,
// or with the magic number in %eax Multiboot2 information. Position independent: goes to 64-bit mode on an identity mapping
// of the first 4 GiB, lets boot_early relocate the image and build the final page tables, then jumps to the image's final
// address.
#include "kernel/arch/x86_64/asm.h"

// The identity mapping. Kept: other processors start on it.
.section .boot_bss, "aw", @nobits
.balign 4096
.globl boot_pml4
.hidden boot_pml4
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4 * 4096
boot_stack:
    .skip 16384
boot_stack_top:

.section .rodata.boot, "a"
.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff // 64-bit code
    .quad 0x00cf92000000ffff // data
boot_gdt_end:
boot_complaint:
    .asciz "KPIO needs a 64-bit processor with NX\r\n"

#define REL(symbol) (symbol - base)(%ebp)

.section .text.boot, "ax"
// Multiboot2, section 3.1: in the first 32 KiB of the file, 8-byte aligned.
.macro tag_head type, flags, size
    .balign 8
    .short \type, \flags
    .long \size
.endm
.balign 8
.globl multiboot2_header
.hidden multiboot2_header
multiboot2_header:
    .long 0xe85250d6, 0, multiboot2_end - multiboot2_header
    .long -(0xe85250d6 + (multiboot2_end - multiboot2_header))
    tag_head 3, 0, 12       // entry address, as linked (kernel.ld puts the header at 2 MiB); the loader adds what it moved
    .long 0x200000 + boot_multiboot2 - multiboot2_header
    tag_head 5, 1, 20       // framebuffer, if there can be one
    .long 1024, 768, 32
    tag_head 6, 0, 8        // modules at page boundaries
    tag_head 10, 1, 24      // may be loaded elsewhere: range, alignment, as low as possible
    .long 0x200000, 0xffffffff, 0x200000, 1
    tag_head 0, 0, 8
multiboot2_end:

.code32
boot_multiboot2:
    mov %eax, %ebp
    jmp boot_common
.globl boot_pvh
.hidden boot_pvh
boot_pvh:
    xor %ebp, %ebp
boot_common:
    cld
    rdtsc
    mov %eax, %esi
    mov %edx, %edi
    mov %ebp, %edx
    // Where are we? The only memory known to be ours to write is what the loader left: borrow its first word as a stack.
    mov (%ebx), %ecx
    lea 4(%ebx), %esp
    call base
base:
    pop %ebp
    mov %ecx, (%ebx)
    lea REL(boot_stack_top), %esp
    push $0
    push %edx                       // the magic number and the entry TSC are read back by the 64-bit code
    push %edi
    push %esi
    mov %ebx, %esi                  // cpuid changes ebx

    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb unsupported
    mov $0x80000001, %eax
    cpuid
    and $(1 << 29 | 1 << 20), %edx  // long mode, NX
    cmp $(1 << 29 | 1 << 20), %edx
    jne unsupported

    // PML4, PDPT: cleared. PDs: 2048 pages of 2 MiB.
    lea REL(boot_pml4), %edi
    xor %eax, %eax
    mov $2048, %ecx
    rep stosl
    lea REL(boot_pd), %edi
    mov $0x83, %eax
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $8, %edi
    add $0x200000, %eax
    jnc 1b
    lea REL(boot_pdpt), %edi
    lea REL(boot_pd), %eax
    or $3, %eax
    mov %eax, (%edi)
    add $0x1000, %eax
    mov %eax, 8(%edi)
    add $0x1000, %eax
    mov %eax, 16(%edi)
    add $0x1000, %eax
    mov %eax, 24(%edi)
    lea REL(boot_pml4), %eax
    or $3, %edi
    mov %edi, (%eax)

    mov %eax, %cr3
    mov $(CR4_PAE | CR4_PGE), %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    rdmsr
    or $(EFER_SCE | EFER_LME | EFER_NXE), %eax
    wrmsr
    mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    mov %eax, %cr0

    lea REL(boot_gdt), %eax
    push %eax
    push $((boot_gdt_end - boot_gdt - 1) << 16)
    lgdt 2(%esp)
    add $8, %esp
    lea REL(boot_64), %eax
    push $0x08
    push %eax
    lret

unsupported:
    lea REL(boot_complaint), %esi
    mov $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  hlt
    jmp 2b

.code64
boot_64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    pop %r12                        // entry TSC
    pop %r14                        // magic
    mov %esi, %r13d                 // start info
    // Clear bss, then GS: stack protector and this_cpu() work from the first C function on.
    lea kernel_bss_start(%rip), %rdi
    lea kernel_bss_end(%rip), %rcx
    sub %rdi, %rcx
    shr $3, %rcx
    xor %eax, %eax
    rep stosq
    lea cpus(%rip), %rax
    call boot_set_gs
    rdtsc
    shl $32, %rdx
    xor %rdx, %rax
    mov $0x9e3779b97f4a7c15, %rdx
    mul %rdx
    xor %rdx, %rax
    xor %al, %al                    // a zero byte stops string overruns
    mov %rax, %gs:CPU_STACK_CANARY

    mov %r13, %rdi
    mov %r12, %rsi
    mov %r14d, %edx
    call boot_early                 // rax: virtual minus physical address of the image; rdx: final root
    mov %rdx, %r12
    mov %rax, %r13
    lea boot_high(%rip), %rcx
    add %rax, %rcx
    add %rax, %rsp
    jmp *%rcx
boot_high:
    mov %r12, %cr3
    lea cpus(%rip), %rax
    call boot_set_gs
    mov %rax, %gs:0
    xor %ebp, %ebp
    call boot_kernel
    ud2

// GS base = rax.
boot_set_gs:
    mov %rax, %rdx
    shr $32, %rdx
    mov $MSR_GS_BASE, %ecx
    wrmsr
    ret

.section .note.GNU-stack, "", @progbits
