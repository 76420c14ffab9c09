#include "kernel/hal/irq.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

static void mask_locked(struct irq *irq, bool masked) {
    if (irq->masked == masked) return;
    irq->ops->mask(irq, masked);
    irq->masked = masked;
}

static void irq_fired(void *arg) {
    struct irq *irq = arg;
    spin_lock(&irq->queue.lock);
    bool live = !irq->dead;
    bool taken = false;
    if (live) {
        irq->count++;
        if (irq->level || irq->count >= IRQ_STORM) mask_locked(irq, true);
        taken = wait_queue_wake_locked(&irq->queue, 1, (int64_t)irq->count) > 0;
        if (taken) irq->count = 0;
    }
    spin_unlock(&irq->queue.lock);
    if (live && !taken) object_signal(&irq->object);
}

int64_t irq_wait(struct irq *irq, struct handle *via, nanos_t deadline) {
    spin_lock(&irq->queue.lock);
    if (irq->dead) {
        spin_unlock(&irq->queue.lock);
        return -EDESTROYED;
    }
    if (irq->count > 0) {
        int64_t count = (int64_t)irq->count;
        irq->count = 0;
        if (!irq->level) mask_locked(irq, false);  // ends a storm's mask
        spin_unlock(&irq->queue.lock);
        return count;
    }
    wait_queue_join_unlock(&irq->queue, via, irq);
    return wait_block(deadline);
}

void irq_ack(struct irq *irq) {
    spin_lock(&irq->queue.lock);
    if (!irq->dead) mask_locked(irq, false);
    spin_unlock(&irq->queue.lock);
}

// No more counting; waiters leave. The vector stays.
static void irq_kill(struct irq *irq) {
    spin_lock(&irq->queue.lock);
    if (!irq->dead) mask_locked(irq, true);
    irq->dead = true;
    wait_queue_wake_locked(&irq->queue, UINT32_MAX, -EDESTROYED);
    spin_unlock(&irq->queue.lock);
}

static void vector_free(struct irq *irq) {
    if (irq->vector >= 0) arch_vector_free(irq->cpu, irq->vector);
    irq->vector = -1;
}

// ---- the object --------------------------------------------------------------------------------------------------------

static struct irq *irq_of(struct object *o) { return container_of(o, struct irq, object); }

static void irq_unreachable(struct object *o) {
    struct irq *irq = irq_of(o);
    irq_kill(irq);
    if (irq->device == NULL) vector_free(irq);  // of a device: when it is reset, or the index is asked for again
}

static void irq_destroy(struct object *o) {
    vector_free(irq_of(o));
    if (irq_of(o)->via) object_put(irq_of(o)->via);
}

static void irq_handle_gone(struct object *o, struct handle *handle) {
    wait_queue_cancel(&irq_of(o)->queue, handle, -ECANCELED);
}

static uint32_t irq_signals(struct object *o, uint64_t *value) {
    struct irq *irq = irq_of(o);
    *value = __atomic_load_n(&irq->count, __ATOMIC_RELAXED);
    return *value > 0 ? KPIO_SIGNAL_FIRED : 0;
}

static const struct object_ops irq_object_ops = {
    .name = "irq",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_WAIT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
              KPIO_RIGHT_EXPIRE,
    .unreachable = irq_unreachable,
    .destroy = irq_destroy,
    .handle_gone = irq_handle_gone,
    .signals = irq_signals,
};

// The caller's CPU first: the driver will run there.
static int vector_alloc(struct irq *irq) {
    for (uint32_t i = 0; i < cpu_count; i++) {
        irq->cpu = (cpu_id() + i) % cpu_count;
        irq->vector = arch_vector_alloc(irq->cpu, irq_fired, irq);
        if (irq->vector >= 0) return 0;
    }
    return -ENOSPC;
}

// Links irq to its device unless a live one of that index exists; a dead one gives way. *old is to be freed.
static int device_link(struct irq *irq, struct irq **old) {
    struct device *device = irq->device;
    int error = 0;
    spin_lock(&device->queue.lock);
    list_for_each_entry(other, &device->irqs, struct irq, node) {
        if (other->index != irq->index) continue;
        if (other->dead) *old = other;
        else error = -EBUSY;
        break;
    }
    if (device->state != DEVICE_OPEN) error = -EBUSY;
    if (error) *old = NULL;
    if (*old) list_remove(&(*old)->node);
    if (!error) {
        list_push_back(&device->irqs, &irq->node);
        object_get(&irq->object);
    }
    spin_unlock(&device->queue.lock);
    return error;
}

