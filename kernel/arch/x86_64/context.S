// Switching kernel stacks.
#include "kernel/arch/x86_64/asm.h"

.section .text.entry, "ax"

// Where a prepared stack starts (context_switch returns here): entry and its argument lie on the stack. The call goes
// through C, which checks its type.
.balign 16
.globl context_begin
.hidden context_begin
context_begin:
    pop %rdi
    pop %rsi
    xor %ebp, %ebp
    call context_run
    ud2

.section .note.GNU-stack, "", @progbits
