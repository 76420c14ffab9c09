// The driver of virtio disks against a device in this program: one that obeys, then ones that lie.
// links: kernel/block/virtio_queue.c kernel/block/virtio_blk_io.c kernel/block/block.c lib/string.c
// links: kernel/mm/page_alloc.c kernel/mm/page_buddy.c kernel/mm/page_release.c kernel/mm/page_cpu_cache.c kernel/mm/page_debug.c
#include "abi/gen/errors.h"
#include "kernel/block/virtio_blk.h"
#include "kernel/mm/page.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define SECTORS 4096u
#define MOST 400u

static struct virtio_blk disk;
static struct virtio_blk_queue queues[2];
static uint8_t content[SECTORS * 512];
static volatile uint32_t doorbell;
static bool off;

void virtio_switch_off(struct virtio_device *v) { off = true, (void)v; }

// ---- the device ---------------------------------------------------------------------------------------------------------------

static struct device_side {
    uint16_t avail_next, used_next;
    unsigned requests, flushes, kicks, most_descriptors;
    uint8_t status;             // what requests end with
    bool no_status;
} device;

static struct virtio_used_entry *used_ring(struct virtio_queue *q) { return (void *)(uintptr_t)(q->used + 2); }

static void use(struct virtio_queue *q, uint32_t id, uint32_t length)
{
    used_ring(q)[device.used_next & q->mask] = (struct virtio_used_entry){id, length};
    q->used[1] = ++device.used_next;
}

static uint32_t move(struct virtio_desc *d, uint64_t *sector, bool write)
{
    void *memory = phys_to_virt(paddr(d->address));

    if (write)
        memcpy(content + *sector * 512, memory, d->length);
    else
        memcpy(memory, content + *sector * 512, d->length);
    *sector += d->length / 512;
    return write ? 0 : d->length;
}

// Serves the oldest request; returns whether there was one.
static bool serve(struct virtio_queue *q)
{
    uint16_t head;
    uint32_t written = 0;

    if (device.avail_next == q->avail[1])
        return false;
    head = q->avail[2 + (device.avail_next++ & q->mask)];
    struct virtio_desc *d = &q->desc[head], *table = q->desc;
    unsigned count = 1;
    if (d->flags & VIRTIO_DESC_INDIRECT) {
        table = phys_to_virt(paddr(d->address));
        unsigned in_table = d->length / sizeof *d;
        d = table;
        for (struct virtio_desc *last = table; last->flags & VIRTIO_DESC_NEXT; last = &table[last->next])
            CHECK(last->next < in_table);
    }
    struct virtio_blk_slot *header = phys_to_virt(paddr(d->address));
    CHECK_EQ(d->length, 16);
    uint64_t sector = header->sector;
    device.requests++;
    device.flushes += header->type == 4;
    for (d = &table[d->next]; d->flags & VIRTIO_DESC_NEXT; d = &table[d->next], count++)
        if (device.status == 0 && header->type <= 1)
            written += move(d, &sector, header->type == 1);
    if (count > device.most_descriptors)
        device.most_descriptors = count;
    CHECK_EQ(d->length, 1);
    if (!device.no_status)
        *(uint8_t *)phys_to_virt(paddr(d->address)) = device.status;
    use(q, head, written + 1);
    return true;
}

// ---- the disk -----------------------------------------------------------------------------------------------------------------

static void begin(bool indirect, bool event_index, unsigned count)
{
    static const struct mem_range ram = {0x100000, 63ul << 20};
    static bool ready;

    if (!ready) {
        host_memory_init(64ul << 20);
        page_alloc_init(&ram, 1);
        ready = true;
    }
    memset(&disk, 0, sizeof disk);
    memset(&device, 0, sizeof device);
    memset(queues, 0, sizeof queues);
    off = false;
    disk.block = (struct block_device){.ops = &virtio_blk_ops, .name = "vda", .sectors = SECTORS, .logical_block = 512,
                                       .max_vectors = 30, .max_sectors = 256, .discards = true, .refs = 1};
    disk.cache = true;
    disk.segment_most = 65536;
    disk.discard_most = 100;
    disk.queues = count;
    disk.queue = queues;
    for (unsigned i = 0; i < count; i++) {
        struct virtio_blk_queue *q = &queues[i];

        q->disk = &disk;
        spin_init(&q->lock, "queue");
        list_init(&q->waiting);
        CHECK_EQ(virtio_queue_create(&q->ring, (uint16_t)i, 256, 32, indirect, event_index), 0);
        q->ring.doorbell = (volatile uint8_t *)&doorbell;
        q->ring.doorbell_wide = true;
        q->slots = page_to_virt(page_alloc_contiguous(1, PAGE_ALLOC_ZERO));
        q->slots_address = virt_to_phys(q->slots).v;
    }
}

