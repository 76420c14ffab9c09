#include "tests/unit/disk_host.h"

#include "abi/gen/errors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Tests that link the block layer get its own; these check as little as a driver may rely on.
#define weak __attribute__((weak))

weak void block_submit(struct block_device *device, struct block_request *request)
{
    uint64_t bytes = request->sectors * SECTOR_SIZE;

    if (request->op == BLOCK_READ || request->op == BLOCK_WRITE) {
        bytes = 0;
        for (unsigned i = 0; i < request->vector_count; i++)
            bytes += request->vectors[i].bytes;
    }
    if (request->op != BLOCK_FLUSH && !range_fits(request->sector, bytes / SECTOR_SIZE, device->sectors)) {
        request->error = -EINVAL;
        request->done(request);
        return;
    }
    device->ops->submit(device, request);
}

static void nothing(struct block_request *request) { (void)request; }

static int submit(struct block_device *device, struct block_request request)
{
    request.done = nothing;
    block_submit(device, &request);
    return request.error;
}

static int transfer(struct block_device *device, uint8_t op, uint8_t flags, uint64_t sector, void *data, size_t bytes)
{
    struct block_vector vector = {data, (uint32_t)bytes};

    return submit(device, (struct block_request){
                              .op = op, .flags = flags, .sector = sector, .vectors = &vector, .vector_count = 1});
}

weak int block_read(struct block_device *device, uint64_t sector, void *data, size_t bytes)
{
    return transfer(device, BLOCK_READ, 0, sector, data, bytes);
}
weak int block_write(struct block_device *device, uint64_t sector, const void *data, size_t bytes, unsigned flags)
{
    return transfer(device, BLOCK_WRITE, (uint8_t)flags, sector, (void *)data, bytes);
}
weak int block_flush(struct block_device *device) { return submit(device, (struct block_request){.op = BLOCK_FLUSH}); }
weak int block_discard(struct block_device *device, uint64_t sector, uint64_t sectors)
{
    return submit(device, (struct block_request){.op = BLOCK_DISCARD, .sector = sector, .sectors = sectors});
}

static void move(struct disk_host *disk, struct block_request *request)
{
    uint8_t *at = disk->data + request->sector * SECTOR_SIZE;

    for (unsigned i = 0; i < request->vector_count; i++) {
        struct block_vector *v = &request->vectors[i];

        if (request->op == BLOCK_READ)
            memcpy(v->data, at, v->bytes);
        else
            memcpy(at, v->data, v->bytes);
        at += v->bytes;
    }
}

static void finish(struct disk_host *disk, struct block_request *request)
{
    disk->requests++;
    request->error = 0;
    if (disk->fail_at != 0 && disk->requests >= disk->fail_at && disk->requests <= disk->fail_until)
        request->error = -EIO;
    if (request->op == BLOCK_READ)
        disk->reads++;
    if (request->op == BLOCK_WRITE)
        disk->writes++;
    if (request->op == BLOCK_FLUSH)
        disk->flushes++;
    if (request->error == 0 && disk->seen != NULL)
        disk->seen(disk, request);
    if (request->error == 0 && (request->op == BLOCK_READ || request->op == BLOCK_WRITE))
        move(disk, request);
    request->done(request);
}

static void submitted(struct block_device *device, struct block_request *request)
{
    struct disk_host *disk = container_of(device, struct disk_host, device);

    if (disk->hold)
        list_push_back(&disk->held, &request->node);
    else
        finish(disk, request);
}

void disk_host_let_go(struct disk_host *disk)
{
    struct block_request *request;

    while ((request = list_pop_front_entry(&disk->held, struct block_request, node)) != NULL)
        finish(disk, request);
}

void disk_host_create(struct disk_host *disk, uint64_t bytes)
{
    static const struct block_ops ops = {.submit = submitted};

    memset(disk, 0, sizeof *disk);
    list_init(&disk->held);
    disk->data = calloc(1, bytes);
    if (disk->data == NULL)
        abort();
    disk->device.ops = &ops;
    snprintf(disk->device.name, sizeof disk->device.name, "host");
    disk->device.sectors = bytes / SECTOR_SIZE;
    disk->device.logical_block = SECTOR_SIZE;
    disk->device.physical_block = 4096;
    disk->device.max_vectors = 126;
    disk->device.max_sectors = 2048;
    disk->device.refs = 1;
}

void disk_host_destroy(struct disk_host *disk) { free(disk->data); }
