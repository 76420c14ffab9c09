#include "tests/guest/fuzz/fuzz.h"

#define LONGEST_WAIT 5000000u  // ns
#define DMA_PAGES_KEPT 512u    // then the device is reset, which frees what no handle names any more

static void prepare_memory(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    kpio_handle vmo;
    switch (call->number) {
    case SYS_aspace_map:
        a[2] = 0;
        a[3] = (next(f) % 4 + 1) * 4096;
        if (a[1] != 0) a[4] &= KPIO_MAP_READ | KPIO_MAP_FIXED | KPIO_MAP_POPULATE;
        else if (a[4] & KPIO_MAP_ANONYMOUS) a[4] &= ~(uint64_t)(KPIO_MAP_PRIVATE | KPIO_MAP_RESERVE | KPIO_MAP_EXECUTE);
        else a[4] = KPIO_MAP_RESERVE;
        break;
    case SYS_aspace_advise: case SYS_aspace_residency:
        a[1] = arena + next(f) % 512 * 4096;
        if (call->number == SYS_aspace_advise) a[2] = (next(f) % 8 + 1) * 4096, a[3] = next(f) % 4;
        else a[3] = next(f) % 8 + 1;
        break;
    case SYS_aspace_move:
        a[1] = arena + next(f) % 512 * 4096;
        a[2] = (next(f) % 4 + 1) * 4096;
        a[3] = (next(f) % 8 + 1) * 4096;
        a[4] = next(f) % 4;
        a[5] = a[4] & KPIO_MOVE_FIXED ? arena + next(f) % 256 * 4096 : 0;
        break;
    case SYS_aspace_unmap: case SYS_aspace_protect:
        a[1] = arena + next(f) % 512 * 4096;
        a[2] = (next(f) % 8 + 1) * 4096;
        if (call->number == SYS_aspace_unmap) break;
        a[3] &= KPIO_MAP_READ;  // of something that is there
        vmo = pool_find((uint32_t)next(f), 1u << KPIO_KIND_VMO, KPIO_RIGHT_READ | KPIO_RIGHT_MAP);
        (void)kpio_aspace_map((kpio_handle)a[0], vmo, 0, a[2], KPIO_MAP_READ | KPIO_MAP_FIXED, a[1]);
        break;
    case SYS_aspace_query:
        a[1] = one_in(f, 2) ? 0 : arena + next(f) % 512 * 4096;
        break;
    default: break;
    }
}

// DMA memory stays the device's until a reset, whatever becomes of its handles: many and large ones would only show that
// the quota holds.
static void prepare_device(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    static uint64_t pages;
    switch (call->number) {
    case SYS_pci_bar:
        a[1] = 4;  // virtio has its registers there
        break;
    case SYS_pci_irq:
        a[1] = next(f) % 3;
        break;
    case SYS_dma_create:
        a[0] = (uint64_t)pool_find((uint32_t)next(f), 1u << KPIO_KIND_PCI, KPIO_RIGHT_DEVICE);
        a[1] = (next(f) % 8 + 1) * 4096;
        if (__atomic_add_fetch(&pages, a[1] / 4096, __ATOMIC_RELAXED) < DMA_PAGES_KEPT) break;
        __atomic_store_n(&pages, 0, __ATOMIC_RELAXED);
        (void)kpio_pci_reset(originals[BASE_PCI]);
        break;
    default: break;
    }
}

// A place on the disk; the first sectors of a VMO.
static void prepare_disk(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    switch (call->number) {
    case SYS_disk_list:
        a[1] = 0;
        break;
    case SYS_disk_read: case SYS_disk_write:
        a[1] = next(f) % 16384;
        a[3] = next(f) % 4 * 512;
        break;
    case SYS_disk_read_vmo: case SYS_disk_write_vmo:
        a[1] = next(f) % 16384;
        a[3] = next(f) % 4 * 512;
        a[4] = 512;
        break;
    case SYS_disk_discard:
        a[1] = next(f) % 16000;
        a[2] = next(f) % 256 + 1;
        break;
    default: break;
    }
}

