// Entry from exceptions and interrupts. Interrupts stay off until the return.
//
// A frame from user mode lies at the very top of the thread's kernel stack (TSS.rsp0). NMI, #DF, #DB and #MC arrive on
// stacks of their own, because they can strike between user mode and the switch to the kernel's GS and stack.
#include "kernel/arch/x86_64/asm.h"
#include "kernel/arch/x86_64/smap.h"

.macro PUSH_REGISTERS
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro POP_REGISTERS
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    add $16, %rsp // vector, error
.endm

// Whether GS is changed hangs on a branch that may be predicted wrong, and the user chose the base that is wrong then
// (CVE-2019-1125): nothing is read through it before the branch is settled. Always on, since choosing would be a branch
// again; a system call changes GS without a branch and needs none.
.macro SWAPGS_SETTLED
    swapgs
    lfence
.endm

// 16 bytes each. Those of NMI, #DF, #MC and #DB are the same with and without KPTI.
.macro TRAP_STUBS common, page_fault
.set vector, 0
.rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push $0
    .endif
    push $vector
    .if vector == 2 || vector == 8 || vector == 18
    jmp trap_paranoid
    .elseif vector == 1
    jmp trap_debug
    .elseif vector == 14
    jmp \page_fault
    .else
    jmp \common
    .endif
    .set vector, vector + 1
.endr
.endm

.section .text.entry, "ax"
.globl trap_stubs, trap_stubs_kpti
.hidden trap_stubs, trap_stubs_kpti
.balign 16
trap_stubs:
    TRAP_STUBS trap_common, trap_page_fault
.balign 16
trap_stubs_kpti:
    TRAP_STUBS trap_common_kpti, trap_common_kpti

.balign 16
trap_common:
    PUSH_REGISTERS
    cld
    CLAC
    testb $3, FRAME_CS(%rsp)
    jz trap_from_kernel
    SWAPGS_SETTLED
trap_from_user:
    xor %ebp, %ebp
    mov %rsp, %rdi
    call trap_handle
.globl trap_exit_user
.hidden trap_exit_user
trap_exit_user:
    cmpb $0, %gs:CPU_NEED_RESCHED
    jne 1f
    cmpb $0, kpti_enabled(%rip)
    jne trap_exit_kpti
    POP_REGISTERS
    swapgs
.globl trap_iret
.hidden trap_iret
trap_iret:
    iretq
1:  call sched_exit_work
    jmp trap_exit_user

// With KPTI user mode runs on page tables that map of the kernel little more than this file. The processor pushed its
// frame on the CPU's entry stack, which both sets of tables map: change tables, then move the frame to the thread's stack.
.balign 16
trap_common_kpti:
    testb $3, 24(%rsp)
    jz 1f
    SWAPGS_SETTLED
    push %rax
    mov %gs:CPU_ARCH, %rax
    mov ARCH_CPU_KERNEL_ROOT(%rax), %rax
    mov %rax, %cr3
    mov %rsp, %rax
    mov %gs:CPU_KERNEL_STACK, %rsp
    pushq 56(%rax)                  // ss
    pushq 48(%rax)                  // rsp
    pushq 40(%rax)                  // rflags
    pushq 32(%rax)                  // cs
    pushq 24(%rax)                  // rip
    pushq 16(%rax)                  // error
    pushq 8(%rax)                   // vector
    mov (%rax), %rax
    PUSH_REGISTERS
    cld
    CLAC
    jmp trap_from_user
1:  // From the kernel, but iretq faults when tables and GS base are already the user's.
    push %rax
    lea trap_iret_kpti(%rip), %rax
    cmp %rax, 24(%rsp)
    pop %rax
    jne trap_common
    SWAPGS_SETTLED
    push %rax
    mov %gs:CPU_ARCH, %rax
    mov ARCH_CPU_KERNEL_ROOT(%rax), %rax
    mov %rax, %cr3
    pop %rax
    jmp trap_common

