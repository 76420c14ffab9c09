// Where a process begins: rdi the startup page, rsi the thread block. The stack is whatever the creator gave.
    .text
    .globl _start
    .hidden _start
    .type _start, @function
_start:
    xorl %ebp, %ebp
    andq $-16, %rsp
    call crt_start
    ud2

// void thread_begin(struct thread_start *start [rdi], block [rsi]): the same for every further thread.
    .globl thread_begin
    .hidden thread_begin
    .type thread_begin, @function
thread_begin:
    xorl %ebp, %ebp
    andq $-16, %rsp
    call thread_main
    ud2

// Where exceptions arrive: rdi the frame, rsp on the exception stack (16-byte aligned by the kernel).
    .globl exception_begin
    .hidden exception_begin
    .type exception_begin, @function
exception_begin:
    xorl %ebp, %ebp
    andq $-16, %rsp
    call exception_main
    ud2
    .section .note.GNU-stack,"",@progbits
