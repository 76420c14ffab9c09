// Takes the address of functions written in assembly, so that the compiler emits the type hashes that stand in front of
// them (and in front of every handler that the system-call entry may call).
#include "kernel/arch/x86_64/trap.h"

int64_t syscall_type_witness(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

extern const void *const syscall_typed_functions[];
const void *const syscall_typed_functions[] = {(const void *)syscall_type_witness, (const void *)trap_return_user};
