// The driver of virtio disks against a device in this program: one that obeys, then ones that lie.
// links: kernel/block/virtio.c kernel/block/virtio_queue.c kernel/block/virtio_blk_io.c kernel/block/virtio_blk_watch.c
// links: kernel/block/block.c lib/string.c
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
static bool off;  // its status was set to 0

void sched_sleep_until(nanos_t deadline) { (void)deadline; }
void pci_kernel_bus_master(struct pci_function *f, bool on) { (void)f, (void)on; }
nanos_t arch_now(void) { return 0; }

// ---- the device ---------------------------------------------------------------------------------------------------------------

static struct device_side {
    uint8_t device_status, feature_loss;
    bool deaf;                  // it does not obey a reset
    unsigned resets, starts, vectors;
    uint16_t avail_next, used_next;
    unsigned requests, flushes, kicks, most_descriptors;
    uint8_t status;             // what requests end with
    bool no_status;
} device;

static uint8_t get_status(struct virtio_device *v) { return (void)v, device.device_status; }
static void set_status(struct virtio_device *v, uint8_t value)
{
    (void)v;
    off |= value == 0;
    if (value == 0 && device.deaf)
        return;
    device.device_status = value;
    if (value != 0)
        return;
    device.resets++;
    device.avail_next = device.used_next = 0;
}
static uint32_t get_features(struct virtio_device *v, unsigned word)
{
    (void)v;
    return word == 0 ? (uint32_t)VIRTIO_F_EVENT_IDX >> device.feature_loss : 1;
}
static void accept_features(struct virtio_device *v, unsigned word, uint32_t value) { (void)v, (void)word, (void)value; }
static int queue_start(struct virtio_device *v, unsigned index, struct virtio_queue *q)
{
    (void)v, (void)index;
    CHECK_EQ(q->avail[1], 0);
    device.starts++;
    return 0;
}
static int tell_vectors(struct virtio_device *v) { return (void)v, device.vectors++, 0; }
static const struct virtio_transport transport = {.status = get_status, .set_status = set_status, .features = get_features,
                                                  .accept = accept_features, .queue_start = queue_start, .vectors = tell_vectors};

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
    disk.virtio.transport = &transport;
    disk.virtio.features = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX;
    device.device_status = VIRTIO_DRIVER_OK;
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

// ---- no answer ----------------------------------------------------------------------------------------------------------------

static void watch(unsigned times)
{
    while (times-- > 0)
        virtio_blk_watch(&disk, 3);
}

// The device takes the oldest request and forgets it.
static void lose(struct virtio_queue *q)
{
    CHECK(device.avail_next != q->avail[1]);
    device.avail_next++;
}

TEST(a_request_without_an_answer_fails_and_the_others_go_on)
{
    enum { OLD = 6, ANSWERED = 4 };  // what is placed before the first round; of it, the first is lost, those behind it answered

    for (unsigned kind = 0; kind < 2; kind++) {
        begin(kind, true, 1);
        for (unsigned i = 0; i < OLD; i++)
            start(i, BLOCK_WRITE, i, 512, 0);
        watch(2);
        CHECK_EQ(ones[0].done, 0);
        lose(&queues[0].ring);
        for (unsigned i = 1; i < ANSWERED; i++)
            CHECK(serve(&queues[0].ring));
        virtio_blk_queue_fired(&disk.virtio, 0);
        for (unsigned i = 0; i < OLD; i++)
            CHECK_EQ(ones[i].done, i > 0 && i < ANSWERED);
        for (unsigned i = OLD; i < 200; i++)
            start(i, BLOCK_WRITE, i, 512, 0);  // younger, some without a slot
        CHECK(!off);
        watch(1);
        CHECK(off && device.resets >= 1 && device.starts == 1 && device.vectors == 1);
        CHECK(device.device_status & VIRTIO_DRIVER_OK);
        for (unsigned i = 0; i < OLD; i++)  // those that were placed with the lost one are as old as it
            CHECK_EQ(ones[i].done, 1);
        memset(content, 0xff, sizeof content);
        run();
        for (unsigned i = 0; i < 200; i++) {
            CHECK_EQ(ones[i].done, 1);
            CHECK_EQ(ones[i].request.error, i == 0 || (i >= ANSWERED && i < OLD) ? -EIO : 0);
            if (i >= OLD)
                CHECK_EQ(content[i * 512], (uint8_t)i);
            free(ones[i].data);
            ones[i].data = NULL;
        }
        CHECK_EQ(queues[0].ring.free_count, queues[0].ring.slots);
    }
}