trap_exit_kpti:
    POP_REGISTERS
    push %rax
    push %rdi
    mov %gs:CPU_ARCH, %rax
    mov ARCH_CPU_ENTRY_STACK(%rax), %rax
    mov 48(%rsp), %rdi
    mov %rdi, -8(%rax)              // ss
    mov 40(%rsp), %rdi
    mov %rdi, -16(%rax)             // rsp
    mov 32(%rsp), %rdi
    mov %rdi, -24(%rax)             // rflags
    mov 24(%rsp), %rdi
    mov %rdi, -32(%rax)             // cs
    mov 16(%rsp), %rdi
    mov %rdi, -40(%rax)             // rip
    mov 8(%rsp), %rdi
    mov %rdi, -48(%rax)             // rax
    mov (%rsp), %rdi
    mov %rdi, -56(%rax)             // rdi
    lea -56(%rax), %rsp
    mov %gs:CPU_ARCH, %rax
    mov ARCH_CPU_USER_ROOT(%rax), %rax
    mov %rax, %cr3
    pop %rdi
    pop %rax
    swapgs
.globl trap_iret_kpti
.hidden trap_iret_kpti
trap_iret_kpti:
    iretq

// The page fault of user mode, the one exception that is part of ordinary work: what trap_handle does for it, without
// the detour.
.balign 16
trap_page_fault:
    PUSH_REGISTERS
    cld
    CLAC
    testb $3, FRAME_CS(%rsp)
    jz trap_from_kernel
    SWAPGS_SETTLED
    xor %ebp, %ebp
    mov %cr2, %rbx
    mov %rsp, %rdi
    mov %rbx, %rsi
    mov FRAME_ERROR(%rsp), %rdx
    call aspace_handle_fault        // refuses what is no user address
    test %al, %al
    jnz trap_exit_user
    mov %rsp, %rdi
    mov %rbx, %rsi
    call exception_deliver
    jmp trap_exit_user

trap_from_kernel:
    // A user frame that iretq refuses faults here, with the user's GS base already in place.
    lea trap_iret(%rip), %rax
    cmp %rax, FRAME_RIP(%rsp)
    jne 1f
    swapgs
1:  lfence
    mov %rsp, %rdi
    mov FRAME_RBP(%rsp), %rbp       // the backtrace goes on with the interrupted function
    call trap_handle
    POP_REGISTERS
    iretq

// void trap_return_user(struct trap_frame *frame): frame lies at the top of the kernel stack.
#ifdef __clang__
    .long __kcfi_typeid_trap_return_user
#endif
.globl trap_return_user
.hidden trap_return_user
trap_return_user:
    mov %rdi, %rsp
    jmp trap_exit_user

// #DB from user mode (single step) is an ordinary exception: goes on at the thread's own stack. From the kernel it can
// only come from the entry code's first instructions, after a trap flag or a MOV SS trick.
trap_debug:
    testb $3, 24(%rsp)
    jz trap_paranoid
    PUSH_REGISTERS
    cld
    CLAC
    SWAPGS_SETTLED
    mov %gs:CPU_ARCH, %rax
    mov ARCH_CPU_KERNEL_ROOT(%rax), %rax
    test %rax, %rax
    jz 1f
    mov %rax, %cr3
1:  mov %rsp, %rsi
    mov %gs:CPU_KERNEL_STACK, %rdi
    sub $FRAME_SIZE, %rdi
    mov %rdi, %rsp
    mov $(FRAME_SIZE / 8), %ecx
    rep movsq
    jmp trap_from_user

// GS may be the user's or the kernel's. The word above the frame on these stacks is the CPU.
trap_paranoid:
    PUSH_REGISTERS
    cld
    CLAC
    mov $MSR_GS_BASE, %ecx
    rdmsr
    shl $32, %rdx
    or %rax, %rdx
    mov %rdx, %rbx
    mov FRAME_SIZE(%rsp), %rax
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    xor %r12d, %r12d                // CR3 to go back to; 0 without KPTI
    mov %gs:CPU_ARCH, %rax
    mov ARCH_CPU_KERNEL_ROOT(%rax), %rax
    test %rax, %rax
    jz 1f
    mov %cr3, %r12
    mov %rax, %cr3
1:  mov %rsp, %rdi
    call trap_handle_paranoid
    test %r12, %r12
    jz 1f
    mov %r12, %cr3
1:
    mov $MSR_GS_BASE, %ecx
    mov %ebx, %eax
    mov %rbx, %rdx
    shr $32, %rdx
    wrmsr
    POP_REGISTERS
    iretq

.section .note.GNU-stack, "", @progbits
