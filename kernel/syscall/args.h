// What the handlers share. A handler `sys_NAME(six words)` decodes and checks its arguments, then makes one call.
#pragma once
#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/handle.h"
#include "kernel/object/process.h"
#include "lib/string.h"

// Reads a name of at most KPIO_NAME_MAX bytes into buf, terminated. -EINVAL: too long, or with a NUL or control byte.
[[nodiscard]] int syscall_read_name(uint64_t address, uint64_t len, char buf[KPIO_NAME_MAX + 1]);

// The object of a handle in the calling process, checked (handle_get), with a reference: for calls that pass preemption
// points or touch user memory while they use it.
[[nodiscard]] int syscall_get(uint64_t value, enum kpio_kind kind, uint32_t rights, struct object **out);

// Installs handles on two new objects, or none: *first is out parameter `out`, the second is returned. Takes over both
// references in every case.
[[nodiscard]] int64_t syscall_install_two(struct object *first, struct user_ptr out, struct object *second);
