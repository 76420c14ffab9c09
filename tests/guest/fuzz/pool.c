#include "tests/guest/fuzz/fuzz.h"

struct pooled {
    kpio_handle handle;
    uint32_t rights;
    uint8_t kind;
};
static struct pooled pool[POOL];
kpio_handle originals[BASE_COUNT];
uint32_t base_rights[BASE_COUNT];
static uint32_t pool_next, pool_swept;

static void pool_set(uint32_t at, kpio_handle handle) {
    struct kpio_handle_info info;
    kpio_handle old = pool[at].handle;
    if (handle <= 0 || kpio_handle_info(handle, &info) != 0) return;
    pool[at] = (struct pooled){handle, info.rights, (uint8_t)info.kind};
    if (old > 0 && old != handle) (void)kpio_handle_close((uint64_t)old);
}

// Device registers are only read: a device that random writes start could do DMA to anywhere.
void pool_add(int64_t handle) {
    struct kpio_handle_info info;
    if (handle <= 0 || kpio_handle_info((kpio_handle)handle, &info) != 0) return;
    if (info.kind == KPIO_KIND_MMIO && info.rights & KPIO_RIGHT_WRITE) {
        int64_t weak = kpio_handle_dup((kpio_handle)handle, info.rights & ~KPIO_RIGHT_WRITE);
        (void)kpio_handle_close((uint64_t)handle);
        handle = weak;
    }
    uint32_t next = __atomic_fetch_add(&pool_next, 1, __ATOMIC_RELAXED);
    pool_set(BASE_COUNT + next % (POOL - BASE_COUNT), (kpio_handle)handle);
}

kpio_handle pool_find(uint32_t start, uint32_t kinds, uint32_t rights) {
    for (uint32_t i = 0; i < POOL; i++) {
        const struct pooled *p = &pool[(start + i * 7) % POOL];
        bool fits = (kinds == 0 || kinds >> p->kind & 1) && (p->rights & rights) == rights;
        if (p->handle > 0 && fits) return p->handle;
    }
    return 0;
}

kpio_handle pool_at(uint32_t place) { return pool[place % POOL].handle; }

static void pool_make_process(void) {
    kpio_handle aspace = 0;
    pool_add(kpio_process_create(originals[BASE_JOB], 0, (const uint8_t *)"made", 4, &aspace));
    pool_add(aspace);
}

static void pool_make_mmio(void) {
    for (uint32_t i = 0; i < 6; i++) {
        int64_t bar = kpio_pci_bar(originals[BASE_PCI], i);
        if (bar > 0) pool_add(bar);
    }
}

static void pool_make_file(void) {
    kpio_handle dir = pool_find(pool_next, 1u << KPIO_KIND_DIRECTORY, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE);
    pool_add(file_open(dir, "file", KPIO_OPEN_CREATE, KPIO_RIGHTS_SAME));
}

static void pool_make(uint32_t kind) {
    kpio_handle other = 0;
    uint64_t address;
    switch (kind) {
    case KPIO_KIND_VMO: pool_add(kpio_vmo_create(65536, KPIO_VMO_RESIZABLE)); break;
    case KPIO_KIND_ENDPOINT: pool_add(kpio_endpoint_create()); break;
    case KPIO_KIND_EVENT: pool_add(kpio_event_create()); break;
    case KPIO_KIND_COUNTER: pool_add(kpio_counter_create(1, KPIO_COUNTER_SEMAPHORE)); break;
    case KPIO_KIND_FUSE:
        pool_add(kpio_fuse_create());
        pool_add(kpio_fuse_serve(pool_find(pool_next, 1u << KPIO_KIND_FUSE, KPIO_RIGHT_MANAGE)));
        break;
    case KPIO_KIND_PORT: pool_add(kpio_port_create()); break;
    case KPIO_KIND_TIMER: pool_add(kpio_timer_create()); break;
    case KPIO_KIND_PROCESS: pool_make_process(); break;
    case KPIO_KIND_THREAD:
        pool_make_process();
        pool_add(kpio_thread_create(pool_find(pool_next, 1u << KPIO_KIND_PROCESS, KPIO_RIGHT_MANAGE), (const uint8_t *)"made", 4));
        break;
    case KPIO_KIND_PIPE:
        pool_add(kpio_pipe_create(0, 4096, &other));
        pool_add(other);
        break;
    case KPIO_KIND_WASM_POOL: pool_add(kpio_wasm_pool_open(1 << 20, (const uint8_t *)"fuzz", 4)); break;
    case KPIO_KIND_DIRECTORY: pool_add(kpio_fs_mount("tmpfs", 0, 0, "size=1M")); break;
    case KPIO_KIND_FILE: pool_make_file(); break;
    case KPIO_KIND_MMIO: pool_make_mmio(); break;
    case KPIO_KIND_DMA: pool_add(kpio_dma_create(originals[BASE_PCI], 4096, 0, &address)); break;
    case KPIO_KIND_IRQ: pool_add(kpio_pci_irq(originals[BASE_PCI], 0)); break;
    case KPIO_KIND_REPLY:
        if (kpio_ipc_receive(originals[BASE_CALLERS], (uint64_t)kpio_clock_get(0) + 2000000) >= 0) pool_add(kpio_reply_save());
        break;
    default: break;
    }
}

void pool_refill(void) {
    static const uint32_t rights[KPIO_KIND_COUNT] = {
        [KPIO_KIND_PROCESS] = KPIO_RIGHT_MANAGE | KPIO_RIGHT_KILL, [KPIO_KIND_THREAD] = KPIO_RIGHT_MANAGE,
        [KPIO_KIND_ENDPOINT] = KPIO_RIGHT_BADGE, [KPIO_KIND_VMO] = KPIO_RIGHT_WRITE, [KPIO_KIND_DMA] = KPIO_RIGHT_MAP,
        [KPIO_KIND_DIRECTORY] = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_INSPECT,
        [KPIO_KIND_FILE] = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE};
    for (uint32_t i = 0; i < 48; i++) {
        struct pooled *p = &pool[__atomic_fetch_add(&pool_swept, 1, __ATOMIC_RELAXED) % POOL];
        struct kpio_handle_info info;
        if (p->handle > 0 && kpio_handle_info(p->handle, &info) != 0) p->handle = 0;
    }
    for (uint32_t i = 0; i < BASE_COUNT; i++) {
        struct kpio_handle_info info;
        if (originals[i] == 0 || (pool[i].handle > 0 && kpio_handle_info(pool[i].handle, &info) == 0)) continue;
        pool[i].handle = 0;
        pool_set(i, (kpio_handle)kpio_handle_dup(originals[i], base_rights[i]));
    }
    for (uint32_t kind = 1; kind < KPIO_KIND_COUNT; kind++)
        if (pool_find(pool_swept, 1u << kind, rights[kind]) == 0) pool_make(kind);
}
