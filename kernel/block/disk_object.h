// A disk or partition as an object: raw reads and writes by who holds a handle. Reading is always possible; the first write or
// discard claims the device (block_claim), so that nobody writes below a mounted file system, until the last handle is gone
// or a mount takes the claim over.
#pragma once
#include "kernel/block/block.h"
#include "kernel/object/object.h"

// For the running process's job, with a reference. Takes over the caller's reference on the device, in every case.
[[nodiscard]] int disk_object_create(struct block_device *device, struct object **out);
struct block_device *disk_object_device(struct object *o);

// Makes sure that the object has the claim: 0 or -EBUSY.
[[nodiscard]] int disk_object_claim(struct object *o);
// For a mount: the device with a reference and the claim, which is the caller's from now on: 0 or -EBUSY.
[[nodiscard]] int disk_object_take(struct object *o, struct block_device **out);
