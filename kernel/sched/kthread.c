// Kernel threads. The structure lies at the top of the thread's own stack, so that making one needs nothing but a stack.
#include "kernel/arch/x86_64/stack.h"
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue.h"
#include "lib/string.h"

struct kthread {
    struct thread thread;
    struct rcu_head rcu;
    uint64_t stack_top;  // of the whole stack
    void (*entry)(void *arg);
    void *arg;
};

static void kthread_main(void *arg) {
    struct kthread *k = arg;
    sched_thread_begin();
    k->entry(k->arg);
    sched_thread_exit();
}

static struct kthread *kthread_create(const char *name, void (*entry)(void *arg), void *arg) {
    uint64_t top = kernel_stack_alloc();
    if (top == 0) return NULL;
    struct kthread *k = (struct kthread *)align_down(top - sizeof(struct kthread), CACHE_LINE);
    memset(k, 0, sizeof *k);
    k->stack_top = top;
    k->entry = entry;
    k->arg = arg;
    struct thread *t = &k->thread;
    size_t length = strlen(name);
    memcpy(t->name, name, length < sizeof t->name ? length : sizeof t->name - 1);
    sched_thread_init(t);
    t->stack_top = (uint64_t)k;
    t->saved_rsp = context_prepare(t->stack_top, kthread_main, k);
    return k;
}

struct thread *sched_kthread_create(const char *name, void (*entry)(void *arg), void *arg) {
    struct kthread *k = kthread_create(name, entry, arg);
    if (k == NULL) return NULL;
    sched_thread_start(&k->thread);
    return &k->thread;
}

static void kthread_free(struct rcu_head *head) {
    kernel_stack_free(container_of(head, struct kthread, rcu)->stack_top);
}

void sched_kthread_gone(struct thread *t) {
    struct runqueue *rq = this_runqueue();
    if (t == &rq->idle_thread) return;  // main, on the boot stack
    struct kthread *k = container_of(t, struct kthread, thread);
    rcu_call(&k->rcu, kthread_free);
}

static void idle_main(void *unused) {
    (void)unused;
    sched_idle_loop();
}

struct thread *sched_idle_create(void) {
    struct kthread *k = kthread_create("idle", idle_main, NULL);
    if (k == NULL) panic("no memory for the idle thread");
    k->thread.affinity = 1ull << cpu_id();
    k->thread.cpu = cpu_id();
    return &k->thread;
}
