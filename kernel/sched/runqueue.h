// Inside of the scheduler: one CPU's run queue. Touched by its CPU only, with interrupts off, but for the last line,
// through which other CPUs hand threads over and ask for some.
#pragma once
#include "kernel/sched/fair.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timer_queue.h"

#define REALTIME_PRIORITIES 100
#define REALTIME_SLICE_NS 10000000  // round robin among equal priorities
#define IDLE_SLICE_NS 20000000

struct runqueue {
    struct sched_entity *running;     // what the current thread runs on; NULL in the idle thread
    struct sched_entity *incoming;    // woken, goes before the running one: starts at the next reschedule; it
                                      // competes but is in no queue
    struct thread *idle;
    nanos_t slice_end;                // when the running entity's slice ends; TIME_NEVER: nobody waits
    nanos_t armed;                    // what the hardware timer is set to
    uint32_t queued;                  // entities in the queues below
    uint32_t push_cpu;                // where cpu->previous goes after the switch (switch_work)
    nanos_t balance_at;
    struct timer_queue timers;
    struct fair_queue fair;
    uint64_t realtime_set[2];         // priorities that have somebody
    struct list realtime[REALTIME_PRIORITIES];
    struct list idle_class;
    uint64_t switches, interrupts, idle_ns;
    struct thread idle_thread;        // the boot CPU's: main; others': their idle thread

    struct thread *woken cacheline_aligned;  // wake list, last first; atomic
    uint64_t pull_requests;                  // CPUs that have nothing to do; atomic
};

extern struct runqueue runqueues[CONFIG_MAX_CPUS];
extern uint64_t sched_idle_cpus;  // set of CPUs whose idle thread runs; atomic

static inline struct runqueue *this_runqueue(void) { return &runqueues[cpu_id()]; }

void runqueue_init(struct runqueue *rq);
// A queued entity that may move to `cpu`, or NULL.
struct sched_entity *runqueue_find_movable(struct runqueue *rq, uint32_t cpu);

// Arms the hardware if it is set later than the deadline.
static inline void sched_timer_request(struct runqueue *rq, nanos_t deadline) {
    if (likely(deadline >= rq->armed)) return;
    rq->armed = deadline;
    arch_timer_set(deadline);
}
// ktimer_arm of a timer that is off.
static inline void sched_timer_arm(struct runqueue *rq, struct ktimer *timer, nanos_t deadline) {
    timer->cpu = cpu_id();
    timer_queue_add(&rq->timers, timer, deadline);
    sched_timer_request(rq, deadline);
}
// ktimer_cancel without its result.
static inline void sched_timer_cancel(struct ktimer *timer) {
    if (timer->where == TIMER_OFF) return;
    if (likely(timer->where == TIMER_FRESH && timer->cpu == cpu_id())) timer_queue_remove_fresh(timer);
    else (void)ktimer_cancel(timer);
}

// t, with its own entity lent out, takes it back: whoever runs on it falls back on the entity of the next in the chain.
void sched_take_back(struct runqueue *rq, struct thread *t);

// wait.c
void wait_init(struct thread *t);

// idle.c: the boot CPU's idle thread; panics when there is no memory.
struct thread *sched_idle_create(void);

// kthread.c: a kernel thread ended and is off its stack.
void sched_kthread_gone(struct thread *t);

// balance.c
uint32_t sched_choose_cpu(const struct thread *t);        // for a thread that starts or must move
uint32_t sched_idle_cpu_for(const struct thread *t);      // an idle CPU, or UINT32_MAX
void sched_push(struct thread *t, uint32_t cpu);          // hands t, which is off this CPU, to another CPU
void sched_serve_pull(struct runqueue *rq);
void sched_balance(struct runqueue *rq, nanos_t now);
void sched_ask_for_work(struct runqueue *rq);

// Whether t neither lends nor borrows an entity: then it may change the CPU.
static inline bool sched_is_movable(const struct thread *t) {
    return __atomic_load_n(&t->entity, __ATOMIC_ACQUIRE) == &t->own_entity &&
           __atomic_load_n(&t->own_entity.thread, __ATOMIC_ACQUIRE) == t;
}
