// Vectors of user memory, for the calls that read and write several pieces at once.
#pragma once
#include "kernel/syscall/args.h"

#define VECTOR_SMALL 8u  // pieces that need no memory

struct vector {
    struct kpio_io_vector *parts;
    uint32_t count;
    uint64_t size;                     // of all
    struct kpio_io_vector small[VECTOR_SMALL];
};

// Reads and checks it. -EINVAL: more than KPIO_IO_VECTORS_MAX or INT64_MAX bytes; -EFAULT, -ENFILE, -ENOMEM. vector_end in every case.
[[nodiscard]] int vector_read(struct vector *v, uint64_t address, uint64_t count);
void vector_free(struct vector *v);
static inline void vector_end(struct vector *v) {
    if (unlikely(v->parts != NULL && v->parts != v->small)) vector_free(v);
}
