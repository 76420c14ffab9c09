#include "kernel/object/system.h"

#include "kernel/core/coverage.h"
#include "kernel/core/random.h"
#include "kernel/core/log.h"
#include "kernel/fs/vfs/mount.h"
#include "kernel/hal/hal.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"
#include "kernel/sched/sched.h"
#include "kernel/syscall/args.h"

int64_t sys_clock_get(uint64_t clock, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    switch ((uint32_t)clock) {
    case 0: return (int64_t)arch_now();
    case 1: return (int64_t)(arch_clock.realtime_base + arch_now());
    case 2: return (int64_t)process_cpu_time(current_process());
    case 3: return (int64_t)sched_cpu_time(current_thread());
    default: return -EINVAL;
    }
}

#define RANDOM_MAX 4096

int64_t sys_random_get(uint64_t buffer, uint64_t size, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    if (size > RANDOM_MAX) return -EINVAL;
    uint8_t piece[256];
    int error = 0;
    for (uint64_t done = 0; done < size && !error; done += sizeof(piece)) {
        uint64_t n = MIN(size - done, sizeof(piece));
        random_bytes(piece, n);
        if (copy_to_user(user_ptr(buffer + done), piece, n) != 0) error = -EFAULT;
    }
    memset(piece, 0, sizeof(piece));
    __asm__ volatile("" : : "r"(piece) : "memory");
    return error;
}

static int64_t tell_info(uint64_t system, uint64_t info_at, bool exact) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_system_info info;
    if (exact) {
        vfs_worker_flush();
        system_settle();
    }
    system_get_info(&info);
    return copy_to_user(user_ptr(info_at), &info, sizeof(info));
}

int64_t sys_system_info(uint64_t system, uint64_t info_at, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return tell_info(system, info_at, true);
}

int64_t sys_system_look(uint64_t system, uint64_t info_at, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return tell_info(system, info_at, false);
}

enum { BOOT_CMDLINE, BOOT_FRAMEBUFFER, BOOT_VIRTIO_MMIO };

int64_t sys_system_boot_info(uint64_t system, uint64_t what, uint64_t buffer, uint64_t size, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    const uint64_t framebuffer[] = {
        boot_info.framebuffer.base,  boot_info.framebuffer.size,   boot_info.framebuffer.width,
        boot_info.framebuffer.height, boot_info.framebuffer.pitch, boot_info.framebuffer.bpp,
    };
    const void *from;
    uint64_t length;
    switch ((uint32_t)what) {
    case BOOT_CMDLINE:
        from = boot_info.cmdline;
        length = strnlen(boot_info.cmdline, sizeof(boot_info.cmdline));
        break;
    case BOOT_FRAMEBUFFER:
        from = framebuffer;
        length = boot_info.framebuffer.size != 0 ? sizeof(framebuffer) : 0;
        break;
    case BOOT_VIRTIO_MMIO: {
        const struct hal_virtio_mmio *devices;
        length = hal_virtio_mmio_list(&devices) * sizeof *devices;
        from = devices;
        break;
    }
    default: return -EINVAL;
    }
    if (copy_to_user(user_ptr(buffer), from, MIN(length, size)) != 0) return -EFAULT;
    return (int64_t)length;
}

// ---- measurements -----------------------------------------------------------------------------------------------------

#define BENCH_ROUNDS_MAX 10000000ull
#define BENCH_STEP (CONFIG_DEBUG ? 10 : 1000)  // between preemption points; poison and its checks take long

static bool bench_objects(unsigned rounds) {
    for (unsigned i = 0; i < rounds; i++) {
        void *object = kmalloc(64);
        if (object == NULL) return false;
        kfree(object);
    }
    return true;
}

// The cache behind kmalloc(64), without the search for it.
static bool bench_cached_objects(unsigned rounds) {
    struct kmem_cache *cache = &kmalloc_caches[kmalloc_class(64)];
    for (; rounds > 0; rounds--) {
        void *object = slub_alloc(cache);
        if (object == NULL) return false;
        slub_free(cache, object);
    }
    return true;
}

static bool bench_pages(unsigned rounds) {
    for (unsigned i = 0; i < rounds; i++) {
        struct page *page = page_alloc(0);
        if (page == NULL) return false;
        page_free(page);
    }
    return true;
}

int64_t sys_system_bench(uint64_t system, uint64_t what, uint64_t rounds, uint64_t d, uint64_t e, uint64_t f) {
    static bool (*const benches[])(unsigned) = {bench_cached_objects, bench_pages, bench_objects};
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    if ((uint32_t)what >= ARRAY_SIZE(benches) || rounds > BENCH_ROUNDS_MAX) return -EINVAL;
    uint64_t ticks = 0;
    while (rounds > 0) {
        unsigned step = (unsigned)MIN(rounds, (uint64_t)BENCH_STEP);
        uint64_t start = __builtin_ia32_rdtsc();
        if (!benches[(uint32_t)what](step)) return -ENOMEM;
        ticks += __builtin_ia32_rdtsc() - start;
        rounds -= step;
        if (sched_preempt_point()) break;
    }
    return (int64_t)ticks;
}

int64_t sys_coverage_read(uint64_t system, uint64_t offset, uint64_t buffer, uint64_t size, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    if (!CONFIG_COV) return -ENOSYS;
    uint64_t piece[64], done = 0;
    while (done < size) {
        size_t got = coverage_read(offset + done, piece, MIN(size - done, sizeof(piece)));
        if (got == 0) break;
        if (copy_to_user(user_ptr(buffer + done), piece, got) != 0) return -EFAULT;
        done += got;
        if (sched_preempt_point()) break;
    }
    return (int64_t)done;
}
