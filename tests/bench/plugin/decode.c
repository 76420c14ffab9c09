#include "tests/bench/plugin/decode.h"

#include "lib/bench_mark.h"

#include <string.h>

struct prefixes {
    int lock, repeat; // repeat: 0, 0xf2 or 0xf3
    size_t length;    // REX included
};

static struct prefixes read_prefixes(const uint8_t *code, size_t size)
{
    struct prefixes found = {0};

    for (; found.length < size; found.length++) {
        switch (code[found.length]) {
        case 0xf0: found.lock = 1; continue;
        case 0xf2:
        case 0xf3: found.repeat = code[found.length]; continue;
        case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67: continue;
        }
        break;
    }
    if (found.length < size && (code[found.length] & 0xf0) == 0x40)
        found.length++;
    return found;
}

static int is_string_insn(uint8_t opcode)
{
    return (opcode >= 0x6c && opcode <= 0x6f) || (opcode >= 0xa4 && opcode <= 0xa7) ||
           (opcode >= 0xaa && opcode <= 0xaf);
}

// 0f ae: what it does depends on the reg field, on whether the operand is memory, and on the prefix.
static enum insn_class classify_0fae(uint8_t modrm, int repeat)
{
    int memory = modrm >> 6 != 3, reg = modrm >> 3 & 7;

    if (repeat == 0xf3)
        return !memory && (reg == 2 || reg == 3) ? INSN_FSGS : INSN_OTHER;
    if (!memory)
        return INSN_OTHER;
    if (reg == 0 || reg == 4 || reg == 6)
        return INSN_XSAVE;
    return reg == 1 || reg == 5 ? INSN_XRSTOR : INSN_OTHER;
}

// 0f c7 with memory: cmpxchg8b is counted by its lock prefix.
static enum insn_class classify_0fc7(uint8_t modrm)
{
    int memory = modrm >> 6 != 3, reg = modrm >> 3 & 7;

    if (!memory)
        return INSN_OTHER;
    return reg == 3 ? INSN_XRSTOR : reg == 4 || reg == 5 ? INSN_XSAVE : INSN_OTHER;
}

static enum insn_class classify_two_bytes(const uint8_t *code, size_t size, int repeat, uint8_t *mark)
{
    uint32_t displacement;

    if (code[1] == 0x30)
        return INSN_MSR;
    if (size < 3)
        return INSN_OTHER;
    switch (code[1]) {
    case 0x22: return (code[2] >> 3 & 7) == 3 ? INSN_CR3 : INSN_OTHER;
    case 0xae: return classify_0fae(code[2], repeat);
    case 0xc7: return classify_0fc7(code[2]);
    case 0x1f:
        if (size != 8 || code[2] != 0x84 || code[3] != 0)
            return INSN_OTHER;
        memcpy(&displacement, code + 4, sizeof displacement);
        *mark = displacement & 0xff;
        return (displacement & ~0xffu) == BENCH_MARK_MAGIC ? INSN_MARK : INSN_OTHER;
    }
    return INSN_OTHER;
}

enum insn_class insn_classify(const uint8_t *code, size_t size, uint8_t *mark)
{
    struct prefixes prefixes = read_prefixes(code, size);

    if (prefixes.lock)
        return INSN_LOCKED;
    code += prefixes.length;
    size -= prefixes.length;
    if (size >= 2 && code[0] == 0x0f)
        return classify_two_bytes(code, size, prefixes.repeat, mark);
    if (size >= 2 && (code[0] == 0x86 || code[0] == 0x87) && code[1] >> 6 != 3)
        return INSN_LOCKED;
    if (size >= 1 && prefixes.repeat && is_string_insn(code[0]))
        return INSN_REP;
    return INSN_OTHER;
}
