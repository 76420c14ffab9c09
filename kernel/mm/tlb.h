// Translation buffers: which CPUs have an address space loaded, and telling them that page tables changed.
#pragma once
#include "kernel/core/types.h"

struct aspace;

#define TLB_BATCH 16

// Pages of one address space whose translation changed. Beyond TLB_BATCH of them everything is flushed.
struct tlb_batch {
    struct aspace *aspace;
    unsigned count;
    uint64_t pages[TLB_BATCH];
};
static inline void tlb_batch_init(struct tlb_batch *batch, struct aspace *aspace) {
    batch->aspace = aspace;
    batch->count = 0;
}
static inline void tlb_batch_add(struct tlb_batch *batch, uint64_t address) {
    if (batch->count < TLB_BATCH) batch->pages[batch->count] = address;
    batch->count++;
}
// Makes every CPU that has the address space loaded forget them, waits until all have, empties the batch. Any lock may
// be held whose waiters call cpu_relax. Does nothing for an empty batch.
void tlb_batch_flush(struct tlb_batch *batch);
// The address space ends: CPUs that keep it loaded without running it take the kernel's page tables.
void tlb_evict(struct aspace *aspace);
// This CPU only, one page whose entry gained rights.
void tlb_forget_local(uint64_t address);
