// The end of the system, as a thread of the kernel's: it kills all processes, so that whatever they held ends as it always
// does, file systems with their last handle among it; then the machine goes off.
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/log.h"
#include "kernel/fs/vfs/mount.h"
#include "kernel/fs/vfs/vfs.h"
#include "kernel/object/job.h"
#include "kernel/sched/sched.h"
#include "kernel/syscall/args.h"

#define PATIENCE_NS 30000000000ull  // for the processes; what hangs does not keep the machine on
#define LOOK_AGAIN_NS 200000ull

enum { POWER_OFF, POWER_REBOOT, POWER_EXIT_SUCCESS, POWER_EXIT_FAILURE, POWER_ACTIONS };

static void power_main(void *arg) {
    nanos_t deadline = arch_now() + PATIENCE_NS;
    job_kill(job_root);
    while (object_count(KPIO_KIND_PROCESS) > 0 && arch_now() < deadline) sched_sleep_until(arch_now() + LOOK_AGAIN_NS);
    uint64_t left = object_count(KPIO_KIND_PROCESS);
    if (left > 0) log_warn("power: %lu processes do not end", left);
    while (filesystems_mounted() > 0 && arch_now() < deadline) sched_sleep_until(arch_now() + LOOK_AGAIN_NS);
    int error = vfs_sync_all();
    if (error) log_error("power: what was written could not all be made durable: error %d", -error);
    switch ((uintptr_t)arg) {
    case POWER_OFF: arch_power_off();
    case POWER_REBOOT: arch_reboot();
    default: arch_exit((uintptr_t)arg == POWER_EXIT_SUCCESS);
    }
}

// The caller ends with all others.
int64_t sys_system_power(uint64_t system, uint64_t action, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    static bool ending;
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_POWER, &o);
    if (error) return error;
    if ((uint32_t)action >= POWER_ACTIONS) return -EINVAL;
    if (!__atomic_exchange_n(&ending, true, __ATOMIC_RELAXED) &&
        sched_kthread_create("power", power_main, (void *)(uintptr_t)(uint32_t)action) == NULL) {
        __atomic_store_n(&ending, false, __ATOMIC_RELAXED);
        return -ENOMEM;
    }
    sched_wait_for_kill();
    return 0;
}
