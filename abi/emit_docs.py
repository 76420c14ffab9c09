"""Writes docs/syscalls.md, the reference page."""


def argument_text(argument) -> str:
    if argument.type == "handle":
        kinds = " or ".join(argument.kinds)
        rights = ", ".join(argument.rights)
        return f"`{argument.name}`: handle on {kinds}" + (f" with {rights}" if rights else "") + \
            (", or 0" if argument.optional else "")
    if argument.type in ("in", "out", "inout"):
        direction = {"in": "read from", "out": "written to", "inout": "read and written in"}[argument.type]
        count = f", {argument.length} of them" if argument.length else ""
        return f"`{argument.name}`: {argument.element}, {direction} user memory{count}"
    if argument.type == "flags":
        return f"`{argument.name}`: {argument.element}_* bits"
    return f"`{argument.name}`: {argument.type}"


def reference_md(calls: list, errors: list) -> str:
    lines = ["# System calls", "",
             "Generated from `abi/syscalls.def` and `abi/errors.def` by `abi/generate.py --docs`.", "",
             "The number goes into rax, arguments into rdi, rsi, rdx, r10, r8, r9. The result is in rax: 0 or more, or a",
             "negative errno. Every call can also fail with EBADF, EWRONGTYPE, EACCES (handles, checked in this order,",
             "before other arguments) and EFAULT (user memory). A number that is not below is ENOSYS.", "",
             "A call that *waits for memory* says ENOMEM only when no memory is on its way back from what has ended.", ""]
    for call in calls:
        signature = ", ".join(a.name for a in call.arguments)
        result = call.result if not call.result_kind else f"handle on {call.result_kind}"
        lines += [f"## {call.name}", "", f"`{call.name}({signature})` → {result} (number 0x{call.number:x})", "",
                  call.text, ""]
        lines += [f"- {argument_text(a)}" for a in call.arguments]
        if call.errors:
            lines += ["", "Errors: " + ", ".join(call.errors) + "." + (" Waits for memory." if "waits" in call.flags else "")]
        lines.append("")
    lines += ["# Errors", "", "| name | number | text | when |", "|---|---|---|---|"]
    lines += [f"| {e.name} | {e.number} | {e.text} | {e.when} |" for e in errors]
    return "\n".join(lines + [""])
