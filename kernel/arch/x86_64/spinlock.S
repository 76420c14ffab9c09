// The waiting half of spin_lock (kernel/core/spinlock.h): lock in r11. Keeps every register but r11.
.text
.globl spin_lock_contended
.hidden spin_lock_contended
spin_lock_contended:
    push %rbp
    mov %rsp, %rbp
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    mov %r11, %rdi
    call spin_lock_wait
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    pop %rbp
    ret

.section .note.GNU-stack, "", @progbits
