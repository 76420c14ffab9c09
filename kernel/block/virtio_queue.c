#include "kernel/block/virtio_queue.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/mm/page.h"
#include "lib/string.h"
#include "lib/util.h"

enum { FLAGS = 0, INDEX = 1, RING = 2 };  // of avail and used, in 16-bit units
enum { USED_NO_NOTIFY = 1 };

static inline struct virtio_used_entry *used_ring(const struct virtio_queue *q) {
    return (struct virtio_used_entry *)(uintptr_t)(q->used + RING);
}
// 2.7.10: which index the other side wants to be told of, behind the ring.
static inline uint16_t *used_event(const struct virtio_queue *q) { return q->avail + RING + q->size; }
static inline const volatile uint16_t *avail_event(const struct virtio_queue *q) {
    return (volatile uint16_t *)(used_ring(q) + q->size);
}

static void chains_init(struct virtio_queue *q) {
    for (unsigned slot = 0; slot < q->slots; slot++) {
        struct virtio_desc *chain = virtio_queue_chain(q, slot);
        unsigned first = q->indirect ? 0 : slot * q->stride;
        for (unsigned i = 0; i < q->chain_most; i++) chain[i].next = (uint16_t)(first + i + 1);
        if (q->indirect)
            virtio_desc_set(&q->desc[slot], virt_to_phys(chain).v, 0, VIRTIO_DESC_INDIRECT);
        q->free[q->slots - 1 - slot] = (uint16_t)slot;
    }
    q->free_count = q->slots;
}

int virtio_queue_create(struct virtio_queue *q, uint16_t index, uint16_t most, uint16_t chain, bool indirect, bool event_index) {
    uint16_t limit = MIN(most, (uint16_t)(indirect ? VIRTIO_QUEUE_SLOTS : VIRTIO_QUEUE_RING));
    if (limit == 0 || (!indirect && limit < chain)) return -EINVAL;
    *q = (struct virtio_queue){.index = index, .indirect = indirect, .event_index = event_index, .chain_most = chain};
    q->size = (uint16_t)(1u << log2_floor(limit));
    if (!indirect && q->size < chain) return -EINVAL;
    q->mask = (uint16_t)(q->size - 1);
    q->stride = indirect ? 1 : chain;
    q->slots = (uint16_t)MIN((unsigned)q->size / q->stride, (unsigned)VIRTIO_QUEUE_SLOTS);

    size_t avail = sizeof(struct virtio_desc) * q->size, used = align_up(avail + 6 + 2ul * q->size, 64);
    size_t tables = align_up(used + 6 + sizeof(struct virtio_used_entry) * q->size, 64);
    size_t bytes = tables + (indirect ? sizeof(struct virtio_desc) * chain * q->slots : 0);
    q->pages = (uint32_t)div_round_up(bytes, PAGE_SIZE);
    struct page *pages = page_alloc_contiguous(q->pages, PAGE_ALLOC_ZERO);
    if (pages == NULL) return -ENOMEM;
    char *memory = page_to_virt(pages);
    q->desc = (void *)memory;
    q->avail = (void *)(memory + avail);
    q->used = (void *)(memory + used);
    q->tables = (void *)(memory + tables);
    q->desc_address = virt_to_phys(memory).v;
    q->avail_address = q->desc_address + avail;
    q->used_address = q->desc_address + used;
    chains_init(q);
    return 0;
}

void virtio_queue_clear(struct virtio_queue *q) {
    memset(q->avail, 0, 6 + 2ul * q->size);
    memset((void *)(uintptr_t)q->used, 0, 6 + sizeof(struct virtio_used_entry) * q->size);
    memset(q->room, 0, sizeof q->room);
    q->avail_next = q->told = q->used_next = q->in_flight = 0;
    q->broken = false;
    chains_init(q);
}

void virtio_queue_destroy(struct virtio_queue *q) { page_free_contiguous(virt_to_page(q->desc), q->pages); }

void virtio_queue_add(struct virtio_queue *q, unsigned slot, unsigned count, uint32_t room) {
    assert(room > 0 && q->room[slot] == 0 && count <= q->chain_most);
    q->room[slot] = room;
    if (q->indirect) q->desc[slot].length = count * (uint32_t)sizeof(struct virtio_desc);
    q->avail[RING + (q->avail_next & q->mask)] = (uint16_t)(slot * q->stride);
    q->avail_next++;
    q->in_flight++;
    __atomic_store_n(&q->avail[INDEX], q->avail_next, __ATOMIC_RELEASE);
}

void virtio_queue_tell(struct virtio_queue *q) {
    uint16_t from = q->told;
    if (from == q->avail_next) return;
    q->told = q->avail_next;
    arch_device_fence();  // the index must be out before the device's wish is read
    bool wanted = q->event_index ? (uint16_t)(q->avail_next - *avail_event(q) - 1) < (uint16_t)(q->avail_next - from)
                                 : (q->used[FLAGS] & USED_NO_NOTIFY) == 0;
    if (!wanted) return;
    if (q->doorbell_wide) *(volatile uint32_t *)q->doorbell = q->index;
    else *(volatile uint16_t *)q->doorbell = q->index;
}

int virtio_queue_take(struct virtio_queue *q, unsigned *slot, uint32_t *written) {
    if (unlikely(q->broken)) return -EIO;
    uint16_t index = __atomic_load_n(&q->used[INDEX], __ATOMIC_ACQUIRE);
    uint16_t ready = (uint16_t)(index - q->used_next);
    if (ready == 0) return 0;
    const volatile struct virtio_used_entry *entry = &used_ring(q)[q->used_next & q->mask];
    uint32_t id = entry->id, length = entry->length, at = q->stride == 1 ? id : id / q->stride;
    bool lie = ready > q->in_flight || at >= q->slots || at * q->stride != id || q->room[at] == 0 || length > q->room[at];
    if (unlikely(lie)) {
        q->broken = true;
        return -EIO;
    }
    q->used_next++;
    q->in_flight--;
    q->room[at] = 0;
    q->free[q->free_count++] = (uint16_t)at;
    *slot = at;
    *written = length;
    return 1;
}

bool virtio_queue_arm(struct virtio_queue *q) {
    if (q->event_index) {
        __atomic_store_n(used_event(q), q->used_next, __ATOMIC_RELAXED);
        arch_device_fence();  // the wish must be out before the index is read
    }
    return __atomic_load_n(&q->used[INDEX], __ATOMIC_ACQUIRE) != q->used_next;
}