static void run(void)
{
    do {
        while (serve(&queues[0].ring))
            continue;
        virtio_blk_queue_fired(&disk.virtio, 0);
    } while (device.avail_next != queues[0].ring.avail[1]);
}

static struct one {
    struct block_request request;
    struct block_vector vector;
    uint8_t *data;
    unsigned done;
} ones[MOST];
static unsigned finished;

static void done(struct block_request *r)
{
    struct one *o = container_of(r, struct one, request);

    o->done++;
    finished++;
}

static void alone(struct block_request *r) { (void)r, finished++; }

static void start(unsigned i, uint8_t op, uint64_t sector, uint32_t bytes, uint8_t flags)
{
    struct one *o = &ones[i];

    free(o->data);
    memset(o, 0, sizeof *o);
    o->data = aligned_alloc(4096, 4096);
    memset(o->data, (int)i, 4096);
    o->vector = (struct block_vector){o->data, bytes};
    o->request = (struct block_request){.op = op, .flags = flags, .sector = sector, .sectors = bytes / 512, .vectors = &o->vector,
                                        .vector_count = 1, .done = done};
    block_submit(&disk.block, &o->request);
}

static void check_all(unsigned count, int error)
{
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(ones[i].done, 1);
        CHECK_EQ(ones[i].request.error, error);
        free(ones[i].data);
        ones[i].data = NULL;
    }
}

TEST(many_requests_wait_for_slots_and_arrive)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        begin(kind & 1, kind & 2, 1);
        for (unsigned round = 0; round < 300; round++) {  // the indices wrap
            for (unsigned i = 0; i < MOST; i++)
                start(i, BLOCK_WRITE, i, 512, 0);
            CHECK(!list_is_empty(&queues[0].waiting));
            run();
            check_all(MOST, 0);
            if (round % 100 != 0)
                continue;
            for (unsigned i = 0; i < MOST; i++) {
                CHECK_EQ(content[i * 512], (uint8_t)i);
                start(i, BLOCK_READ, i, 512, 0);
                memset(ones[i].data, 0xee, 512);
            }
            run();
            for (unsigned i = 0; i < MOST; i++)
                CHECK_EQ(ones[i].data[511], (uint8_t)i);
            check_all(MOST, 0);
        }
        CHECK_EQ(queues[0].ring.free_count, queues[0].ring.slots);
        CHECK(!off);
    }
}

TEST(neighbours_in_memory_become_one_segment)
{
    struct block_vector vectors[20];
    uint8_t *data = aligned_alloc(4096, 20 * 4096);
    struct block_request r = {.op = BLOCK_WRITE, .vectors = vectors, .vector_count = 20, .done = alone};

    begin(true, true, 1);
    for (unsigned i = 0; i < 20; i++)
        vectors[i] = (struct block_vector){data + i * 4096, 4096};
    memset(data, 7, 20 * 4096);
    block_submit(&disk.block, &r);
    run();
    CHECK_EQ(r.error, 0);
    CHECK_EQ(device.most_descriptors, 3);  // 80 KiB in segments of 64: two, and the status
    CHECK_EQ(content[20 * 4096 - 1], 7);
    free(data);
}

TEST(a_durable_write_is_a_write_and_a_flush)
{
    begin(true, true, 1);
    start(0, BLOCK_WRITE, 5, 512, BLOCK_FUA);
    CHECK(serve(&queues[0].ring) && !serve(&queues[0].ring));
    virtio_blk_queue_fired(&disk.virtio, 0);
    CHECK_EQ(ones[0].done, 0);
    run();
    check_all(1, 0);
    CHECK_EQ(device.flushes, 1);
    disk.cache = false;
    start(0, BLOCK_WRITE, 5, 512, BLOCK_FUA);
    start(1, BLOCK_FLUSH, 0, 0, 0);
    run();
    check_all(2, 0);
    CHECK_EQ(device.flushes, 1);
}

