// Access to user memory. The only places that may touch it: everything else faults (SMAP). Faults are resolved by mm like
// the user's own; what cannot be resolved ends the operation. May block in the fault: no lock held.
#pragma once
#include "kernel/core/types.h"

// Copies n bytes; returns how many were NOT copied (0: all). Addresses outside of user space copy nothing.
[[nodiscard]] size_t arch_copy_from_user(void *to, uint64_t from, size_t n);
[[nodiscard]] size_t arch_copy_to_user(uint64_t to, const void *from, size_t n);
[[nodiscard]] size_t arch_clear_user(uint64_t to, size_t n);

// One aligned word, as one access. False: fault or a bad address.
[[nodiscard]] bool arch_user_load32(uint64_t from, uint32_t *value);
[[nodiscard]] bool arch_user_load64(uint64_t from, uint64_t *value);
[[nodiscard]] bool arch_user_store32(uint64_t to, uint32_t value);
[[nodiscard]] bool arch_user_store64(uint64_t to, uint64_t value);
// Atomic compare and exchange. *expected gets the value found; *done whether it was exchanged.
[[nodiscard]] bool arch_user_cmpxchg32(uint64_t at, uint32_t *expected, uint32_t desired, bool *done);
