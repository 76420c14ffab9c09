// Messages on their way from one thread to another. Internal to kernel/ipc.
#pragma once
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/endpoint.h"
#include "lib/string.h"

// Whether a header is well-formed.
static inline bool message_is_valid(uint64_t message) {
    return !(message & KPIO_MESSAGE_RESERVED) && KPIO_MESSAGE_BYTES(message) <= KPIO_MESSAGE_MAX &&
           KPIO_MESSAGE_HANDLES(message) <= KPIO_MESSAGE_HANDLES_MAX;
}
// Header bits that the hand-tuned path does not take: handles, reserved bits.
#define MESSAGE_UNUSUAL (KPIO_MESSAGE_RESERVED | 7ull << 13)

// Copies the payload in whole words. Both pages are the kernel's own, so nothing faults; user space may write them
// meanwhile, which harms nobody but itself.
static inline void message_copy(struct thread *to, const struct thread *from, uint64_t message) {
    uint64_t words = (KPIO_MESSAGE_BYTES(message) + 7) / 8;
    void *d = to->message_page;
    const void *s = from->message_page;
    if (words) __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
}

// Entry i of a thread block, read once: it is the user's memory.
struct kpio_message_handle message_entry(const struct thread *t, unsigned i);

// Checks that the running thread may send the handles named in its thread block. 0 or -EBADF, -EACCES, -EINVAL.
[[nodiscard]] int message_handles_check(unsigned count);
// Moves or copies them into the other's table and tells it in its thread block. What cannot be had any more, or finds no
// room, arrives as 0 and stays with the sender. No lock held; both threads belong to the caller of this (the other is
// claimed: blocked, with no lock to wake it by).
void message_handles_pass(struct thread *from, struct thread *to, unsigned count);

// deadlock.c: the running thread is queued on e. Whether its waiting would close a cycle; if so it was taken off the
// queue again. No lock held.
bool deadlock_found(struct endpoint *e);
void sender_unlink(struct thread *t);  // wait.unlink of queued and served callers
