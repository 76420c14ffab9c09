// Processes that end on one CPU while threads are made in them on others: what a thread left for the next one has one owner.
#include "tests/guest/kt/fork.h"

enum { MAKERS = 3 };

static kpio_handle shared;
static volatile bool stop;

static int64_t make_often(void *arg) {
    while (!stop) {
        kpio_handle process = __atomic_load_n(&shared, __ATOMIC_RELAXED);
        int64_t thread = process > 0 ? kpio_thread_create(process, (const uint8_t *)"late", 4) : 0;
        if (thread > 0) (void)kpio_handle_close((uint64_t)thread);
    }
    return 0;
}

static int64_t nothing(void *arg) { return 0; }

// Leaves the memory of a thread that ended, and ends.
static int64_t live_shortly(void *arg) {
    struct thread thread;
    return thread_spawn(&thread, "short", nothing, NULL, NULL, 0) == 0 ? thread_join(&thread, NULL) : 1;
}

KT_TEST(threads_made_in_a_process_that_ends) {
    static struct thread makers[MAKERS];
    stop = false;
    shared = 0;
    for (unsigned i = 0; i < MAKERS; i++) KT_EQUAL(thread_spawn(&makers[i], "maker", make_often, NULL, NULL, 0), 0);
    for (unsigned ended = 0; ended < (kt_long() ? 5000 : 30); ended++) {
        kpio_handle process = kt_fork(live_shortly, NULL);
        __atomic_store_n(&shared, process, __ATOMIC_RELAXED);
        KT_EQUAL(wait_terminated(process, kt_soon(), NULL), 0);
        kt_close(process);
    }
    stop = true;
    for (unsigned i = 0; i < MAKERS; i++) KT_EQUAL(thread_join(&makers[i], NULL), 0);
}
