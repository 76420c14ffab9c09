// The memory of a thread besides its object: kernel stack, extended state, and the thread block with the message page,
// which its process shares. Internal to kernel/object.
#pragma once
#include "kernel/object/process.h"

void thread_memory_init(void);
// A zeroed object with its extended state in the initial state, or NULL; object_put or kfree frees both.
struct thread_object *thread_memory_object(void);
// Kernel memory of a thread, for charging.
uint32_t thread_memory_bytes(void);
// Allocates the rest and maps the block in t->thread.aspace: 0, -ENOMEM, -ENFILE, -EDESTROYED.
[[nodiscard]] int thread_memory_alloc(struct thread_object *t);
// Takes the block out of the address space. No lock held.
void thread_memory_unmap(struct thread_object *t);
// Frees it. The thread is off its CPU.
void thread_memory_free(struct thread_object *t);

// A block with its message page, charged to job and mapped in a: 0, -ENOSPC, -ENOMEM, -ENFILE, -EDESTROYED.
[[nodiscard]] int thread_pages_make(struct job *job, struct aspace *a, struct thread_pages *pages);
// Unmaps it from a and gives it up; nothing to do when there is none. Preemptible; no lock held.
void thread_pages_drop(struct aspace *a, struct thread_pages *pages);
// They become the thread's, whose ids they tell.
void thread_pages_give(struct thread_object *t, const struct thread_pages *pages);
