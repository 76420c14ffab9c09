// A CPU sets its bit in aspace->cpus before it loads the page tables, and keeps it when it loads others: so a switch back
// writes no shared line. It takes the bit away when it is asked for a flush and runs something else by then. So the mask
// never lacks a CPU whose translation buffer may hold entries. Order against page-table changes: the switching CPU does
// {set bit (locked), or see it set; load CR3; walk tables}, the changing one {write entry; locked or; read mask}: one sees
// the other. Only the CPU itself changes its bit, so seeing it set needs no fence.
#include "kernel/mm/tlb.h"

#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/mm/aspace.h"
#include "kernel/sched/sched.h"

void aspace_switch(struct aspace *next) {
    struct cpu *c = this_cpu();
    if (next == c->aspace || !next) return;
    uint64_t bit = 1ull << c->id;
    if (unlikely(!(__atomic_load_n(&next->cpus, __ATOMIC_RELAXED) & bit)))
        __atomic_fetch_or(&next->cpus, bit, __ATOMIC_SEQ_CST);
    c->aspace = next;
    paging_load(next->root, next->asid);
}

static void flush_local(const struct tlb_batch *batch) {
    if (this_cpu()->aspace != batch->aspace) return;
    if (batch->count > TLB_BATCH) {
        tlb_flush_all();
        return;
    }
    for (unsigned i = 0; i < batch->count; i++) tlb_flush_page(batch->pages[i]);
}

static void flush_remote(void *arg) {
    const struct tlb_batch *batch = arg;
    struct cpu *c = this_cpu();
    if (c->aspace != batch->aspace) __atomic_fetch_and(&batch->aspace->cpus, ~(1ull << c->id), __ATOMIC_RELEASE);
    else flush_local(batch);
}

void tlb_batch_flush(struct tlb_batch *batch) {
    if (batch->count == 0) return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t others = __atomic_load_n(&batch->aspace->cpus, __ATOMIC_SEQ_CST) & ~(1ull << cpu_id());
    flush_local(batch);
    if (unlikely(others)) arch_call_cpus(others, flush_remote, batch);
    batch->count = 0;
}

static void evict_local(void *arg) {
    struct cpu *c = this_cpu();
    struct aspace *aspace = arg;
    if (c->aspace != aspace) return;
    paging_load(paging_kernel_root(), 0);
    c->aspace = NULL;
    __atomic_fetch_and(&aspace->cpus, ~(1ull << c->id), __ATOMIC_RELEASE);
}

void aspace_leave(void) {
    struct aspace *aspace = this_cpu()->aspace;
    if (aspace) evict_local(aspace);
}

void tlb_evict(struct aspace *aspace) {
    evict_local(aspace);
    uint64_t others = __atomic_load_n(&aspace->cpus, __ATOMIC_SEQ_CST) & ~(1ull << cpu_id());
    if (others) arch_call_cpus(others, evict_local, aspace);
}

void tlb_forget_local(uint64_t address) { tlb_flush_page(address); }
