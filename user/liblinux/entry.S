// Where the kernel brings the program's Linux system calls (docs/linux-abi.md, "The way of a call"), and the places that an
// interrupt must not leave half done.
//
// Arrives: rcx the thread block, every other register the program's; where the call came from is in the block.
// The registers go to the top of the thread's stack in liblinux (struct lx_registers), C serves the call, and the way back
// is a jump: the kernel is not needed for it.
#include "abi/gen/syscalls.h"
#include "user/liblinux/offsets.h"

    .text
    .macro save_program
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
    .endm
    .macro lay_arguments            // for NAME(thread, the program's six arguments)
    push %r9
    push %r9
    mov %r8, %r9
    mov %r10, %r8
    mov %rdx, %rcx
    mov %rsi, %rdx
    mov %rdi, %rsi
    mov %r11, %rdi
    .endm

    .globl lx_entry
    .hidden lx_entry
    .type lx_entry, @function
    .balign 64
lx_entry:
    save_program
    mov %rax, LX_THREAD_CALL(%r11)
    cmp lx_call_count(%rip), %rax
    jae lx_entry_unknown
    sbb %rbx, %rbx                  // all ones; zero when the branch was mispredicted
    and %rbx, %rax
    lea lx_calls(%rip), %rbx
    movslq (%rbx, %rax, 4), %rax
    add %rbx, %rax
    xor %ebp, %ebp
    lay_arguments
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

// The same for a process whose calls are traced.
    .globl lx_entry_traced
    .hidden lx_entry_traced
    .type lx_entry_traced, @function
    .balign 64
lx_entry_traced:
    save_program
    mov %rax, LX_THREAD_CALL(%r11)
    xor %ebp, %ebp
    lay_arguments
    call lx_trace_call
    add $16, %rsp
    jmp lx_entry_end

lx_entry_unknown:
    mov %r11, %rdi
    mov %rax, %rsi
    call lx_unknown
    jmp lx_entry_end

// The registers of a thread whose program was interrupted or faulted are in place: the way on is that of a call.
    .globl lx_leave_slowly_begin
    .hidden lx_leave_slowly_begin
    .set lx_leave_slowly_begin, lx_leave_slowly

// void lx_exception_leave(frame): ends an exception. Returns with the errno of a frame that cannot be.
    .globl lx_exception_leave
    .hidden lx_exception_leave
    .type lx_exception_leave, @function
lx_exception_leave:
    mov $SYS_thread_exception_return, %eax
    syscall
    ret

// int64_t lx_resume(thread, frame): goes on in the program with all registers as they are in the frame (a
// kpio_exception_frame), rcx and r11 too. 1 when something is pending: an interrupt that comes before the instruction ends it
// (lx_exception), so none is lost. Or the errno of a frame that cannot be.
    .globl lx_resume
    .hidden lx_resume
    .type lx_resume, @function
lx_resume:
    .globl lx_resume_start
    .hidden lx_resume_start
lx_resume_start:
    cmpl $0, LX_THREAD_PENDING(%rdi)
    jne lx_resume_interrupted
    mov %rsi, %rdi
    mov $SYS_thread_exception_return, %eax
    syscall
    .globl lx_resume_end
    .hidden lx_resume_end
lx_resume_end:
    ret
    .globl lx_resume_interrupted
    .hidden lx_resume_interrupted
lx_resume_interrupted:
    mov $1, %eax
    ret

// int64_t lx_block(thread, number, a, b, c, d, e, f): a native call that may block. -EINTR without making it when something is
// pending; an interrupt that comes before the instruction ends it too (lx_exception), so none is slept through. An interrupt
// that comes late, when what it told was done already, ends the call as well: it then counts as something that is pending,
// so that the end of the Linux call looks at how to go on.
    .globl lx_block
    .hidden lx_block
    .type lx_block, @function
lx_block:
    push %rbx
    mov %rdi, %rbx
    mov %rsi, %rax
    mov %rdx, %rdi
    mov %rcx, %rsi
    mov %r8, %rdx
    mov %r9, %r10
    mov 16(%rsp), %r8
    mov 24(%rsp), %r9
    .globl lx_block_start
    .hidden lx_block_start
