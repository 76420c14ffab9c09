// The memory of the engine, which says a block's size again when it gives it back (engines/wasmtime/include/kpio_wasmtime.h). Small
// blocks have no header and are taken and given back within the thread, by size; larger ones are the C library's.
//
// A host is young when it loads a program: the C library's allocator cuts nearly all that it hands out from fresh memory then, its long
// way, and puts what comes back together again. That took a fifth of the instructions until a component started.
#pragma once
#include <stddef.h>

// `align` is a power of two, `size` is not 0; of any thread. NULL: no memory.
void *kpio_heap_take(size_t size, size_t align);
void *kpio_heap_take_zeroed(size_t size, size_t align);
// A block of `size` and `align` becomes one of `wanted` bytes and keeps what fits. NULL: no memory, and the block stays.
void *kpio_heap_resize(void *block, size_t size, size_t align, size_t wanted);
void kpio_heap_give(void *block, size_t size, size_t align);
