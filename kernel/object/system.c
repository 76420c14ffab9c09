#include "kernel/object/system.h"

#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/stack.h"
#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/wasm_pool.h"
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"
#include "lib/string.h"

static const struct object_ops system_ops = {
    .name = "system",
    .rights = KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_MANAGE | KPIO_RIGHT_DEVICE | KPIO_RIGHT_LOG |
              KPIO_RIGHT_POWER | KPIO_RIGHT_AUDIT | KPIO_RIGHT_EXPIRE,
};

static struct object the_system;
struct object *system_object = &the_system;
uint64_t system_boot_ticks;

// Its first reference is the kernel's: it is never destroyed.
void system_object_init(void) { verify(object_init(&the_system, KPIO_KIND_SYSTEM, &system_ops, NULL, 0) == 0); }

void system_note_boot(void) { system_boot_ticks = __builtin_ia32_rdtsc() - boot_info.entry_tsc; }

static uint64_t slub_bytes(void) {
    struct slub_stats stats;
    uint64_t sum = 0;
    for (unsigned i = 0; slub_get_stats(i, &stats); i++) sum += stats.bytes;
    return sum;
}

static void memory_info(struct kpio_system_info *info) {
    struct page_stats pages;
    page_get_stats(&pages);
    struct wasm_pool_stats pool;
    wasm_pool_get_stats(&pool);
    info->memory_total = boot_info.ram_bytes;
    // Stacks kept for the next threads are as good as free.
    info->memory_free = (pages.free + kernel_stack_kept_pages()) * PAGE_SIZE;
    info->page_array_bytes = pages.array * PAGE_SIZE;
    info->wasm_pool_bytes = pool.size;
    info->wasm_pool_free = pool.size - pool.reserved;
    info->kernel_image_bytes = boot_info.kernel.size;
    info->slub_bytes = slub_bytes();
    info->kernel_stacks = kernel_stack_count();
    info->page_tables = aspace_table_count();
}

void system_settle(void) {
    // What a callback frees may itself wait for a grace period (a job after its last object, tables after a space).
    for (unsigned i = 0; i < 3; i++) rcu_barrier();
    (void)slub_shrink_all();
}

void system_get_info(struct kpio_system_info *info) {
    memset(info, 0, sizeof(*info));
    memory_info(info);
    for (unsigned kind = 0; kind < KPIO_KIND_COUNT; kind++) info->objects[kind] = object_count(kind);
    info->boot_to_init_insns = system_boot_ticks;
    info->handles = handle_count();
    info->cpu_online = info->cpu_possible = cpu_count;
    info->uptime_ns = arch_now();
    info->realtime_ns = arch_clock.realtime_base + info->uptime_ns;
    info->tsc_hz = arch_clock.tsc_hz;
    struct sched_stats sched;
    sched_stats(&sched);
    info->idle_ns = sched.idle_ns;
    info->context_switches = sched.switches;
    info->interrupts = sched.interrupts;
}
