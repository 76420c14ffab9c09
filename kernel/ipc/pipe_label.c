// Labels of the ends of pipes: bytes that have no meaning here, for those who share an end.
#include "abi/gen/errors.h"
#include "kernel/ipc/pipe.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

static void replace(struct pipe_end *end, uint8_t *fresh, uint32_t size) {
    spin_lock(&end->pipe->lock);
    uint8_t *old = end->label;
    const uint32_t old_size = end->label_size;
    end->label = fresh;
    end->label_size = (uint16_t)size;
    spin_unlock(&end->pipe->lock);
    kfree(old);
    job_uncharge(end->pipe->job, JOB_KERNEL_BYTES, old_size);
}

int pipe_label_set(struct pipe_end *end, const uint8_t *label, uint32_t size) {
    int error = job_charge(end->pipe->job, JOB_KERNEL_BYTES, size);
    if (error != 0) return error;
    uint8_t *fresh = size > 0 ? kmalloc(size) : NULL;
    if (fresh == NULL && size > 0) {
        job_uncharge(end->pipe->job, JOB_KERNEL_BYTES, size);
        return -ENOMEM;
    }
    if (size > 0) memcpy(fresh, label, size);
    replace(end, fresh, size);
    return 0;
}

uint32_t pipe_label_get(struct pipe_end *end, uint8_t label[KPIO_PIPE_LABEL_MAX]) {
    spin_lock(&end->pipe->lock);
    const uint32_t size = end->label_size;
    if (size > 0) memcpy(label, end->label, size);
    spin_unlock(&end->pipe->lock);
    return size;
}

void pipe_label_drop(struct pipe_end *end) { replace(end, NULL, 0); }
