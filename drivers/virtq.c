#include "drivers/virtq.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

size_t virtq_avail_offset(uint16_t size) { return sizeof(struct virtq_desc) * size; }
size_t virtq_used_offset(uint16_t size) { return (virtq_avail_offset(size) + 6 + 2ul * size + 3) & ~3ul; }
size_t virtq_bytes(uint16_t size) {
    return (virtq_used_offset(size) + 6 + sizeof(struct virtq_used_entry) * size + 4095) & ~4095ul;
}

void virtq_init(struct virtq *q, void *memory, uint16_t size) {
    *q = (struct virtq){.size = size, .mask = (uint16_t)(size - 1), .free_count = size};
    q->desc = memory;
    q->avail = (struct virtq_avail *)((char *)memory + virtq_avail_offset(size));
    q->used = (struct virtq_used *)((char *)memory + virtq_used_offset(size));
    for (uint16_t i = 0; i < size; i++) q->slot[i].link = (uint16_t)(i + 1);
}

int virtq_add(struct virtq *q, const struct virtq_buffer *buffers, unsigned count, uint32_t cookie) {
    if (count == 0 || count > q->free_count) return -ENOSPC;
    uint16_t head = q->free_head, at = head;
    uint32_t room = 0;
    for (unsigned i = 0; i < count; i++) {
        uint16_t link = q->slot[at].link, flags = 0;
        if (buffers[i].device_writes) {
            flags |= DESC_WRITE;
            room += buffers[i].length;
        }
        if (i + 1 < count) flags |= DESC_NEXT;
        q->desc[at] = (struct virtq_desc){buffers[i].address, buffers[i].length, flags, link};
        q->free_head = link;
        if (i + 1 < count) at = link;
    }
    q->slot[head].cookie = cookie;
    q->slot[head].room = room;
    q->slot[head].count = (uint16_t)count;
    q->free_count = (uint16_t)(q->free_count - count);
    q->in_flight++;
    q->avail->ring[q->avail_next++ & q->mask] = head;
    return 0;
}

// What was stored is seen by the device before what follows is read.
static void fence(const struct virtq *q) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (q->fence_register != NULL) (void)*q->fence_register;
}

bool virtq_publish(struct virtq *q) {
    __atomic_store_n(&q->avail->index, q->avail_next, __ATOMIC_RELEASE);
    fence(q);  // the index must be out before the flag is read
    return (__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & USED_NO_NOTIFY) == 0;
}

// The chain's descriptors go back to the free list.
static void chain_free(struct virtq *q, uint16_t head) {
    uint16_t last = head;
    for (unsigned i = 1; i < q->slot[head].count; i++) last = q->slot[last].link;
    q->free_count = (uint16_t)(q->free_count + q->slot[head].count);
    q->slot[head].count = 0;
    q->slot[last].link = q->free_head;
    q->free_head = head;
    q->in_flight--;
}

int virtq_take(struct virtq *q, uint32_t *cookie, uint32_t *written) {
    if (q->broken) return -EIO;
    uint16_t index = __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE);
    if (index == q->used_next) return 0;
    const volatile struct virtq_used_entry *entry = &q->used->ring[q->used_next & q->mask];
    uint32_t id = entry->id, length = entry->length;
    bool lie = (uint16_t)(index - q->used_next) > q->in_flight || id >= q->size || q->slot[id].count == 0 ||
               length > q->slot[id].room;
    if (lie) {
        q->broken = true;
        return -EIO;
    }
    *cookie = q->slot[id].cookie;
    *written = length;
    chain_free(q, (uint16_t)id);
    q->used_next++;
    return 1;
}

void virtq_interrupts(struct virtq *q, bool wanted) {
    __atomic_store_n(&q->avail->flags, wanted ? 0 : AVAIL_NO_INTERRUPT, __ATOMIC_RELAXED);
    if (wanted) fence(q);  // the wish must be out before the index is read
}
