// Finds virtio disks, reads their configuration (5.2.4) and makes block devices of them.
#include "kernel/block/virtio_blk.h"

#include "abi/gen/errors.h"
#include "kernel/block/partition.h"
#include "kernel/core/log.h"
#include "kernel/core/options.h"
#include "kernel/hal/pci.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"
#include "lib/fmt.h"

#define DISKS_MAX 26
#define VENDOR_VIRTIO 0x1af4
#define VECTORS_MAX 64
#define SECTORS_MAX 2048u  // 1 MiB
#define ROUND_MOST 5000000000ul  // ns
#define WANTED (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_READ_ONLY | \
                BLK_F_BLOCK_SIZE | BLK_F_FLUSH | BLK_F_TOPOLOGY | BLK_F_CONFIG_CACHE | BLK_F_QUEUES | BLK_F_DISCARD | BLK_F_WRITE_ZEROES)
enum {  // 5.2.4
    CONFIG_CAPACITY = 0, CONFIG_SIZE_MAX = 8, CONFIG_SEG_MAX = 12, CONFIG_BLOCK_SIZE = 20, CONFIG_PHYSICAL_SHIFT = 24,
    CONFIG_CACHE = 32, CONFIG_QUEUES = 34, CONFIG_DISCARD_MOST = 36, CONFIG_DISCARD_SEGMENTS = 40, CONFIG_DISCARD_ALIGNMENT = 44,
    CONFIG_ZEROES_MOST = 48, CONFIG_ZEROES_SEGMENTS = 52,
};

static struct virtio_blk *disks[DISKS_MAX];
static unsigned disk_count;  // atomic

static uint32_t config32(struct virtio_blk *disk, unsigned offset) { return (uint32_t)virtio_config(&disk->virtio, offset, 4); }

// ---- what the device says it is -----------------------------------------------------------------------------------------------

static int read_sizes(struct virtio_blk *disk) {
    struct block_device *b = &disk->block;
    uint64_t has = disk->virtio.features;
    uint32_t logical = has & BLK_F_BLOCK_SIZE ? config32(disk, CONFIG_BLOCK_SIZE) : SECTOR_SIZE;
    if (!is_power_of_two(logical) || logical < SECTOR_SIZE || logical > 4096) {
        log_error("%s: blocks of %u bytes: not supported", b->name, logical);
        return -EOPNOTSUPP;
    }
    unsigned shift = has & BLK_F_TOPOLOGY ? (unsigned)virtio_config(&disk->virtio, CONFIG_PHYSICAL_SHIFT, 1) : 0;
    b->logical_block = logical;
    b->physical_block = shift < 16 ? logical << shift : logical;
    b->sectors = align_down(MIN(virtio_config(&disk->virtio, CONFIG_CAPACITY, 8), 1ull << 54), logical / SECTOR_SIZE);
    return 0;
}

static void read_limits(struct virtio_blk *disk) {
    struct block_device *b = &disk->block;
    uint64_t has = disk->virtio.features;
    uint32_t segments = has & BLK_F_SEG_MAX ? config32(disk, CONFIG_SEG_MAX) : 1;
    uint32_t segment = has & BLK_F_SIZE_MAX ? config32(disk, CONFIG_SIZE_MAX) : SECTORS_MAX * SECTOR_SIZE;
    segment = (uint32_t)align_down(MIN(segment, SECTORS_MAX * SECTOR_SIZE), b->logical_block);
    disk->segment_most = MAX(segment, 4096u);
    b->max_vectors = segments == 0 ? 1 : MIN(segments, (uint32_t)VECTORS_MAX);
    b->max_sectors = disk->segment_most / SECTOR_SIZE;
    b->read_only = has & BLK_F_READ_ONLY;
    disk->cache = (has & BLK_F_FLUSH) && (!(has & BLK_F_CONFIG_CACHE) || virtio_config(&disk->virtio, CONFIG_CACHE, 1) != 0);
    uint32_t block_sectors = b->logical_block / SECTOR_SIZE;
    if (has & BLK_F_DISCARD) disk->discard_most = (uint32_t)align_down(config32(disk, CONFIG_DISCARD_MOST), block_sectors);
    if (has & BLK_F_WRITE_ZEROES) disk->zeroes_most = (uint32_t)align_down(config32(disk, CONFIG_ZEROES_MOST), block_sectors);
    b->discards = disk->discard_most > 0;
    b->zeroes = disk->zeroes_most > 0;
}

// ---- queues -----------------------------------------------------------------------------------------------------------------

static int queue_make(struct virtio_blk *disk, unsigned index) {
    struct virtio_blk_queue *q = &disk->queue[index];
    struct virtio_device *v = &disk->virtio;
    uint16_t most = v->transport->queue_most(v, index);
    q->disk = disk;
    spin_init(&q->lock, "virtio_blk_queue");
    list_init(&q->waiting);
    bool indirect = v->features & VIRTIO_F_INDIRECT_DESC;
    if (!indirect && most < disk->block.max_vectors + 2) disk->block.max_vectors = MAX(1u, most / 4u);
    int error = virtio_queue_create(&q->ring, (uint16_t)index, most, (uint16_t)(disk->block.max_vectors + 2), indirect,
                                    v->features & VIRTIO_F_EVENT_IDX);
    if (error) return error;
    struct page *slots = page_alloc_contiguous(div_round_up(sizeof(struct virtio_blk_slot) * q->ring.slots, PAGE_SIZE), PAGE_ALLOC_ZERO);
    if (slots == NULL) return -ENOMEM;
    q->slots = page_to_virt(slots);
    q->slots_address = page_to_phys(slots).v;
    return v->transport->queue_start(v, index, &q->ring);
}

