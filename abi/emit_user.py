"""Writes the user side: inline system-call stubs with typed prototypes, names, and the fuzzer's grammar."""
from definition import ELEMENTS, KINDS, RIGHTS
from emit_kernel import HEAD

SCALAR_TYPES = {"u32": "uint32_t", "u64": "uint64_t", "i64": "int64_t", "addr": "uint64_t", "size": "uint64_t",
                "time": "uint64_t", "text": "const char *", "flags": "uint32_t", "handle": "kpio_handle"}
# (asm operand, register variable) of each argument position.
REGISTERS = ["rdi", "rsi", "rdx", "r10", "r8", "r9"]
LETTERS = {"rdi": "D", "rsi": "S", "rdx": "d"}


def c_type(argument) -> str:
    if argument.type in SCALAR_TYPES:
        return SCALAR_TYPES[argument.type] + ("" if argument.type == "text" else " ")
    element = ELEMENTS.get(argument.element, f"struct {argument.element}")
    return ("const " if argument.type == "in" else "") + element + " *"


def stub(call) -> str:
    parameters = [c_type(a) + a.name for a in call.arguments]
    result = "static inline int64_t kpio_" + call.name + "(" + (", ".join(parameters) or "void") + ") {\n"
    result += f"    int64_t result = SYS_{call.name};\n"
    outputs, used = ['"+a"(result)'], []
    for register, argument in zip(REGISTERS, call.arguments):
        cast = "(uint64_t)"
        if argument.type == "handle":
            cast = "(uint64_t)(uint32_t)"
        if register in LETTERS:
            result += f"    uint64_t {register} = {cast}{argument.name};\n"
            outputs.append(f'"+{LETTERS[register]}"({register})')
        else:
            result += f'    register uint64_t {register} __asm__("{register}") = {cast}{argument.name};\n'
            outputs.append(f'"+r"({register})')
        used.append(register)
    clobbers = ", ".join(f'"{r}"' for r in ["rcx", "r11"] + [r for r in REGISTERS if r not in used] + ["memory"])
    result += f'    __asm__ volatile("syscall" : {", ".join(outputs)} : : {clobbers});\n'
    return result + "    return result;\n}\n"


def stubs_h(calls: list) -> str:
    lines = [HEAD.format(source="abi/syscalls.def") +
             "// System calls of a user program. A negative result is -errno. The kernel may change any register that a C\n"
             "// function may change, but no vector register.",
             "#pragma once", '#include "abi/gen/errors.h"', '#include "abi/gen/syscalls.h"', '#include "abi/types.h"', ""]
    for call in calls:
        lines += [f"// {call.text}", stub(call)]
    return "\n".join(lines)


def names_h(calls: list) -> str:
    lines = [HEAD.format(source="abi/syscalls.def") + "#pragma once", '#include "abi/gen/syscalls.h"',
             "// X(name) for each system call, in the order of their numbers.", "#define KPIO_SYSCALLS(X) \\"]
    lines += [f"    X({c.name}) \\" for c in calls] + ["", "// X(name, how many arguments)", "#define KPIO_SYSCALL_ARGUMENTS(X) \\"]
    return "\n".join(lines + [f"    X({c.name}, {len(c.arguments)}) \\" for c in calls]) + "\n\n"


def grammar_argument(call, argument) -> str:
    kinds = " | ".join(f"1u << KPIO_KIND_{k.upper()}" for k in argument.kinds if k != "any") or "0"
    rights = " | ".join(f"KPIO_RIGHT_{r}" for r in argument.rights) or "0"
    names = [a.name for a in call.arguments]
    length = names.index(argument.length) if argument.length else -1
    size = "0"
    if argument.type in ("in", "out", "inout"):
        element = {"u8": "uint8_t"}.get(argument.element) or ELEMENTS.get(argument.element) or f"struct {argument.element}"
        size = f"sizeof({element})"
    return (f"{{\"{argument.name}\", FUZZ_{argument.type.upper()}, {int(argument.optional)}, {length}, {size}, "
            f"{kinds}, {rights}}}")


def grammar_h(calls: list) -> str:
    lines = [HEAD.format(source="abi/syscalls.def") + "// The grammar of the system-call fuzzer: see tests/guest/fuzz.c.",
             "#pragma once", '#include "abi/gen/syscalls.h"', '#include "abi/types.h"', "",
             "enum fuzz_type { FUZZ_U32, FUZZ_U64, FUZZ_I64, FUZZ_ADDR, FUZZ_SIZE, FUZZ_TIME, FUZZ_TEXT, FUZZ_FLAGS, FUZZ_HANDLE, "
             "FUZZ_IN, FUZZ_OUT, FUZZ_INOUT };",
             "struct fuzz_argument {", "    const char *name;", "    uint8_t type, optional;",
             "    int8_t length;      // index of the argument that counts elements, or -1",
             "    uint16_t size;      // of an element in user memory",
             "    uint32_t kinds;     // set of object kinds; 0: any", "    uint32_t rights;", "};",
             "struct fuzz_call {", "    const char *name;", "    uint16_t number;",
             "    uint8_t count, result_kind;  // KPIO_KIND_* of a handle result, 0: none, 255: as the first argument",
             "    struct fuzz_argument arguments[6];", "};",
             "static const struct fuzz_call fuzz_calls[SYSCALL_COUNT] = {"]
    for call in calls:
        kind = {"": "0", "same": "255", "any": "255"}.get(call.result_kind, f"KPIO_KIND_{call.result_kind.upper()}")
        arguments = ", ".join(grammar_argument(call, a) for a in call.arguments)
        lines.append(f"    {{\"{call.name}\", SYS_{call.name}, {len(call.arguments)}, {kind}, {{{arguments}}}}},")
    return "\n".join(lines + ["};", ""])


assert len(KINDS) == 22 and len(RIGHTS) == 19
