// Instructions of the kernel that may fault on user memory, and where to go on then.
#pragma once
#ifdef __ASSEMBLER__
.macro EX_TABLE instruction, fixup
    .pushsection .ex_table, "a"
    .balign 4
    .long \instruction - .
    .long \fixup - .
    .popsection
.endm
#else
#include <stdint.h>
#define EX_TABLE(instruction, fixup)                                                               \
    ".pushsection .ex_table, \"a\"\n.balign 4\n.long " #instruction " - .\n.long " #fixup " - .\n" \
    ".popsection\n"
// Where to go on after a fault at rip; 0 when a fault there is a bug.
uint64_t ex_table_find(uint64_t rip);
#endif