TEST(requests_wait_while_the_disk_is_reset)
{
    begin(true, true, 1);
    disk.state = VIRTIO_BLK_RESETS;
    start(0, BLOCK_WRITE, 3, 512, BLOCK_FUA);
    CHECK(ones[0].done == 0 && queues[0].ring.in_flight == 0);
    virtio_blk_queue_fired(&disk.virtio, 0);
    disk.state = VIRTIO_BLK_RUNS;
    virtio_blk_queue_fired(&disk.virtio, 0);
    run();
    check_all(1, 0);
    CHECK_EQ(device.flushes, 1);
}

// Between the write and its flush: the flush alone is done again.
TEST(a_durable_write_goes_on_where_it_was)
{
    begin(true, true, 1);
    start(0, BLOCK_WRITE, 5, 512, BLOCK_FUA);
    start(1, BLOCK_READ, 5, 512, 0);
    CHECK(serve(&queues[0].ring));
    lose(&queues[0].ring);
    watch(2);
    virtio_blk_queue_fired(&disk.virtio, 0);  // the flush is placed: younger than the read
    watch(1);
    CHECK_EQ(ones[1].done, 1);
    CHECK_EQ(ones[1].request.error, -EIO);
    CHECK_EQ(ones[0].done, 0);
    unsigned before = device.requests;
    run();
    CHECK_EQ(device.requests, before + 1);
    CHECK_EQ(device.flushes, 1);
    CHECK(ones[0].done == 1 && ones[0].request.error == 0);
    for (unsigned i = 0; i < 2; i++) {
        free(ones[i].data);
        ones[i].data = NULL;
    }
}

TEST(a_disk_that_never_answers_is_given_up)
{
    begin(true, true, 2);
    for (unsigned round = 0; round < 4; round++) {
        CHECK(disk.state == VIRTIO_BLK_RUNS);
        start(0, BLOCK_READ, 0, 512, 0);
        watch(3);
        check_all(1, -EIO);
    }
    CHECK(disk.state == VIRTIO_BLK_DEAD);
    start(0, BLOCK_READ, 0, 512, 0);
    check_all(1, -EIO);
}

TEST(a_disk_that_answers_now_and_then_is_kept)
{
    begin(true, true, 1);
    for (unsigned round = 0; round < 20; round++) {
        start(0, BLOCK_READ, 0, 512, 0);
        watch(3);
        check_all(1, -EIO);
        start(0, BLOCK_READ, 0, 512, 0);
        run();
        check_all(1, 0);
        watch(1);
        CHECK(disk.state == VIRTIO_BLK_RUNS);
    }
}

TEST(memory_that_a_deaf_device_may_write_is_not_given_back)
{
    begin(true, true, 1);
    start(0, BLOCK_READ, 0, 512, 0);
    start(1, BLOCK_WRITE, 1, 512, 0);
    start(2, BLOCK_FLUSH, 0, 0, 0);
    device.deaf = true;
    watch(3);
    CHECK(disk.state == VIRTIO_BLK_DEAD && off);
    CHECK_EQ(ones[0].done, 0);
    CHECK(ones[1].done == 1 && ones[1].request.error == -EIO);
    CHECK(ones[2].done == 1 && ones[2].request.error == -EIO);
    watch(10);
    CHECK_EQ(ones[0].done, 0);
    CHECK(serve(&queues[0].ring));  // it is still at it
    virtio_blk_queue_fired(&disk.virtio, 0);
    CHECK_EQ(ones[0].done, 0);
    device.deaf = false;
    watch(1);
    check_all(3, -EIO);
    watch(1);
}

TEST(a_disk_that_has_become_another_is_given_up)
{
    begin(true, true, 1);
    start(0, BLOCK_READ, 0, 512, 0);
    watch(2);
    start(1, BLOCK_WRITE, 0, 512, 0);
    device.feature_loss = 1;
    watch(1);
    CHECK(disk.state == VIRTIO_BLK_DEAD);
    check_all(2, -EIO);
}
