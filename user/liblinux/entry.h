// What entry.S offers to C.
#pragma once
#include "abi/types.h"

struct lx_thread;

void lx_entry(void);            // for process_set_foreign_entry; not to be called
void lx_exception_begin(void);  // for thread_set_exception; not to be called
void lx_begin(void);            // the image's entry

// Places that lx_exception compares the interrupted address with.
extern const char lx_leave[], lx_leave_end[], lx_block_start[], lx_block_end[], lx_block_interrupted[], lx_copy_begin[], lx_copy_end[],
    lx_copy_fault[];

// A native call that may block: what it returns, or -EINTR when something is pending for the thread.
[[nodiscard]] int64_t lx_block(const struct lx_thread *t, uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                               uint64_t f);

// Copies from or to the program's memory: 0 or -EFAULT.
[[nodiscard]] int64_t lx_copy(void *to, const void *from, uint64_t size);
[[nodiscard]] static inline int64_t lx_copy_in(void *to, uint64_t from, uint64_t size) { return lx_copy(to, (const void *)from, size); }
[[nodiscard]] static inline int64_t lx_copy_out(uint64_t to, const void *from, uint64_t size) { return lx_copy((void *)to, from, size); }
// A terminated string: its length, `size` when there is no terminator in that many bytes, -EFAULT.
[[nodiscard]] int64_t lx_copy_string(char *to, uint64_t from, uint64_t size);

// Goes on in the program as the frame says; returns only with an error (a frame that cannot be).
int64_t lx_resume(const struct kpio_exception_frame *frame);
[[noreturn]] void lx_enter_program(uint64_t entry, uint64_t stack);
