// Loading an ELF program (System V ABI, and what Linux does beyond it): segments, interpreter, stack with arguments and
// auxiliary vector.
#pragma once
#include "user/liblinux/context.h"
#include "user/libkpio/linux_launch.h"

struct lx_program {
    uint64_t base, entry;              // what is added to its addresses; where it begins
    uint64_t headers, header_count;    // address of its program headers
    uint64_t end;                      // behind its last segment
    char interpreter[256];             // path, or empty
    bool executable_stack;
};

// Maps the segments of an ELF file. Position-independent ones are put anywhere. 0, -ENOEXEC, or what mapping said.
[[nodiscard]] int64_t lx_program_map(struct lx_space *space, kpio_handle file, struct lx_program *out);
// Whether execve may go past its point of no return with this file: 0, -ENOEXEC, -EIO, -EACCES (a segment that is to be written
// and run, which this process may not have). Changes nothing.
[[nodiscard]] int64_t lx_program_check(struct lx_space *space, kpio_handle file, char *interpreter, uint64_t size);

// Makes the stack: *stack is what rsp is at the first instruction. `interpreter`: where that was put, or 0.
[[nodiscard]] int64_t lx_stack_make(struct lx_thread *t, const struct lx_launch *launch, const struct lx_program *program,
                                    uint64_t interpreter, uint64_t *stack);
