// The vDSO, whole pages of this library's file.
    .section .rodata.lx_vdso, "a"
    .balign 4096
    .globl lx_vdso_image, lx_vdso_image_end
    .hidden lx_vdso_image, lx_vdso_image_end
lx_vdso_image:
    .incbin VDSO_FILE
lx_vdso_image_end:
    .balign 4096
    .section .note.GNU-stack, "", @progbits