int irq_make(struct device *device, const struct irq_ops *ops, uint32_t index, uint32_t flags, struct irq **out) {
    struct irq *irq = kzalloc(sizeof *irq), *old = NULL;
    if (irq == NULL) return -ENOMEM;
    irq->ops = ops;
    irq->device = device;
    irq->index = index;
    irq->vector = -1;
    irq->masked = true;
    irq->level = flags & IRQ_LEVEL;
    irq->active_low = flags & IRQ_ACTIVE_LOW;
    wait_queue_init(&irq->queue, "irq");
    int error = object_init(&irq->object, KPIO_KIND_IRQ, &irq_object_ops, current_process()->job, sizeof *irq);
    if (error) {
        kfree(irq);
        return error;
    }
    error = vector_alloc(irq);
    if (!error && device) error = device_link(irq, &old);
    if (old) {
        vector_free(old);
        object_put(&old->object);
    }
    if (!error) {
        spin_lock(&irq->queue.lock);
        error = ops->program(irq);
        if (!error) mask_locked(irq, false);
        else irq->dead = true;
        spin_unlock(&irq->queue.lock);
    }
    if (error) {
        object_put(&irq->object);
        return error;
    }
    *out = irq;
    return 0;
}

// ---- lines -------------------------------------------------------------------------------------------------------------

#define LINES 256
static uint64_t lines_taken[LINES / 64];  // atomic

static bool line_take(uint32_t gsi) {
    uint64_t bit = 1ull << gsi % 64;
    return (__atomic_fetch_or(&lines_taken[gsi / 64], bit, __ATOMIC_ACQUIRE) & bit) == 0;
}
static void line_give(uint32_t gsi) {
    __atomic_fetch_and(&lines_taken[gsi / 64], ~(1ull << gsi % 64), __ATOMIC_RELEASE);
}

static void line_mask(struct irq *irq, bool masked) { arch_gsi_mask(irq->index, masked); }
static int line_program(struct irq *irq) {
    return arch_gsi_route(irq->index, irq->cpu, irq->vector, irq->level, irq->active_low);
}
static const struct irq_ops line_ops = {.mask = line_mask, .program = line_program};

static void line_destroy(struct object *o) {
    vector_free(irq_of(o));
    line_give(irq_of(o)->index);
}

static const struct object_ops line_object_ops = {
    .name = "irq",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_WAIT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
              KPIO_RIGHT_EXPIRE,
    .unreachable = irq_unreachable,
    .destroy = line_destroy,
    .handle_gone = irq_handle_gone,
    .signals = irq_signals,
};

int irq_make_line(uint32_t gsi, uint32_t flags, struct irq **out) {
    if (gsi >= LINES || (flags & ~(uint32_t)(IRQ_LEVEL | IRQ_ACTIVE_LOW)) != 0) return -EINVAL;
    if (!line_take(gsi)) return -EBUSY;
    int error = irq_make(NULL, &line_ops, gsi, flags, out);
    if (error) line_give(gsi);
    else (*out)->object.ops = &line_object_ops;
    return error;
}

// ---- the device's end ---------------------------------------------------------------------------------------------------

static struct irq *irq_pop(struct device *device) {
    spin_lock(&device->queue.lock);
    struct irq *irq = list_pop_front_entry(&device->irqs, struct irq, node);
    spin_unlock(&device->queue.lock);
    return irq;
}

void irq_free_all(struct device *device) {
    struct irq *irq;
    while ((irq = irq_pop(device)) != NULL) {
        irq_kill(irq);
        vector_free(irq);
        object_put(&irq->object);
    }
}

void irq_abandon_all(struct device *device) {
    struct irq *irq;
    while ((irq = irq_pop(device)) != NULL) irq_kill(irq);  // its reference, and so the vector, is kept
}

void irq_reprogram_all(struct device *device) {
    spin_lock(&device->queue.lock);
    list_for_each_entry(irq, &device->irqs, struct irq, node) {
        spin_lock(&irq->queue.lock);
        if (!irq->dead) {
            irq->masked = true;
            if (irq->ops->program(irq) == 0) mask_locked(irq, false);
        }
        spin_unlock(&irq->queue.lock);
    }
    spin_unlock(&device->queue.lock);
}
