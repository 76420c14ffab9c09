// The exception entry of fault_upcall_return: steps over the two-byte instruction that faulted and goes on.
#include "abi/gen/syscalls.h"
    .text
    .globl fault_entry
    .hidden fault_entry
    .type fault_entry, @function
fault_entry:
    addq $2, 160(%rdi)                          // frame->rip
    movl $SYS_thread_exception_return, %eax
    syscall
    ud2
    .section .note.GNU-stack,"",@progbits
