// A guest that does what its command line says, one character at a time, to test the host tools without a kernel:
//   ;  new line     !  end with success     #  end with failure     @  hang     ~  reset     any other: print it
// A PVH kernel: it is entered in 32-bit protected mode, paging off, with the start info's address in ebx.
	.section .note.pvh, "a"
	.balign 4
	.long 4, 4, 18 // sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long start

	.equ START_INFO_CMDLINE, 24
	.equ COM1, 0x3f8
	.equ EXIT_PORT, 0xf4

	.text
	.code32
	.globl start
start:
	mov START_INFO_CMDLINE(%ebx), %esi
	mov $COM1, %dx
next:
	lodsb
	cmp $';', %al
	je newline
	cmp $'!', %al
	je success
	cmp $'#', %al
	je failure
	cmp $'@', %al
	je hang
	cmp $'~', %al
	je reset
	test %al, %al
	jz hang
	outb %al, %dx
	jmp next
newline:
	mov $'\n', %al
	outb %al, %dx
	jmp next
success:
	mov $0x10, %eax
	outl %eax, $EXIT_PORT
failure:
	mov $0x11, %eax
	outl %eax, $EXIT_PORT
hang:
	jmp hang
reset:
	lidt no_idt
	int3
no_idt:
	.quad 0