static void prepare_wait_items(struct fuzzer *f, struct kpio_wait_item *items, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        kpio_handle h = pool_find((uint32_t)next(f), 0, KPIO_RIGHT_WAIT);
        uint32_t signals = one_in(f, 4) ? 0 : (uint32_t)next(f) & (one_in(f, 20) ? UINT32_MAX : KPIO_SIGNALS_ALL);
        items[i] = (struct kpio_wait_item){.handle = h, .signals = signals};
    }
}

// The second half of the scratch is what they name.
static void prepare_parts(struct fuzzer *f, struct kpio_io_vector *parts, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        parts[i] = (struct kpio_io_vector){(uint64_t)f->scratch + SCRATCH / 2 + next(f) % 256, next(f) % 256};
}

static void prepare_handles(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    switch (call->number) {
    case SYS_reply_save: case SYS_ipc_reply: case SYS_ipc_reply_receive:
        (void)kpio_ipc_receive(originals[BASE_CALLERS], (uint64_t)kpio_clock_get(0) + 2000000);
        break;
    case SYS_port_rearm: case SYS_port_unbind:
        (void)kpio_port_bind((kpio_handle)a[0], (kpio_handle)a[1], KPIO_SIGNAL_USER_MASK | KPIO_SIGNAL_READABLE, a[2], 0);
        break;
    case SYS_futex_wait: case SYS_futex_requeue:  // the word has the value
        a[0] = (uint64_t)f->scratch + next(f) % 512 * 4;
        a[call->number == SYS_futex_wait ? 1 : 4] = *(volatile uint32_t *)a[0];
        break;
    case SYS_handle_wait_many:
        a[0] = (uint64_t)f->scratch;
        a[1] = next(f) % 24;
        prepare_wait_items(f, (struct kpio_wait_item *)a[0], a[1]);
        break;
    case SYS_system_bench:
        a[2] %= 256;  // it is only slow otherwise
        break;
    case SYS_pipe_read:
        a[3] |= next(f) & (KPIO_PIPE_TAKE_HANDLES | KPIO_PIPE_PEEK);
        break;
    case SYS_pipe_read_vector: case SYS_pipe_write_vector: case SYS_file_read_vector: case SYS_file_write_vector:
        a[1] = (uint64_t)f->scratch;
        a[2] = next(f) % 12;
        prepare_parts(f, (struct kpio_io_vector *)a[1], a[2]);
        if (call->number == SYS_file_read_vector) a[4] = 0;
        if (call->number == SYS_file_read_vector || call->number == SYS_file_write_vector) a[3] = one_in(f, 2) ? UINT64_MAX : 0;
        break;
    case SYS_file_copy:
        a[1] = next(f) % 3 * 4096;
        a[3] = one_in(f, 2) ? UINT64_MAX : next(f) % 3 * 4096;
        a[4] = next(f) % 20000;
        break;
    case SYS_pipe_resize:
        a[1] = 4096u << next(f) % 6;
        break;
    case SYS_pipe_write:
        if (one_in(f, 3)) a[3] |= KPIO_PIPE_SEND_HANDLES(next(f) % 5);
        break;
    default: break;
    }
}

void shorten_waits(uint64_t number, uint64_t *a) {
    if (number < SYSCALL_BASE || number - SYSCALL_BASE >= SYSCALL_COUNT) return;
    if (number == SYS_handle_expire || number == SYS_timer_set) return;
    const struct fuzz_call *call = &fuzz_calls[number - SYSCALL_BASE];
    uint64_t now = (uint64_t)kpio_clock_get(0);
    for (uint32_t i = 0; i < call->count; i++)
        if (call->arguments[i].type == FUZZ_TIME && a[i] > now + LONGEST_WAIT) a[i] = now + 300000;
}

void prepare(struct fuzzer *f, const struct fuzz_call *call, uint64_t *a) {
    if (!one_in(f, 4)) prepare_memory(f, call, a);
    if (!one_in(f, 4)) prepare_device(f, call, a);
    if (!one_in(f, 8)) prepare_disk(f, call, a);
    if (!one_in(f, 6)) prepare_files(f, call, a);
    if (!one_in(f, 6)) prepare_handles(f, call, a);
}
