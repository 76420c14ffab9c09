// links: kernel/ipc/timer_advance.c
#include "kernel/ipc/timer.h"
#include "tests/unit/unit.h"

TEST(timer_once_fires_once) {
    nanos_t next = 100;
    CHECK_EQ(timer_advance(&next, 0, 99), 0);
    CHECK_EQ(next, 100);
    CHECK_EQ(timer_advance(&next, 0, 100), 1);
    CHECK_EQ(next, TIME_NEVER);
    CHECK_EQ(timer_advance(&next, 0, 1000), 0);
}

TEST(timer_period_counts_what_it_missed_and_keeps_its_phase) {
    nanos_t next = 100;
    CHECK_EQ(timer_advance(&next, 10, 100), 1);
    CHECK_EQ(next, 110);
    CHECK_EQ(timer_advance(&next, 10, 155), 5);
    CHECK_EQ(next, 160);
}

TEST(timer_that_would_overflow_stops) {
    nanos_t next = UINT64_MAX - 5;
    CHECK_EQ(timer_advance(&next, 1ull << 62, UINT64_MAX - 5), 1);
    CHECK_EQ(next, TIME_NEVER);
}
