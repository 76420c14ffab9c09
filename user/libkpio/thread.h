// Threads of this process, and what each of them has: its block and message page.
#pragma once
#include <stdbool.h>

#include "abi/gen/stubs.h"

// The running thread's block. FS base points to it, and its first word is its own address.
static inline struct kpio_thread_block *thread_self(void) {
    struct kpio_thread_block *block;
    __asm__("movq %%fs:0, %0" : "=r"(block));
    return block;
}
// The message page behind the block: 4,096 bytes, sent and received with each message.
static inline void *thread_message(void) { return (char *)thread_self() + 4096; }

// What libkpio keeps in the block's user_data.
enum { THREAD_SLOT_HANDLER, THREAD_SLOT_CONTEXT, THREAD_SLOT_STARTUP, THREAD_SLOT_FREE };

struct thread {
    kpio_handle handle;
    uint32_t reserved;
    void *stack;        // mapped by thread_spawn, or NULL for the caller's own
    uint64_t stack_size;
    int64_t (*run)(void *arg);
    void *arg;
    int64_t result;
    uint64_t startup;   // address of the process's startup page
};

// Starts a thread in this process that runs run(arg). With stack NULL one of stack_size bytes (0: 64 KiB) is mapped, with
// a page below it that stays inaccessible. *thread must stay where it is until thread_join. 0 or a negative errno.
[[nodiscard]] int thread_spawn(struct thread *thread, const char *name, int64_t (*run)(void *), void *arg, void *stack,
                               uint64_t stack_size);
// Waits for its end, then gives back its handle and stack. *result, if not NULL, gets what run returned.
[[nodiscard]] int thread_join(struct thread *thread, int64_t *result);

// ---- locks, through futexes ---------------------------------------------------------------------------------------------
struct mutex {
    uint32_t word;  // 0 free, 1 held, 2 held and somebody waits
};
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

// For crt.
void thread_set_block(struct kpio_thread_block *block);