static int queues_make(struct virtio_blk *disk) {
    unsigned offered = disk->virtio.features & BLK_F_QUEUES ? (unsigned)virtio_config(&disk->virtio, CONFIG_QUEUES, 2) : 1;
    offered = MIN(offered, (unsigned)VIRTIO_QUEUES_MAX);
    disk->queues = MAX(1u, MIN(offered, (unsigned)cpu_count));
    disk->queue = kcalloc(disk->queues, sizeof *disk->queue);
    if (disk->queue == NULL) return -ENOMEM;
    int error = 0;
    for (unsigned i = 0; i < disk->queues && !error; i++) error = queue_make(disk, i);
    return error ? error : disk->virtio.transport->interrupts(&disk->virtio, disk->queues);
}

// ---- the watchdog -----------------------------------------------------------------------------------------------------------

// A request is given up after disk_timeout, and at most a round later.
static void watch(void *arg) {
    uint64_t limit = boot_options.disk_timeout, round = MIN(limit, ROUND_MOST);
    for (;;) {
        sched_sleep_until(arch_now() + round);
        unsigned count = __atomic_load_n(&disk_count, __ATOMIC_ACQUIRE);
        for (unsigned i = 0; i < count; i++) virtio_blk_watch(disks[i], (unsigned)MIN(limit / round + 1, (uint64_t)UINT16_MAX));
    }
}

static void watch_start(void) {
    if (boot_options.disk_timeout == 0) return;
    if (sched_kthread_create("disk_watchdog", watch, NULL) == NULL) log_warn("disks: no memory for their watchdog");
}

// ---- the disk ---------------------------------------------------------------------------------------------------------------

static void config_fired(struct virtio_device *v) {
    struct virtio_blk *disk = container_of(v, struct virtio_blk, virtio);
    if (virtio_blk_state(disk) != VIRTIO_BLK_RUNS) return;
    if (v->transport->status(v) & VIRTIO_NEEDS_RESET) {
        virtio_blk_give_up(disk, "it wants to be reset");
        return;
    }
    struct block_device *b = &disk->block;
    uint64_t before = b->sectors;
    if (read_sizes(disk) != 0) virtio_blk_give_up(disk, "its block size has changed");
    else if (b->sectors != before) log_info("%s: now %lu sectors, before %lu", b->name, b->sectors, before);
}

static int disk_start(struct virtio_blk *disk) {
    disk->block.ops = &virtio_blk_ops;
    disk->virtio.queue_fired = virtio_blk_queue_fired;
    disk->virtio.config_fired = config_fired;
    int error = virtio_negotiate(&disk->virtio, WANTED);
    if (!error) error = read_sizes(disk);
    if (error) return error;
    read_limits(disk);
    return queues_make(disk);
}

// Takes over `disk`. What a device that failed was told of stays allocated: it may still write there.
static void disk_add(struct virtio_blk *disk, int error, const char *where) {
    if (error == -ENODEV || error == -EBUSY) {
        kfree(disk);
        return;
    }
    fmt_print(disk->block.name, sizeof disk->block.name, "vd%c", 'a' + (int)disk_count);
    if (!error) error = disk_start(disk);
    if (error) {
        virtio_switch_off(&disk->virtio);
        log_error("%s: virtio disk at %s: error %d", disk->block.name, where, -error);
        return;
    }
    virtio_ready(&disk->virtio);
    disks[disk_count] = disk;
    __atomic_store_n(&disk_count, disk_count + 1, __ATOMIC_RELEASE);
    if (disk_count == 1) watch_start();
    const struct block_device *b = &disk->block;
    log_info("%s: %lu MiB at %s, %u-byte blocks, %u queue%s%s%s%s", b->name, b->sectors >> 11, where, b->logical_block, disk->queues,
             disk->queues == 1 ? "" : "s", b->read_only ? ", read-only" : "", disk->cache ? ", write cache" : "",
             b->discards ? ", discard" : "");
    block_register(&disk->block);
    partitions_find(&disk->block);
}

// The memory-mapped slot behind address `base`; -1: none. The machine description names them in any order.
static int mmio_next(uint64_t base) {
    const struct hal_virtio_mmio *slots;
    unsigned count = hal_virtio_mmio_list(&slots);
    int found = -1;
    for (unsigned i = 0; i < count; i++)
        if (slots[i].type == VIRTIO_BLOCK && slots[i].base > base && (found < 0 || slots[i].base < slots[found].base)) found = (int)i;
    return found;
}

void virtio_blk_init(void) {
    const struct hal_virtio_mmio *slots;
    struct virtio_blk *disk;
    for (struct pci_function *f = pci_next(NULL); f != NULL && disk_count < DISKS_MAX; f = pci_next(f)) {
        if (f->info.vendor != VENDOR_VIRTIO || (disk = kzalloc(sizeof *disk)) == NULL) continue;
        disk_add(disk, virtio_pci_open(&disk->virtio, f, VIRTIO_BLOCK), f->device.name);
    }
    (void)hal_virtio_mmio_list(&slots);
    for (int i = mmio_next(0); i >= 0 && disk_count < DISKS_MAX; i = mmio_next(slots[i].base)) {
        if ((disk = kzalloc(sizeof *disk)) == NULL) continue;
        disk_add(disk, virtio_mmio_open(&disk->virtio, (unsigned)i, VIRTIO_BLOCK), "mmio");
    }
}
