// Timers of each CPU and its slice end, over the CPU's one hardware timer.
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue.h"

#define FIRE_BATCH 256  // timers per interrupt: the rest come with the next one, at once

void ktimer_init(struct ktimer *timer, void (*fire)(struct ktimer *timer)) {
    timer->where = TIMER_OFF;
    timer->fire = fire;
}

void ktimer_arm(struct ktimer *timer, nanos_t deadline) {
    if (unlikely(timer->where != TIMER_OFF)) ktimer_cancel(timer);
    sched_timer_arm(this_runqueue(), timer, deadline);
}

struct cancel_request {
    struct ktimer *timer;
    bool done, moved;
};

static void cancel_there(void *arg) {
    struct cancel_request *request = arg;
    struct ktimer *timer = request->timer;
    request->moved = timer->cpu != cpu_id();
    if (request->moved || timer->where == TIMER_OFF) return;
    timer_queue_remove(&this_runqueue()->timers, timer);
    request->done = true;
}

static coldpath bool cancel_remote(struct ktimer *timer) {
    struct cancel_request request;
    do {
        request = (struct cancel_request){.timer = timer};
        uint32_t cpu = __atomic_load_n(&timer->cpu, __ATOMIC_RELAXED);
        if (cpu == cpu_id()) {
            cancel_there(&request);
        } else {
            arch_call_cpus(1ull << cpu, cancel_there, &request);
        }
    } while (request.moved);
    return request.done;
}

bool ktimer_cancel(struct ktimer *timer) {
    if (timer->where == TIMER_OFF) return false;
    if (unlikely(timer->cpu != cpu_id())) return cancel_remote(timer);
    timer_queue_remove(&this_runqueue()->timers, timer);
    return true;
}

void sched_timer_interrupt(void) {
    struct runqueue *rq = this_runqueue();
    nanos_t now = arch_now();
    rq->interrupts++;
    rq->armed = TIME_NEVER;
    for (unsigned fired = 0; fired < FIRE_BATCH; fired++) {
        struct ktimer *timer = timer_queue_pop(&rq->timers, now);
        if (timer == NULL) break;
        timer->fire(timer);
    }
    if (now >= rq->slice_end) {
        rq->slice_end = TIME_NEVER;
        this_cpu()->need_resched = true;
        sched_balance(rq, now);
    }
    // After a full batch unsorted timers may be left; then now stands for the earliest.
    nanos_t next = list_is_empty(&rq->timers.fresh) ? timer_queue_next(&rq->timers) : now;
    sched_timer_request(rq, next < rq->slice_end ? next : rq->slice_end);
}
