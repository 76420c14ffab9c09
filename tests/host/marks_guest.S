// A guest that runs known instructions between benchmark marks, to test the QEMU plugin without a kernel. It reports
// mark 2 with 4 operations: 3 locked, 8 repetitions, 1 CR3 write, 1 MSR write counted; the same outside are not.
    .section .note.pvh, "a"
    .balign 4
    .long 4, 4, 18 // sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start

.macro mark code
    .byte 0x0f, 0x1f, 0x84, 0x00
    .long 0x4b504d00 | \code
.endm
.macro number high, low
    .rept 7
    mark 0x10
    .endr
    mark 0x10 + \high
    .rept 7
    mark 0x10
    .endr
    mark 0x10 + \low
.endm
.macro counted
    mov word, %eax
    lock incl word
    xchg %eax, word
    lock cmpxchg8b word
    mov $word, %edi
    mov $8, %ecx
    rep stosb
    mov %cr3, %eax
    mov %eax, %cr3
    mov $0x174, %ecx // IA32_SYSENTER_CS, which takes any value
    rdmsr
    wrmsr
.endm

    .text
    .code32
    .globl start
start:
    counted
    mark 0x01
    counted
    mark 0x02
    counted
    number 2, 4
    mark 0x03
    mov $0x10, %eax
    outl %eax, $0xf4

    .bss
    .balign 8
word:
    .quad 0
