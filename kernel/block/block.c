// What all block devices share: the list of them, claims, checks before a driver sees a request, and requests that wait.
#include "kernel/block/block.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/sched/mutex.h"
#include "lib/string.h"

#define REPEATED_MOST 16u  // vectors of one request

static struct spinlock lock = SPINLOCK_INIT("block_devices");  // guards the list and claims; a leaf
static struct list devices = LIST_INIT(devices);

// ---- the list -----------------------------------------------------------------------------------------------------------------

void block_register(struct block_device *device) {
    assert(device->max_vectors > 0 && device->max_sectors >= device->logical_block / SECTOR_SIZE);
    assert(is_power_of_two(device->logical_block) && device->logical_block >= SECTOR_SIZE && device->logical_block <= 4096);
    device->refs = 1;
    spin_lock(&lock);
    list_push_back(&devices, &device->node);
    spin_unlock(&lock);
}

struct block_device *block_find(const char *name, size_t bytes) {
    struct block_device *found = NULL;
    spin_lock(&lock);
    list_for_each_entry(d, &devices, struct block_device, node) {
        if (strnlen(d->name, sizeof d->name) != bytes || memcmp(d->name, name, bytes) != 0) continue;
        block_get(d);
        found = d;
        break;
    }
    spin_unlock(&lock);
    return found;
}

struct block_device *block_at(unsigned index) {
    struct block_device *found = NULL;
    spin_lock(&lock);
    list_for_each_entry(d, &devices, struct block_device, node) {
        if (index-- > 0) continue;
        block_get(d);
        found = d;
        break;
    }
    spin_unlock(&lock);
    return found;
}

void block_put(struct block_device *device) {
    uint32_t before = __atomic_fetch_sub(&device->refs, 1, __ATOMIC_ACQ_REL);
    verify(before > 0);
    if (before > 1 || device->ops->release == NULL) return;
    struct block_device *disk = device->disk;
    device->ops->release(device);
    if (disk != NULL) block_put(disk);
}

int block_claim(struct block_device *device) {
    struct block_device *disk = device->disk;
    spin_lock(&lock);
    bool taken = device->claims != 0 || (disk != NULL && disk->claims == BLOCK_CLAIMED);
    if (!taken) {
        device->claims = BLOCK_CLAIMED;
        if (disk != NULL) disk->claims++;
    }
    spin_unlock(&lock);
    return taken ? -EBUSY : 0;
}

void block_release(struct block_device *device) {
    spin_lock(&lock);
    verify(device->claims == BLOCK_CLAIMED);
    device->claims = 0;
    if (device->disk != NULL) device->disk->claims--;
    spin_unlock(&lock);
}

// ---- requests -----------------------------------------------------------------------------------------------------------------

// The bytes of the vectors; 0 when they are not what a device takes.
static uint64_t vector_bytes(const struct block_device *device, const struct block_request *r) {
    uint64_t bytes = 0, unaligned = 0;
    if (r->vector_count > device->max_vectors) return 0;
    for (unsigned i = 0; i < r->vector_count; i++) {
        const struct block_vector *v = &r->vectors[i];
        bytes += v->bytes;
        unaligned |= (v->bytes & (device->logical_block - 1)) | ((uintptr_t)v->data & (SECTOR_SIZE - 1)) | (v->bytes == 0);
    }
    return unaligned ? 0 : bytes;
}

static int check(const struct block_device *device, const struct block_request *r) {
    uint64_t sectors = r->sectors;
    if (r->op == BLOCK_FLUSH) return 0;
    if (r->op == BLOCK_READ || r->op == BLOCK_WRITE) {
        sectors = vector_bytes(device, r) >> SECTOR_SHIFT;
        if (sectors > device->max_sectors) return -EINVAL;
    } else if (r->op == BLOCK_WRITE_ZEROES && !device->zeroes) {
        return -EOPNOTSUPP;
    } else if (r->op > BLOCK_WRITE_ZEROES) {
        return -EINVAL;
    }
    uint64_t block_mask = device->logical_block / SECTOR_SIZE - 1;
    if (sectors == 0 || ((r->sector | sectors) & block_mask) != 0) return -EINVAL;
    if (!range_fits(r->sector, sectors, device->sectors)) return -EINVAL;
    return r->op != BLOCK_READ && device->read_only ? -EROFS : 0;
}

