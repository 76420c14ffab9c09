// The order in which the kernel comes up.
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/log.h"
#include "kernel/core/options.h"
#include "kernel/block/page_cache.h"
#include "kernel/block/ramdisk.h"
#include "kernel/block/virtio_blk.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/fs/vfs/vfs.h"
#include "kernel/hal/hal.h"
#include "kernel/init_process.h"
#include "kernel/ipc/ipc.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/kasan.h"
#include "kernel/mm/page.h"
#include "kernel/mm/reaper.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/wasm_pool.h"
#include "kernel/object/console.h"
#include "kernel/object/process.h"
#include "kernel/object/system.h"
#include "kernel/object/system_page.h"
#include "kernel/sched/sched.h"

static struct sched_idle_hook zero_wasm_pool = {.step = wasm_pool_idle_step};

static void memory_init(void) {
    page_alloc_init(boot_info.ram, boot_info.ram_count);
    wasm_pool_init(boot_options.wasm_pool);
    kasan_init();
    slub_init();
    vmo_init();
    aspace_init();
}

static void objects_init(void) {
    job_init();
    handle_init();
    process_init();
    system_object_init();
    console_init();
    ipc_init();
}

// On the boot CPU, with boot_info filled, the direct map in place and interrupts off.
void kernel_main(void) {
    memory_init();
    sched_init();
    reaper_start();
    sched_idle_hook_register(&zero_wasm_pool);
    objects_init();
    arch_start_cpus();
    system_page_init();
    hal_init();
    page_cache_init();
    vfs_init();
    fuse_init();
    virtio_blk_init();
    ramdisk_init();
    if (!init_process_start()) arch_exit(false);
    sched_thread_exit();  // this was the first kernel thread; its work is done
}

// On every other CPU.
void kernel_ap_main(void) {
    struct cpu *c = this_cpu();
    page_cpu_init(c);
    if (slub_cpu_init(c) != 0) panic("no memory for CPU %u", c->id);
    sched_init_ap();
    sched_idle_loop();
}
