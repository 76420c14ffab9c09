#include "kernel/arch/x86_64/usercopy.h"

#include "kernel/arch/x86_64/extable.h"
#include "kernel/arch/x86_64/smap.h"
#include "lib/util.h"

static bool address_ok(uint64_t address, size_t size) { return address <= USER_MAX - size && address % size == 0; }

// One access that may fault; `ok` stays false then. The label is local to each use.
#define USER_ACCESS(instruction, outputs, ...)                                                        \
    __asm__ volatile(STAC "1: " instruction "\n\tmovb $1, %b[ok]\n2:\n\t" CLAC EX_TABLE(1b, 2b)       \
                     : [ok] "+&q"(ok), outputs                                                        \
                     : __VA_ARGS__                                                                    \
                     : "memory", "cc")

bool arch_user_load32(uint64_t from, uint32_t *value) {
    bool ok = false;
    uint32_t v = 0;
    if (!address_ok(from, sizeof(v))) return false;
    USER_ACCESS("movl (%[at]), %[v]", [v] "+r"(v), [at] "r"(from));
    if (ok) *value = v;
    return ok;
}

bool arch_user_load64(uint64_t from, uint64_t *value) {
    bool ok = false;
    uint64_t v = 0;
    if (!address_ok(from, sizeof(v))) return false;
    USER_ACCESS("movq (%[at]), %[v]", [v] "+r"(v), [at] "r"(from));
    if (ok) *value = v;
    return ok;
}

bool arch_user_store32(uint64_t to, uint32_t value) {
    bool ok = false;
    if (!address_ok(to, sizeof(value))) return false;
    USER_ACCESS("movl %[v], (%[at])", [v] "+r"(value), [at] "r"(to));
    return ok;
}

bool arch_user_store64(uint64_t to, uint64_t value) {
    bool ok = false;
    if (!address_ok(to, sizeof(value))) return false;
    USER_ACCESS("movq %[v], (%[at])", [v] "+r"(value), [at] "r"(to));
    return ok;
}

bool arch_user_cmpxchg32(uint64_t at, uint32_t *expected, uint32_t desired, bool *done) {
    bool ok = false;
    uint32_t found = *expected;
    if (!address_ok(at, sizeof(found))) return false;
    USER_ACCESS("lock cmpxchgl %[new], (%[at])", "+a"(found), [at] "r"(at), [new] "r"(desired));
    if (!ok) return false;
    *done = found == *expected;
    *expected = found;
    return true;
}
