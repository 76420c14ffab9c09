// Memory for native programs: power-of-two sizes from chunks of the address space; zeroed. Any thread.
#pragma once
#include <stddef.h>

[[nodiscard]] void *heap_alloc(size_t size);  // NULL: no memory
void heap_free(void *memory);                 // of heap_alloc, or NULL
