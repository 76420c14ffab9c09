// stac and clac. The sites are listed, so that boot_early turns them into no-ops on a processor without SMAP (before the
// text becomes read-only).
#pragma once
#ifdef __ASSEMBLER__
.macro SMAP_SITE opcode:vararg
771:
    .byte \opcode
    .pushsection .rodata.smap_sites, "a"
    .long 771b - .
    .popsection
.endm
#define STAC SMAP_SITE 0x0f, 0x01, 0xcb
#define CLAC SMAP_SITE 0x0f, 0x01, 0xca
#else
#define SMAP_SITE(bytes) "771:\n.byte " bytes "\n.pushsection .rodata.smap_sites, \"a\"\n.long 771b - .\n.popsection\n"
#define STAC SMAP_SITE("0x0f, 0x01, 0xcb")
#define CLAC SMAP_SITE("0x0f, 0x01, 0xca")
#endif
