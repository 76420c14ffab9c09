// System calls. On entry: rcx = user rip, r11 = user rflags, rax = number, arguments in rdi rsi rdx r10 r8 r9; interrupts,
// direction, trap and alignment-check flag are off (SFMASK).
//
// Top of the kernel stack during a native call:    -8  user rsp
//                                                 -16  user rflags
//                                                 -24  user rip
//                                                 -32  rdx: restored at the exit, or the second result
// Callee-saved registers stay where they are: C keeps them. All other registers are cleared on the way out.
// rip needs no check before sysret: it is the address behind a syscall instruction, the last user page is never mapped,
// and nobody changes it on this path. What changes it builds a full frame and leaves through iretq.
#include "abi/gen/syscall_frames.h"
#include "abi/gen/syscalls.h"
#include "kernel/arch/x86_64/asm.h"

.section .text.entry, "ax"

// Its type is that of every handler; the hash in front of it is what a handler must have in front.
.balign 16
#ifdef __clang__
    .long __kcfi_typeid_syscall_type_witness
#endif
.globl syscall_type_witness
.hidden syscall_type_witness
syscall_type_witness:
    ud2

// The whole path, twice: \kpti changes page tables at both ends.
.macro SYSCALL_ENTRY name, kpti
.balign 64
.globl \name
.hidden \name
\name:
    swapgs
    mov %rsp, %gs:CPU_USER_RSP
    .if \kpti
    mov %gs:CPU_ARCH, %rsp
    mov ARCH_CPU_KERNEL_ROOT(%rsp), %rsp
    mov %rsp, %cr3
    .endif
    mov %gs:CPU_KERNEL_STACK, %rsp
    push %gs:CPU_USER_RSP
    push %r11
    push %rcx
    push %rdx
    sub $SYSCALL_BASE, %rax
    cmp $SYSCALL_COUNT, %rax
    jae syscall_other
    sbb %r11, %r11                  // all ones; zero when the branch was mispredicted
    and %r11, %rax
    mov %r10, %rcx
    lea syscall_table(%rip), %r11
    mov (%r11, %rax, 8), %r11
#ifdef __clang__
    mov syscall_type_witness - 4(%rip), %r10d
    cmp %r10d, -4(%r11)
    jne syscall_bad_target
#endif
    call *%r11
    cmpb $0, %gs:CPU_NEED_RESCHED
    jne syscall_exit_slow
    pop %rdx
    pop %rcx
    pop %r11
    xor %edi, %edi
    xor %esi, %esi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    .if \kpti
    pop %gs:CPU_USER_RSP
    mov %gs:CPU_ARCH, %rsp
    mov ARCH_CPU_USER_ROOT(%rsp), %rsp
    mov %rsp, %cr3
    mov %gs:CPU_USER_RSP, %rsp
    .else
    pop %rsp
    .endif
    swapgs
    sysretq
.endm
SYSCALL_ENTRY syscall_entry, 0
SYSCALL_ENTRY syscall_entry_kpti, 1

syscall_bad_target:
    ud2                             // reported as a control-flow violation

// Number not native, or a foreign one.
syscall_other:
    add $SYSCALL_BASE, %rax
    call syscall_build_frame
    mov %rsp, %rsi
    mov FRAME_RAX(%rsp), %rdi
    call syscall_foreign
    mov %rax, FRAME_RAX(%rsp)
    jmp trap_exit_user

// A handler that needs the frame: in the table stands its stub, called like a handler, with the user's callee-saved
// registers still in place. The frame then tells the user's argument registers; what the handler returns goes to rax.
.macro FRAME_STUB name
.balign 16
#ifdef __clang__
    .long __kcfi_typeid_syscall_frame_\name
#endif
.globl syscall_frame_\name
.hidden syscall_frame_\name
syscall_frame_\name:
    add $8, %rsp                    // never returns there
    mov %rcx, %r10
    add $SYSCALL_BASE, %rax
    call syscall_build_frame
    mov FRAME_RDI(%rsp), %rdi
    mov FRAME_RSI(%rsp), %rsi
    mov FRAME_RDX(%rsp), %rdx
    mov FRAME_R10(%rsp), %rcx
    mov FRAME_R8(%rsp), %r8
    mov FRAME_R9(%rsp), %r9
    call sys_\name
    mov %rax, FRAME_RAX(%rsp)
    jmp trap_exit_user
.endm
#define X(name) FRAME_STUB name;
SYSCALL_FRAMES(X)
#undef X

// rescheduling, a kill, an interrupt: the scheduler may show and change all registers.
syscall_exit_slow:
    xor %edi, %edi
    xor %esi, %esi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    call syscall_build_frame
    jmp trap_exit_user

// Called with the short frame on the stack (and the return address below it). Returns with rsp at a full frame at the top
// of the stack. The short frame's values are read before they are overwritten.
syscall_build_frame:
    pop %r11                        // return address
    pop %rdx
    pop %rcx                        // rip
    sub $(FRAME_SIZE - 16), %rsp    // rsp was at top - 16
    mov %r11, FRAME_VECTOR(%rsp)    // for a moment
    mov FRAME_SIZE - 16(%rsp), %r11 // rflags
    push %rax
    mov FRAME_SIZE - 8 + 8(%rsp), %rax // user rsp
    mov %rax, FRAME_RSP + 8(%rsp)
    pop %rax
    movq $SELECTOR_USER_DATA, FRAME_SS(%rsp)
    mov %r11, FRAME_RFLAGS(%rsp)
    movq $SELECTOR_USER_CODE, FRAME_CS(%rsp)
    mov %rcx, FRAME_RIP(%rsp)
    movq $0, FRAME_ERROR(%rsp)
    mov %rdi, FRAME_RDI(%rsp)
    mov %rsi, FRAME_RSI(%rsp)
    mov %rdx, FRAME_RDX(%rsp)
    mov %rcx, FRAME_RCX(%rsp)
    mov %rax, FRAME_RAX(%rsp)
    mov %r8, FRAME_R8(%rsp)
    mov %r9, FRAME_R9(%rsp)
    mov %r10, FRAME_R10(%rsp)
    mov %r11, FRAME_R11(%rsp)
    mov %rbx, FRAME_RBX(%rsp)
    mov %rbp, FRAME_RBP(%rsp)
    mov %r12, FRAME_R12(%rsp)
    mov %r13, FRAME_R13(%rsp)
    mov %r14, FRAME_R14(%rsp)
    mov %r15, FRAME_R15(%rsp)
    mov FRAME_VECTOR(%rsp), %r11
    movq $-1, FRAME_VECTOR(%rsp)    // no exception
    xor %ebp, %ebp
    jmp *%r11

// 32-bit code segments do not exist; a syscall from one cannot happen.
.globl syscall_entry_compat
.hidden syscall_entry_compat
syscall_entry_compat:
    mov $-38, %eax
    sysretl

.section .note.GNU-stack, "", @progbits
