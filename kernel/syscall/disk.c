// System calls of disks and partitions. Data pass through pages of the kernel's: a raw disk is for tools that make file
// systems, not for fast paths.
#include "kernel/block/disk_object.h"
#include "kernel/mm/page.h"
#include "kernel/mm/vmo.h"
#include "kernel/object/vmo_object.h"
#include "kernel/syscall/args.h"

#define PIECE_PAGES 16u

// ---- finding --------------------------------------------------------------------------------------------------------------

static void describe(const struct block_device *d, struct kpio_disk_info *info) {
    *info = (struct kpio_disk_info){
        .sectors = d->sectors,
        .first_sector = d->first_sector,
        .block_size = d->logical_block,
        .physical_block_size = d->physical_block,
        .flags = (d->read_only ? KPIO_DISK_READ_ONLY : 0) | (d->discards ? KPIO_DISK_DISCARD : 0) |
                 (d->disk != NULL ? KPIO_DISK_PARTITION : 0) |
                 (__atomic_load_n(&d->claims, __ATOMIC_RELAXED) != 0 ? KPIO_DISK_CLAIMED : 0),
    };
    const struct block_device *disk = d->disk != NULL ? d->disk : d;
    if (disk->ops->count != NULL) disk->ops->count(disk, &info->requests, &info->interrupts);
    memcpy(info->name, d->name, sizeof info->name);
    if (d->disk != NULL) memcpy(info->disk, d->disk->name, sizeof info->disk);
}

int64_t sys_disk_list(uint64_t system, uint64_t index, uint64_t info_at, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct block_device *device = block_at((uint32_t)index);
    if (device == NULL) return -ENOENT;
    struct kpio_disk_info info;
    describe(device, &info);
    block_put(device);
    return copy_to_user(user_ptr(info_at), &info, sizeof info);
}

int64_t sys_disk_open(uint64_t system, uint64_t name_at, uint64_t name_len, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct object *o;
    char name[KPIO_NAME_MAX + 1];
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_DEVICE, &o);
    if (!error) error = syscall_read_name(name_at, name_len, name);
    if (error) return error;
    struct block_device *device = block_find(name, name_len);
    if (device == NULL) return -ENOENT;
    error = disk_object_create(device, &o);
    return error ? error : handle_install(o);
}

