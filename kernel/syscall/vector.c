#include "kernel/syscall/vector.h"

#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"

static uint64_t bytes_of(const struct vector *v) { return v->count * sizeof(struct kpio_io_vector); }

static int allocate(struct vector *v) {
    int error = job_charge(current_process()->job, JOB_KERNEL_BYTES, bytes_of(v));
    if (error != 0) return error;
    v->parts = kmalloc(bytes_of(v));
    if (v->parts == NULL) job_uncharge(current_process()->job, JOB_KERNEL_BYTES, bytes_of(v));
    return v->parts != NULL ? 0 : -ENOMEM;
}

int vector_read(struct vector *v, uint64_t address, uint64_t count) {
    v->parts = NULL;
    v->size = 0;
    if (count > KPIO_IO_VECTORS_MAX) return -EINVAL;
    v->count = (uint32_t)count;
    if (count <= VECTOR_SMALL) v->parts = v->small;
    int error = count > VECTOR_SMALL ? allocate(v) : 0;
    if (error == 0) error = copy_from_user(v->parts, user_ptr(address), bytes_of(v));
    for (uint32_t i = 0; i < v->count && error == 0; i++) {
        if (!checked_add(v->size, v->parts[i].size, &v->size) || v->size > INT64_MAX) error = -EINVAL;
        else if (!user_range_valid(user_ptr(v->parts[i].address), v->parts[i].size)) error = -EFAULT;
    }
    return error;
}

void vector_free(struct vector *v) {
    kfree(v->parts);
    job_uncharge(current_process()->job, JOB_KERNEL_BYTES, bytes_of(v));
}
