// What entry.S offers to C.
#pragma once
#include "abi/types.h"

struct lx_thread;

void lx_entry(void);            // for process_set_foreign_entry; not to be called
void lx_entry_traced(void);     // the same; tells each call (trace.h)
void lx_exception_begin(void);  // for thread_set_exception; not to be called
void lx_begin(void);            // the image's entry
void lx_fork_begin(void);       // where a new process begins (fork.c)
extern const char lx_quick_end[];  // the code before it is mapped when a program starts (quick_end.S)

// Places that lx_exception compares the interrupted address with.
extern const char lx_leave[], lx_leave_end[], lx_leave_slowly_begin[], lx_block_start[], lx_block_end[], lx_block_interrupted[],
    lx_resume_start[], lx_resume_end[], lx_resume_interrupted[], lx_copy_begin[], lx_copy_end[], lx_copy_fault[];

// A native call that may block: what it returns, or -EINTR when something is pending for the thread.
[[nodiscard]] int64_t lx_block(const struct lx_thread *t, uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                               uint64_t f);

// Copies from or to the program's memory: 0 or -EFAULT.
[[nodiscard]] int64_t lx_copy(void *to, const void *from, uint64_t size);
[[nodiscard]] static inline int64_t lx_copy_in(void *to, uint64_t from, uint64_t size) { return lx_copy(to, (const void *)from, size); }
[[nodiscard]] static inline int64_t lx_copy_out(uint64_t to, const void *from, uint64_t size) { return lx_copy((void *)to, from, size); }
// A terminated string: its length, `size` when there is no terminator in that many bytes, -EFAULT.
[[nodiscard]] int64_t lx_copy_string(char *to, uint64_t from, uint64_t size);

// A word of the program's memory: 0 or -EFAULT. lx_exchange stores `value` if the word is *expected, which becomes what was there.
[[nodiscard]] int64_t lx_load(uint64_t address, uint32_t *value);
[[nodiscard]] int64_t lx_exchange(uint64_t address, uint32_t *expected, uint32_t value);
// Extended state of the program, which is in the processor, to or from its memory (XSAVE's standard format, or FXSAVE's): 0 or
// -EFAULT, also when it is no valid state.
[[nodiscard]] int64_t lx_state_save(uint64_t area);
[[nodiscard]] int64_t lx_state_load(uint64_t area);
[[nodiscard]] int64_t lx_legacy_save(uint64_t area);
[[nodiscard]] int64_t lx_legacy_load(uint64_t area);

// Goes on in the program as the frame says; returns 1 when something is pending first, or the errno of a frame that cannot be.
[[nodiscard]] int64_t lx_resume(struct lx_thread *t, const struct kpio_exception_frame *frame);
// Ends an exception; returns only with an error.
int64_t lx_exception_leave(const struct kpio_exception_frame *frame);
// Starts the program, after what is pending.
[[gnu::noreturn]] void lx_enter_program(struct lx_thread *t, uint64_t entry, uint64_t stack);
void lx_thread_begin(void);                         // entry of further threads; not to be called
[[gnu::noreturn]] void lx_thread_end(uint32_t *in_use);  // clears the word and ends the thread without a stack
