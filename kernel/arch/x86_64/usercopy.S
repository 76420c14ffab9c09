// Copies to and from user memory: (to, from, n) -> bytes left. Words first, so that a count is a count of words.
#include "kernel/arch/x86_64/extable.h"
#include "kernel/arch/x86_64/smap.h"

#define USER_MAX 0x7ffffffff000

.section .text.entry, "ax"

.macro COPY name, user
.balign 16
.globl \name
.hidden \name
\name:
    mov $USER_MAX, %rax
    sub %rdx, %rax
    jb 3f
    cmp %rax, \user
    ja 3f
    mov %rdx, %rcx
    shr $3, %rcx
    and $7, %edx
    STAC
1:  rep movsq
    mov %edx, %ecx
2:  rep movsb
    CLAC
    xor %eax, %eax
    ret
3:  mov %rdx, %rax
    ret
4:  lea (%rdx, %rcx, 8), %rcx       // words left
5:  CLAC                            // bytes left
    mov %rcx, %rax
    ret
    EX_TABLE 1b, 4b
    EX_TABLE 2b, 5b
.endm

COPY arch_copy_from_user, %rsi
COPY arch_copy_to_user, %rdi

.balign 16
.globl arch_clear_user
.hidden arch_clear_user
arch_clear_user:
    mov $USER_MAX, %rax
    sub %rsi, %rax
    jb 3f
    cmp %rax, %rdi
    ja 3f
    mov %rsi, %rcx
    mov %esi, %edx
    shr $3, %rcx
    and $7, %edx
    xor %eax, %eax
    STAC
1:  rep stosq
    mov %edx, %ecx
2:  rep stosb
    CLAC
    ret
3:  mov %rsi, %rax
    ret
4:  lea (%rdx, %rcx, 8), %rcx
5:  CLAC
    mov %rcx, %rax
    ret
    EX_TABLE 1b, 4b
    EX_TABLE 2b, 5b

.section .note.GNU-stack, "", @progbits