// Done without a driver. It may be what the device was to be told of others with.
static coldpath void answer(struct block_device *device, struct block_request *request, int error) {
    struct block_device *disk = device->disk != NULL ? device->disk : device;
    if (disk->ops->tell != NULL && !(request->flags & BLOCK_MORE)) disk->ops->tell(disk);
    request->error = error;
    request->done(request);
}

void block_submit(struct block_device *device, struct block_request *request) {
    int error = check(device, request);
    if (unlikely(error) || (request->op == BLOCK_DISCARD && !device->discards)) {
        answer(device, request, error);
        return;
    }
    if (device->disk != NULL) {
        request->sector += device->first_sector;
        device = device->disk;
    }
    device->ops->submit(device, request);
}

static coldpath void report(const struct block_device *device, const struct block_request *r) {
    static const char *const what[] = {"read", "write", "flush", "discard", "zeroing"};
    uint64_t bytes = r->sectors << SECTOR_SHIFT;
    if (r->op <= BLOCK_WRITE) {
        bytes = 0;
        for (unsigned i = 0; i < r->vector_count; i++) bytes += r->vectors[i].bytes;
    }
    if (r->op == BLOCK_FLUSH) log_error("%s: flush: I/O error", device->name);
    else log_error("%s: %s of %lu sectors at %lu: I/O error", device->name, what[r->op], bytes >> SECTOR_SHIFT, r->sector);
}

void block_finish(struct block_device *device, struct block_request *request, int error) {
    if (unlikely(error == -EIO)) report(device, request);
    request->error = error;
    request->done(request);
}

// ---- requests that wait ---------------------------------------------------------------------------------------------------------

static void wake(struct block_request *r) { completion_signal(r->context); }

static int submit_and_wait(struct block_device *device, struct block_request *r) {
    struct completion done;
    completion_init(&done, "block_request");
    r->done = wake;
    r->context = &done;
    block_submit(device, r);
    completion_wait(&done);
    return r->error;
}

static int transfer(struct block_device *device, uint8_t op, unsigned flags, uint64_t sector, void *data, size_t bytes) {
    uint64_t most = align_down((uint64_t)device->max_sectors << SECTOR_SHIFT, device->logical_block);
    int error = 0;
    for (size_t done = 0; done < bytes && !error;) {
        struct block_vector vector = {.data = (char *)data + done, .bytes = (uint32_t)MIN(most, bytes - done)};
        struct block_request r = {
            .op = op, .flags = (uint8_t)flags, .sector = sector + (done >> SECTOR_SHIFT), .vectors = &vector, .vector_count = 1};
        error = submit_and_wait(device, &r);
        done += vector.bytes;
    }
    return error;
}

int block_read(struct block_device *device, uint64_t sector, void *data, size_t bytes) {
    return transfer(device, BLOCK_READ, 0, sector, data, bytes);
}

int block_write(struct block_device *device, uint64_t sector, const void *data, size_t bytes, unsigned flags) {
    return transfer(device, BLOCK_WRITE, flags, sector, (void *)data, bytes);
}

int block_write_repeated(struct block_device *device, uint64_t sector, const void *data, size_t piece, size_t bytes, unsigned flags) {
    struct block_vector vectors[REPEATED_MOST];
    uint64_t most = align_down((uint64_t)device->max_sectors << SECTOR_SHIFT, device->logical_block);
    unsigned most_vectors = MIN(REPEATED_MOST, (unsigned)device->max_vectors);
    int error = 0;
    for (size_t done = 0, now; done < bytes && !error; done += now) {
        struct block_request r = {
            .op = BLOCK_WRITE, .flags = (uint8_t)flags, .sector = sector + (done >> SECTOR_SHIFT), .vectors = vectors};
        for (now = 0; r.vector_count < most_vectors && now < most && done + now < bytes; now += vectors[r.vector_count++].bytes) {
            size_t left = MIN(most - now, bytes - done - now);
            vectors[r.vector_count] = (struct block_vector){(void *)data, (uint32_t)MIN(piece, left)};
        }
        error = submit_and_wait(device, &r);
    }
    return error;
}

int block_flush(struct block_device *device) {
    struct block_request r = {.op = BLOCK_FLUSH};
    return submit_and_wait(device, &r);
}

int block_discard(struct block_device *device, uint64_t sector, uint64_t sectors) {
    struct block_request r = {.op = BLOCK_DISCARD, .sector = sector, .sectors = sectors};
    return submit_and_wait(device, &r);
}