TEST(a_large_discard_goes_in_steps)
{
    begin(true, true, 1);
    start(0, BLOCK_DISCARD, 10, 512, 0);
    ones[0].done = 0;
    run();
    CHECK_EQ(device.requests, 1);
    struct block_request r = {.op = BLOCK_DISCARD, .sector = 10, .sectors = 1050, .done = alone};
    block_submit(&disk.block, &r);
    run();
    CHECK_EQ(r.error, 0);
    CHECK_EQ(device.requests, 12);
    free(ones[0].data);
    ones[0].data = NULL;
}

TEST(the_device_is_told_of_several_at_once)
{
    begin(true, false, 2);
    doorbell = 99;
    start(0, BLOCK_WRITE, 0, 512, BLOCK_MORE);
    CHECK_EQ(doorbell, 99);
    unit_become_cpu(1);
    start(1, BLOCK_WRITE, 1, 512, BLOCK_MORE);
    CHECK_EQ(doorbell, 99);
    // The last one is refused: the device hears of the others all the same.
    start(2, BLOCK_WRITE, SECTORS, 512, 0);
    CHECK_EQ(ones[2].request.error, -EINVAL);
    CHECK(doorbell != 99);
    CHECK_EQ(queues[0].ring.told, 1);
    CHECK_EQ(queues[1].ring.told, 1);
    unit_become_cpu(0);
    for (unsigned i = 0; i < 3; i++) {
        free(ones[i].data);
        ones[i].data = NULL;
    }
}

TEST(errors_of_the_device_are_eio)
{
    begin(true, true, 1);
    for (unsigned status = 1; status < 256; status++) {
        device.status = (uint8_t)status;
        start(0, BLOCK_READ, 0, 512, 0);
        run();
        check_all(1, -EIO);
    }
    device.status = 0;
    device.no_status = true;
    start(0, BLOCK_WRITE, 0, 512, 0);
    run();
    check_all(1, -EIO);
    CHECK(!off);
}

// ---- lies ---------------------------------------------------------------------------------------------------------------------

static uint32_t a_head(void) { return queues[0].ring.avail[2]; }
static void lie_id(struct virtio_queue *q) { use(q, q->size, 1); }
static void lie_large_id(struct virtio_queue *q) { use(q, UINT32_MAX, 1); }
static void lie_length(struct virtio_queue *q) { use(q, a_head(), 514); }
static void lie_twice(struct virtio_queue *q) { use(q, a_head(), 513), use(q, a_head(), 513); }
static void lie_index(struct virtio_queue *q) { use(q, a_head(), 513), q->used[1] = (uint16_t)(q->used[1] + 100); }
static void lie_backwards(struct virtio_queue *q) { q->used[1]--; }
static void lie_inner_id(struct virtio_queue *q) { use(q, a_head() + 1, 513); }

TEST(a_device_that_lies_is_switched_off)
{
    static void (*const lies[])(struct virtio_queue *) = {lie_id, lie_large_id, lie_length, lie_twice, lie_index, lie_backwards,
                                                          lie_inner_id};
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned lie = 0; lie < ARRAY_SIZE(lies); lie++) {
            begin(kind, true, 1);
            if (kind && lies[lie] == lie_inner_id)
                continue;  // with indirect tables every descriptor is a head
            finished = 0;
            for (unsigned i = 0; i < 200; i++)
                start(i, BLOCK_READ, i, 512, 0);
            lies[lie](&queues[0].ring);
            virtio_blk_queue_fired(&disk.virtio, 0);
            if (!off)
                unit_fail(__FILE__, __LINE__, "lie %u is believed", lie);
            CHECK_EQ(finished, 200);
            for (unsigned i = 0; i < 200; i++)
                CHECK(ones[i].done == 1 && (ones[i].request.error == -EIO || (ones[i].request.error == 0 && i == 0)));
            start(0, BLOCK_READ, 0, 512, 0);
            CHECK_EQ(ones[0].request.error, -EIO);
            virtio_blk_queue_fired(&disk.virtio, 0);  // a late interrupt
            for (unsigned i = 0; i < 200; i++) {
                free(ones[i].data);
                ones[i].data = NULL;
            }
        }
}

TEST(a_read_that_wrote_too_little_is_an_error)
{
    begin(true, true, 1);
    start(0, BLOCK_READ, 0, 512, 0);
    *(uint8_t *)&queues[0].slots[a_head()].status = 0;
    use(&queues[0].ring, a_head(), 100);
    virtio_blk_queue_fired(&disk.virtio, 0);
    check_all(1, -EIO);
}
