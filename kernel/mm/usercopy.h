// The only way to user memory. Addresses are checked against the user range, faults are served (pages are made, copied,
// read from their file), and what cannot be served is an error: -EFAULT, or -ENOMEM when a page could not be had within
// the job's quota. On an error the bytes before the fault may have been copied.
//
// May block (a page of a file) unless the page is resident: no spin lock may be held, and object pointers from a handle
// lookup are valid afterwards only if a reference was taken. SMAP is lifted only while the copy itself runs.
#pragma once
#include "abi/fs.h"
#include "kernel/core/types.h"

[[nodiscard]] int copy_from_user(void *to, struct user_ptr from, size_t size);
[[nodiscard]] int copy_to_user(struct user_ptr to, const void *from, size_t size);
[[nodiscard]] int zero_user(struct user_ptr to, size_t size);
[[nodiscard]] int get_user_u64(uint64_t *to, struct user_ptr from);
[[nodiscard]] int put_user_u64(struct user_ptr to, uint64_t value);
[[nodiscard]] int get_user_u32(uint32_t *to, struct user_ptr from);
[[nodiscard]] int put_user_u32(struct user_ptr to, uint32_t value);
// Copies a NUL-terminated string of at most size - 1 bytes: its length, -E2BIG, -EFAULT or -ENOMEM.
[[nodiscard]] int64_t strncpy_from_user(char *to, struct user_ptr from, size_t size);
// Whether [p, p + size) lies in the user range. Says nothing about what is mapped there.
static inline bool user_range_valid(struct user_ptr p, size_t size) { return p.v <= USER_MAX && size <= USER_MAX - p.v; }
static inline struct user_ptr user_add(struct user_ptr p, uint64_t bytes) { return user_ptr(p.v + bytes); }

// Pieces of user memory one behind the other, and the one that was last used.
struct user_parts {
    const struct kpio_io_vector *parts;
    uint32_t count, at;
    uint64_t before;   // bytes before that one
};
// The next bytes from an offset on that lie in one piece, at most so many: 0 behind the last one. Quick where offsets grow.
static inline size_t user_parts_find(struct user_parts *p, uint64_t offset, size_t most, struct user_ptr *address) {
    if (unlikely(offset < p->before)) p->at = 0, p->before = 0;
    for (; p->at < p->count; p->before += p->parts[p->at++].size) {
        const struct kpio_io_vector *part = &p->parts[p->at];
        uint64_t in = offset - p->before;
        if (in >= part->size) continue;
        *address = user_ptr(part->address + in);
        return part->size - in < most ? part->size - in : most;
    }
    return 0;
}

// Without blocking: bytes that were NOT copied, as a page of them is not resident or cannot be had. Locks may be held that no
// fault takes, and a lock-free lookup stays valid. user_fault_in then brings the pages of these bytes in (may block): 0,
// -EFAULT, -ENOMEM. All of them: a copy goes by words, and the one at which it stopped may lie across the end of a page.
[[nodiscard]] size_t copy_to_user_nowait(struct user_ptr to, const void *from, size_t size);
[[nodiscard]] int user_fault_in(struct user_ptr at, size_t size, bool write);
[[nodiscard]] size_t copy_from_user_nowait(void *to, struct user_ptr from, size_t size);
// The same, but no fault is served at all: any lock may be held.
[[nodiscard]] size_t copy_to_user_resident(struct user_ptr to, const void *from, size_t size);
[[nodiscard]] size_t copy_from_user_resident(void *to, struct user_ptr from, size_t size);
