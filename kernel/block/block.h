// Block devices: disks and partitions, as the rest of storage sees them. Requests are asynchronous; a device takes any
// number of them (what its queues have no room for waits in a list) and may finish them in any order. Only a flush orders:
// what was finished before a flush was submitted is on stable storage when that flush is done.
//
//     file system, caches ──block_submit──▶ partition (adds its first sector, checks the end) ──▶ disk driver
//                         ◀──── done ────────────────────────────────────────────────────────── (interrupt)
//
// Also built for host tests, where the devices are files and memory that finish a request before block_submit returns.
#pragma once
#include "kernel/core/types.h"
#include "lib/list.h"

#define SECTOR_SHIFT 9
#define SECTOR_SIZE 512u  // all sector numbers are in this unit, whatever the device's own blocks are

struct block_device;
struct object;

enum block_op {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,         // what was done is to be on stable storage
    BLOCK_DISCARD,       // the content may be forgotten; done even where the device cannot
    BLOCK_WRITE_ZEROES,  // by the device; -EOPNOTSUPP where it cannot
};
enum {
    BLOCK_FUA = 1 << 0,   // BLOCK_WRITE: on stable storage when done
    BLOCK_MORE = 1 << 1,  // the submitter gives the device another request at once: it may be told of both with that one
};

struct block_vector {
    void *data;      // in the direct map (a page, kmalloc'ed memory), 512-byte aligned
    uint32_t bytes;  // multiple of the device's logical block
};

struct block_request {
    uint8_t op;               // enum block_op
    uint8_t flags;            // BLOCK_FUA, BLOCK_MORE
    uint16_t vector_count;
    int error;                // when done: 0, -EIO, -EROFS, -EINVAL (outside the device, alignment), -ENODEV
    uint64_t sector;          // 512-byte units, from the start of the device submitted to; the layers below change it
    uint64_t sectors;         // of DISCARD and WRITE_ZEROES; for READ and WRITE the vectors tell
    struct block_vector *vectors;  // the submitter's, until done
    // Called once, in interrupt context or before block_submit returns; may submit more, must not block.
    void (*done)(struct block_request *);
    void *context;            // the submitter's
    struct list_node node;    // the device's, until done
    uint64_t driver[2];       // the driver's
};

struct block_ops {
    // Checked; does not block. The driver answers each with block_finish.
    void (*submit)(struct block_device *, struct block_request *);
    // Optional: the device is told of requests with BLOCK_MORE that it does not know of yet.
    void (*tell)(struct block_device *);
    // Optional: requests that the device was given since boot, each step of one, and interrupts that it sent.
    void (*count)(const struct block_device *, uint64_t *requests, uint64_t *interrupts);
    // The last reference is gone. NULL: the structure is static.
    void (*release)(struct block_device *);
};

struct block_device {
    const struct block_ops *ops;
    char name[16];            // "vda", "vda1"
    uint64_t sectors;
    uint32_t logical_block;   // bytes; power of two from 512 to 4,096: unit of addresses and sizes
    uint32_t physical_block;  // bytes; hint
    uint32_t max_vectors;     // of one request, at least 1
    uint32_t max_sectors;     // of one READ or WRITE
    bool read_only, discards, zeroes;
    uint32_t refs;            // atomic; the creator's is the list's
    struct block_device *disk;  // partition: the whole disk, referenced; NULL: it is one
    uint64_t first_sector;    // partition
    uint32_t claims;          // BLOCK_CLAIMED, or how many partitions are; under the list's lock
    struct list_node node;    // in the list of all
};
#define BLOCK_CLAIMED UINT32_MAX

void block_submit(struct block_device *device, struct block_request *request);

// The same and waits: 0 or the request's error. bytes is a multiple of the logical block; data in the direct map, or on the
// kernel stack or elsewhere only in host tests. Splits what is larger than one request.
[[nodiscard]] int block_read(struct block_device *device, uint64_t sector, void *data, size_t bytes);
[[nodiscard]] int block_write(struct block_device *device, uint64_t sector, const void *data, size_t bytes, unsigned flags);
// Writes `bytes` of what repeats every `piece` bytes, a multiple of the logical block like them: zeros, from a few of them.
[[nodiscard]] int block_write_repeated(struct block_device *device, uint64_t sector, const void *data, size_t piece, size_t bytes,
                                       unsigned flags);
[[nodiscard]] int block_flush(struct block_device *device);
[[nodiscard]] int block_discard(struct block_device *device, uint64_t sector, uint64_t sectors);

// A mounted file system or a writer of the raw device wants it alone: 0 or -EBUSY (a partition and its whole disk exclude
// each other; partitions do not).
[[nodiscard]] int block_claim(struct block_device *device);
void block_release(struct block_device *device);
static inline void block_get(struct block_device *device) { __atomic_fetch_add(&device->refs, 1, __ATOMIC_RELAXED); }
void block_put(struct block_device *device);

// ---- for users who look for a device ---------------------------------------------------------------------------------------
// With a reference, or NULL. `index` counts in the order in which they were found: a disk, then its partitions.
struct block_device *block_find(const char *name, size_t bytes);
struct block_device *block_at(unsigned index);

// ---- for drivers -------------------------------------------------------------------------------------------------------------
// Enters the device, with refs 1, into the list of all. It stays there.
void block_register(struct block_device *device);
// The request is done: an -EIO is logged, done is called. Any context.
void block_finish(struct block_device *device, struct block_request *request, int error);
