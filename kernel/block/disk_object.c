// Lock: disk->lock guards `claimed`; block.c's lock is taken inside.
#include "kernel/block/disk_object.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

struct disk {
    struct object object;
    struct block_device *device;
    struct spinlock lock;
    bool claimed;
};

static struct disk *disk_of(struct object *o) { return container_of(o, struct disk, object); }

static void disk_destroy(struct object *o) {
    struct disk *disk = disk_of(o);
    if (disk->claimed) block_release(disk->device);
    block_put(disk->device);
}

static const struct object_ops disk_ops = {
    .name = "disk",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_EXPIRE,
    .destroy = disk_destroy,
};

int disk_object_create(struct block_device *device, struct object **out) {
    struct disk *disk = kzalloc(sizeof *disk);
    int error = disk == NULL ? -ENOMEM : object_init(&disk->object, KPIO_KIND_DISK, &disk_ops, current_process()->job, sizeof *disk);
    if (error) {
        kfree(disk);
        block_put(device);
        return error;
    }
    disk->device = device;
    spin_init(&disk->lock, "disk");
    *out = &disk->object;
    return 0;
}

struct block_device *disk_object_device(struct object *o) { return disk_of(o)->device; }

int disk_object_claim(struct object *o) {
    struct disk *disk = disk_of(o);
    if (likely(__atomic_load_n(&disk->claimed, __ATOMIC_ACQUIRE))) return 0;
    spin_lock(&disk->lock);
    int error = disk->claimed ? 0 : block_claim(disk->device);
    if (!error) __atomic_store_n(&disk->claimed, true, __ATOMIC_RELEASE);
    spin_unlock(&disk->lock);
    return error;
}

int disk_object_take(struct object *o, struct block_device **out) {
    struct disk *disk = disk_of(o);
    spin_lock(&disk->lock);
    int error = disk->claimed ? 0 : block_claim(disk->device);
    disk->claimed = false;
    spin_unlock(&disk->lock);
    if (error) return error;
    block_get(disk->device);
    *out = disk->device;
    return 0;
}