lx_block_start:
    cmpl $0, LX_THREAD_PENDING(%rbx)
    jne lx_block_interrupted
    syscall
    .globl lx_block_end
    .hidden lx_block_end
lx_block_end:
    cmp $-4, %rax
    je 1f
    pop %rbx
    ret
1:  movl $1, LX_THREAD_PENDING(%rbx)
    pop %rbx
    ret
    .globl lx_block_interrupted
    .hidden lx_block_interrupted
lx_block_interrupted:
    mov $-4, %rax
    pop %rbx
    ret

// The first thing that a further thread does: rdi its struct lx_thread, rsi its block. The registers that it enters the program
// with are in place.
    .globl lx_thread_begin
    .hidden lx_thread_begin
    .type lx_thread_begin, @function
lx_thread_begin:
    mov LX_THREAD_STACK(%rdi), %rsp
    sub $REGS_SIZE, %rsp
    xor %ebp, %ebp
    call lx_thread_first
    jmp lx_leave

// The first thing that a forked process does: rdi its struct lx_thread, rsi its block. As lx_thread_begin.
    .globl lx_fork_begin
    .hidden lx_fork_begin
    .type lx_fork_begin, @function
lx_fork_begin:
    mov LX_THREAD_STACK(%rdi), %rsp
    sub $REGS_SIZE, %rsp
    xor %ebp, %ebp
    call lx_fork_first
    jmp lx_leave

// void lx_thread_end(uint32_t *in_use): the last thing that a thread does. Once the word is 0 another thread may have the memory
// that this one stood on, so no stack is used behind that.
    .globl lx_thread_end
    .hidden lx_thread_end
    .type lx_thread_end, @function
lx_thread_end:
    movl $0, (%rdi)
    mov $SYS_thread_exit, %eax
    syscall
    ud2

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
    shr $3, %rcx
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    rep movsb
    xor %eax, %eax
    ret
// int64_t lx_load(address [rdi], uint32_t *value [rsi])
    .globl lx_load
    .hidden lx_load
    .type lx_load, @function
lx_load:
    mov (%rdi), %eax
    mov %eax, (%rsi)
    xor %eax, %eax
    ret
// int64_t lx_exchange(address [rdi], uint32_t *expected [rsi], value [edx]): *expected becomes what was there.
    .globl lx_exchange
    .hidden lx_exchange
    .type lx_exchange, @function
lx_exchange:
    mov (%rsi), %eax
    lock cmpxchg %edx, (%rdi)
    mov %eax, (%rsi)
    xor %eax, %eax
    ret
// int64_t lx_state_save(area [rdi]), lx_state_load(area [rdi]): the extended state, in XSAVE's standard format. A state that
// the processor does not take is an error, too.
    .globl lx_state_save, lx_state_load, lx_legacy_save, lx_legacy_load
    .hidden lx_state_save, lx_state_load, lx_legacy_save, lx_legacy_load
    .type lx_state_save, @function
lx_state_save:
    mov $-1, %eax
    mov $-1, %edx
    xsave64 (%rdi)
    xor %eax, %eax
    ret
    .type lx_state_load, @function
lx_state_load:
    mov $-1, %eax
    mov $-1, %edx
    xrstor64 (%rdi)
    xor %eax, %eax
    ret
    .type lx_legacy_save, @function
lx_legacy_save:
    fxsave64 (%rdi)
    xor %eax, %eax
    ret
    .type lx_legacy_load, @function
lx_legacy_load:
    fxrstor64 (%rdi)
    xor %eax, %eax
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

// Starts the program: thread rdi, rip rsi, stack rdx; the registers that the ABI names are 0 (System V ABI for x86-64, 3.4.1). As
// after a call, so what is pending comes first.
    .globl lx_enter_program
    .hidden lx_enter_program
    .type lx_enter_program, @function
lx_enter_program:
    mov LX_THREAD_STACK(%rdi), %rsp
    push %rdx
    push $0x202                     // rflags
    push %rsi
    .rept 3                         // rdi, rsi, rdx
    push $0
    .endr
    push %rsi                       // rcx: as after a call
    .rept 4                         // rax, r8, r9, r10
    push $0
    .endr
    push %rdi                       // r11
    .rept 6                         // rbx, rbp, r12 .. r15
    push $0
    .endr
    jmp lx_leave
    .section .note.GNU-stack, "", @progbits
