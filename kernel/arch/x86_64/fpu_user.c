// Extended state straight from and to user memory: the processor checks what it loads, and a fault there is fixed up.
#include "kernel/arch/x86_64/context.h"
#include "kernel/arch/x86_64/extable.h"
#include "kernel/arch/x86_64/smap.h"
#include "kernel/arch/x86_64/usercopy.h"

#define LEGACY_SIZE 512
#define HEADER_SIZE 64

#define ON_USER_AREA(instruction)                                             \
    __asm__ volatile(STAC "1: " instruction " (%1)\n" CLAC                    \
                     "movl $1, %%eax\n"                                       \
                     "2:\n"                                                   \
                     ".pushsection .text.fixup, \"ax\"\n"                     \
                     "3:\n" CLAC "xorl %%eax, %%eax\n"                        \
                     "jmp 2b\n"                                               \
                     ".popsection\n" EX_TABLE(1b, 3b)                         \
                     : "=a"(done)                                             \
                     : "r"(area), "a"(-1), "d"(-1)                            \
                     : "memory")

bool fpu_save_user(uint64_t area) {
    int done;
    if (fpu_method == FPU_FXSAVE) {
        ON_USER_AREA("fxsave64");
        return done;
    }
    // XSAVE leaves the parts of the header alone that it has no use for.
    if (arch_clear_user(area + LEGACY_SIZE, HEADER_SIZE) != 0) return false;
    ON_USER_AREA("xsave64");
    return done;
}

bool fpu_restore_user(uint64_t area) {
    int done;
    if (fpu_method == FPU_FXSAVE) ON_USER_AREA("fxrstor64");
    else ON_USER_AREA("xrstor64");
    return done;
}
