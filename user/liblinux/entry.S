// Where the kernel brings the program's Linux system calls (docs/linux-abi.md, "The way of a call"), and the places that an
// interrupt must not leave half done.
//
// Arrives: rcx the thread block, every other register the program's; where the call came from is in the block.
// The registers go to the top of the thread's stack in liblinux (struct lx_registers), C serves the call, and the way back
// is a jump: the kernel is not needed for it.
#include "abi/gen/syscalls.h"
#include "user/liblinux/offsets.h"

    .text
    .globl lx_entry
    .hidden lx_entry
    .type lx_entry, @function
    .balign 64
lx_entry:
    mov TB_THREAD(%rcx), %r11
    mov LX_THREAD_STACK(%r11), %rsp
    push TB_FOREIGN_RSP(%rcx)
    push TB_FOREIGN_RFLAGS(%rcx)
    mov TB_FOREIGN_RIP(%rcx), %rcx  // as the instruction leaves it
    push %rcx
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11                       // the thread: the instruction takes r11 from the program
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rax, LX_THREAD_CALL(%r11)
    cmp lx_call_count(%rip), %rax
    jae lx_entry_unknown
    sbb %rbx, %rbx                  // all ones; zero when the branch was mispredicted
    and %rbx, %rax
    lea lx_calls(%rip), %rbx
    movslq (%rbx, %rax, 4), %rax
    add %rbx, %rax
    xor %ebp, %ebp
    // lx_NAME(thread, the program's six arguments)
    push %r9
    push %r9
    mov %r8, %r9
    mov %r10, %r8
    mov %rdx, %rcx
    mov %rsi, %rdx
    mov %rdi, %rsi
    mov %r11, %rdi
    call *%rax
    add $16, %rsp
lx_entry_end:
    mov %rax, REGS_RAX(%rsp)
    // From here to the jump nothing is lost when it begins again with rsp at the registers: an interrupt does that
    // (lx_exception), so that a signal that comes after the look is seen.
    .globl lx_leave
    .hidden lx_leave
lx_leave:
    mov REGS_R11(%rsp), %rcx
    cmpl $0, LX_THREAD_PENDING(%rcx)
    jne lx_leave_slowly
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
    pop %rcx
    pop %r11
    mov (%rsp), %rsp
    jmp *%rcx
    .globl lx_leave_end
    .hidden lx_leave_end
lx_leave_end:

lx_leave_slowly:
    mov %rcx, %rdi
    mov %rsp, %rsi
    call lx_leave_pending
    jmp lx_leave

lx_entry_unknown:
    mov %r11, %rdi
    mov %rax, %rsi
    call lx_unknown
    jmp lx_entry_end

// Goes on in the program with all registers as they are in the frame at rdi (a kpio_exception_frame), rcx and r11 too.
    .globl lx_resume
    .hidden lx_resume
    .type lx_resume, @function
lx_resume:
    mov $SYS_thread_exception_return, %eax
    syscall
    ret                             // a frame that cannot be: the errno

// int64_t lx_block(thread, number, a, b, c, d, e, f): a native call that may block. -EINTR without making it when something is
// pending; an interrupt that comes before the instruction ends it too (lx_exception), so none is slept through.
    .globl lx_block
    .hidden lx_block
    .type lx_block, @function
lx_block:
    mov %rsi, %rax
    mov %rdi, %r11
    mov %rdx, %rdi
    mov %rcx, %rsi
    mov %r8, %rdx
    mov %r9, %r10
    mov 8(%rsp), %r8
    mov 16(%rsp), %r9
    .globl lx_block_start
    .hidden lx_block_start
lx_block_start:
    cmpl $0, LX_THREAD_PENDING(%r11)
    jne lx_block_interrupted
    syscall
    .globl lx_block_end
    .hidden lx_block_end
lx_block_end:
    ret
    .globl lx_block_interrupted
    .hidden lx_block_interrupted
lx_block_interrupted:
    mov $-4, %rax
    ret

// Copies between liblinux and the program's memory: 0, or -EFAULT when the program may not touch a byte of it (lx_exception).
// int64_t lx_copy(to [rdi], from [rsi], size [rdx])
    .globl lx_copy
    .hidden lx_copy
    .type lx_copy, @function
lx_copy:
    .globl lx_copy_begin
    .hidden lx_copy_begin
lx_copy_begin:
    mov %rdx, %rcx
    cmp $16, %rcx
    jbe 2f
    rep movsb
    xor %eax, %eax
    ret
2:  test %rcx, %rcx
    jz 3f
    mov (%rsi), %al
    mov %al, (%rdi)
    inc %rsi
    inc %rdi
    dec %rcx
    jmp 2b
3:  xor %eax, %eax
    ret
// int64_t lx_copy_string(to [rdi], from [rsi], size [rdx]): bytes without the terminator; -EFAULT; size when there is none.
    .globl lx_copy_string
    .hidden lx_copy_string
    .type lx_copy_string, @function
lx_copy_string:
    xor %eax, %eax
1:  cmp %rdx, %rax
    je 2f
    mov (%rsi, %rax), %cl
    mov %cl, (%rdi, %rax)
    test %cl, %cl
    jz 2f
    inc %rax
    jmp 1b
2:  ret
    .globl lx_copy_end
    .hidden lx_copy_end
lx_copy_end:
    .globl lx_copy_fault
    .hidden lx_copy_fault
lx_copy_fault:
    mov $-14, %rax
    ret

// Exceptions of the thread: rdi the frame, on the exception stack.
    .globl lx_exception_begin
    .hidden lx_exception_begin
    .type lx_exception_begin, @function
lx_exception_begin:
    xor %ebp, %ebp
    and $-16, %rsp
    call lx_exception
    ud2

// The first instruction of an address space: rdi the launch block, rsi the thread block.
    .globl lx_begin
    .hidden lx_begin
    .type lx_begin, @function
lx_begin:
    xor %ebp, %ebp
    and $-16, %rsp
    call lx_start
    ud2

// Starts the program: rip rdi, stack rsi; all other registers 0 (System V ABI for x86-64, 3.4.1).
    .globl lx_enter_program
    .hidden lx_enter_program
    .type lx_enter_program, @function
lx_enter_program:
    mov %rdi, %rcx
    mov %rsi, %rsp
    xor %eax, %eax
    xor %ebx, %ebx
    xor %edx, %edx
    xor %esi, %esi
    xor %edi, %edi
    xor %ebp, %ebp
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    xor %r12d, %r12d
    xor %r13d, %r13d
    xor %r14d, %r14d
    xor %r15d, %r15d
    jmp *%rcx
    .section .note.GNU-stack, "", @progbits
