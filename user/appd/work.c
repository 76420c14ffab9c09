#include "user/appd/work.h"

#include "lib/list.h"
#include "lib/string.h"
#include "user/libkpio/kpio.h"

#define QUICK_THREADS 1u
#define SLOW_THREADS 6u
#define QUEUE_MAX 64u
#define STACK_BYTES (256u << 10)

struct work {
    struct list_node node;
    work_fn *run;
    kpio_handle reply;
    uint64_t request[];
};

static struct queue {
    struct mutex lock;
    struct list works;
    uint32_t count;
    uint32_t added;  // a futex
} queues[WORK_QUEUES];
static struct thread threads[QUICK_THREADS + SLOW_THREADS];

static struct work *take(struct queue *q) {
    mutex_lock(&q->lock);
    while (list_is_empty(&q->works)) {
        uint32_t seen = q->added;
        mutex_unlock(&q->lock);
        (void)kpio_futex_wait((uint64_t)&q->added, seen, UINT32_MAX, KPIO_TIME_NEVER, 0);
        mutex_lock(&q->lock);
    }
    struct work *w = container_of(q->works.ring.next, struct work, node);
    list_remove(&w->node);
    q->count--;
    mutex_unlock(&q->lock);
    return w;
}

static int64_t worker(void *arg) {
    for (;;) {
        struct work *w = take(arg);
        uint64_t header = w->run(w->request, 0);
        // Whoever asked may be gone; a copy of what it was given went with the reply.
        (void)kpio_reply_send(w->reply, header);
        if (KPIO_MESSAGE_HANDLES(header) > 0) (void)kpio_handle_close((uint64_t)thread_self()->handles[0].handle);
        heap_free(w);
    }
    return 0;
}

int64_t work_begin(void) {
    for (unsigned i = 0; i < WORK_QUEUES; i++) list_init(&queues[i].works);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        struct queue *q = &queues[i < QUICK_THREADS ? WORK_QUICK : WORK_SLOW];
        int64_t error = thread_spawn(&threads[i], "worker", worker, q, NULL, STACK_BYTES);
        if (error < 0) return error;
    }
    return 0;
}

// 0, or what is in the way.
static int64_t enqueue(struct queue *q, struct work *w) {
    mutex_lock(&q->lock);
    int64_t error = q->count < QUEUE_MAX ? kpio_reply_save() : -EAGAIN;
    if (error > 0) {
        w->reply = (kpio_handle)error;
        list_push_back(&q->works, &w->node);
        q->count++;
        q->added++;
    }
    mutex_unlock(&q->lock);
    return error;
}

int64_t work_defer(enum work_queue queue, work_fn *run, const void *request, size_t size) {
    struct work *w = heap_alloc(sizeof *w + size);
    int64_t error = -ENOMEM;
    if (w != NULL) {
        memcpy(w->request, request, size);
        w->run = run;
        error = enqueue(&queues[queue], w);
    }
    if (error < 0) {
        (void)run(request, error);
        heap_free(w);
        return error;
    }
    (void)kpio_futex_wake((uint64_t)&queues[queue].added, 1, UINT32_MAX, 0);
    return KPIO_REPLY_LATER;
}