int64_t sys_disk_info(uint64_t disk, uint64_t info_at, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct object *o;
    int error = handle_get((kpio_handle)disk, KPIO_KIND_DISK, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_disk_info info;
    describe(disk_object_device(o), &info);
    return copy_to_user(user_ptr(info_at), &info, sizeof info);
}

// ---- transfers --------------------------------------------------------------------------------------------------------------

struct transfer {
    struct block_device *device;
    bool write;
    uint64_t sector, size;
    struct vmo *vmo;              // NULL: user memory at `address`
    uint64_t address;             // there, or the offset in the VMO
};

// One piece between the caller's memory and `piece`.
static int move(const struct transfer *t, uint64_t done, void *piece, uint64_t bytes) {
    int64_t moved;
    if (t->vmo == NULL) {
        struct user_ptr user = user_ptr(t->address + done);
        return t->write ? copy_from_user(piece, user, bytes) : copy_to_user(user, piece, bytes);
    }
    if (t->write) moved = vmo_read_kernel(t->vmo, t->address + done, piece, bytes);
    else moved = vmo_write_kernel(t->vmo, t->address + done, piece, bytes);
    return moved < 0 ? (int)moved : (uint64_t)moved == bytes ? 0 : -EINVAL;
}

static int step(const struct transfer *t, uint64_t done, void *piece, uint64_t bytes) {
    uint64_t sector = t->sector + (done >> SECTOR_SHIFT);
    int error = t->write ? move(t, done, piece, bytes) : block_read(t->device, sector, piece, bytes);
    if (error) return error;
    return t->write ? block_write(t->device, sector, piece, bytes, 0) : move(t, done, piece, bytes);
}

static int check(const struct transfer *t) {
    uint64_t mask = t->device->logical_block - 1, end;
    if (((t->sector << SECTOR_SHIFT | t->size) & mask) != 0) return -EINVAL;
    if (!range_fits(t->sector, t->size >> SECTOR_SHIFT, t->device->sectors)) return -EINVAL;
    if (t->vmo != NULL && (!checked_add(t->address, t->size, &end) || end > t->vmo->pages << PAGE_SHIFT)) return -EINVAL;
    if (t->vmo == NULL && !user_range_valid(user_ptr(t->address), t->size)) return -EFAULT;
    return t->write && t->device->read_only ? -EROFS : 0;
}

// Bytes moved; the error if it comes first.
static int64_t run(const struct transfer *t) {
    int error = check(t);
    if (error || t->size == 0) return error;
    unsigned pages = (unsigned)MIN(div_round_up(t->size, PAGE_SIZE), (uint64_t)PIECE_PAGES);
    struct page *page = page_alloc_contiguous(pages, 0);
    if (page == NULL) return -ENOMEM;
    uint64_t done = 0;
    while (done < t->size && !error) {
        uint64_t bytes = MIN(t->size - done, (uint64_t)pages * PAGE_SIZE);
        error = step(t, done, page_to_virt(page), bytes);
        if (!error) done += bytes;
        if (done < t->size && sched_preempt_point()) break;
    }
    page_free_contiguous(page, pages);
    return done > 0 ? (int64_t)done : error;
}

// The disk of a handle, with a reference on its object; claimed where it will be changed.
static int disk_get(uint64_t handle, bool write, struct object **out) {
    int error = syscall_get(handle, KPIO_KIND_DISK, write ? KPIO_RIGHT_WRITE : KPIO_RIGHT_READ, out);
    if (error || !write) return error;
    error = disk_object_device(*out)->read_only ? -EROFS : disk_object_claim(*out);
    if (error) object_put(*out);
    return error;
}

static int64_t transfer_user(uint64_t disk, bool write, uint64_t sector, uint64_t buffer, uint64_t size) {
    struct object *o;
    int error = disk_get(disk, write, &o);
    if (error) return error;
    struct transfer t = {.device = disk_object_device(o), .write = write, .sector = sector, .size = size, .address = buffer};
    int64_t result = run(&t);
    object_put(o);
    return result;
}

int64_t sys_disk_read(uint64_t disk, uint64_t sector, uint64_t buffer, uint64_t size, uint64_t a4, uint64_t a5) {
    return transfer_user(disk, false, sector, buffer, size);
}

int64_t sys_disk_write(uint64_t disk, uint64_t sector, uint64_t buffer, uint64_t size, uint64_t a4, uint64_t a5) {
    return transfer_user(disk, true, sector, buffer, size);
}

static int64_t transfer_vmo(uint64_t disk, bool write, uint64_t sector, uint64_t vmo, uint64_t offset, uint64_t size) {
    struct object *o, *memory;
    int error = disk_get(disk, write, &o);
    if (error) return error;
    error = syscall_get(vmo, KPIO_KIND_VMO, write ? KPIO_RIGHT_READ : KPIO_RIGHT_WRITE, &memory);
    if (error) {
        object_put(o);
        return error;
    }
    struct transfer t = {
        .device = disk_object_device(o), .write = write, .sector = sector, .size = size, .vmo = vmo_of(memory), .address = offset};
    int64_t result = run(&t);
    object_put(memory);
    object_put(o);
    return result;
}

int64_t sys_disk_read_vmo(uint64_t disk, uint64_t sector, uint64_t vmo, uint64_t offset, uint64_t size, uint64_t a5) {
    return transfer_vmo(disk, false, sector, vmo, offset, size);
}

int64_t sys_disk_write_vmo(uint64_t disk, uint64_t sector, uint64_t vmo, uint64_t offset, uint64_t size, uint64_t a5) {
    return transfer_vmo(disk, true, sector, vmo, offset, size);
}

int64_t sys_disk_flush(uint64_t disk, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct object *o;
    int error = syscall_get(disk, KPIO_KIND_DISK, KPIO_RIGHT_WRITE, &o);
    if (error) return error;
    error = block_flush(disk_object_device(o));
    object_put(o);
    return error;
}

int64_t sys_disk_discard(uint64_t disk, uint64_t sector, uint64_t sectors, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct object *o;
    int error = disk_get(disk, true, &o);
    if (error) return error;
    error = block_discard(disk_object_device(o), sector, sectors);
    object_put(o);
    return error;
}
