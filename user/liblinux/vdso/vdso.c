// The vDSO: functions of the C library that need no system call. An image of its own, in every Linux program; the page in front of it
// is the kernel's (struct kpio_system_page). Interface and symbol version are Linux's (man 7 vdso).
#include <stdbool.h>

#include "abi/types.h"

#define SECOND 1000000000ull
#define HIDDEN __attribute__((visibility("hidden")))
#define PUBLIC __attribute__((visibility("default")))
extern const char __ehdr_start[] HIDDEN;

struct vdso_timespec {
    int64_t seconds, nanoseconds;
};
struct vdso_timeval {
    int64_t seconds, microseconds;
};
enum { CALL_GETTIMEOFDAY = 96, CALL_TIME = 201, CALL_CLOCK_GETTIME = 228, CALL_CLOCK_GETRES = 229, CALL_GETCPU = 309 };
enum { REALTIME, MONOTONIC, MONOTONIC_RAW = 4, REALTIME_COARSE, MONOTONIC_COARSE, BOOTTIME, TAI = 11 };
#define REAL_CLOCKS      (1u << REALTIME | 1u << REALTIME_COARSE | 1u << TAI)
#define MONOTONIC_CLOCKS (1u << MONOTONIC | 1u << MONOTONIC_RAW | 1u << MONOTONIC_COARSE | 1u << BOOTTIME)

int64_t __vdso_clock_gettime(uint32_t clock, struct vdso_timespec *ts) PUBLIC;
int64_t __vdso_clock_getres(uint32_t clock, struct vdso_timespec *ts) PUBLIC;
int64_t __vdso_gettimeofday(struct vdso_timeval *tv, void *zone) PUBLIC;
int64_t __vdso_time(int64_t *to) PUBLIC;
int64_t __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused) PUBLIC;

static int64_t call(int64_t number, uint64_t a, uint64_t b) {
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(0l) : "rcx", "r11", "memory");
    return number;
}

static const volatile struct kpio_system_page *page(void) {
    const char *image = __ehdr_start;
    __asm__("" : "+r"(image));  // what lies in front of it is no part of that array: nothing for gcc to know
    return (const volatile struct kpio_system_page *)(image - 4096);
}

// Nanoseconds; false: the time-stamp counter is no clock here.
static inline bool now(bool real, uint64_t *ns) {
    const volatile struct kpio_system_page *p = page();
    uint32_t sequence;
    do {
        uint32_t low, high;
        sequence = p->sequence;
        if (__builtin_expect(!(p->flags & KPIO_CLOCK_TSC), 0)) return false;
        __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
        unsigned __int128 product = (unsigned __int128)(((uint64_t)high << 32 | low) - p->base) * p->mult;
        *ns = (uint64_t)(product >> p->shift) + (real ? p->realtime_base : 0);
    } while (__builtin_expect((sequence & 1) != 0 || sequence != p->sequence, 0));
    return true;
}

int64_t __vdso_clock_gettime(uint32_t clock, struct vdso_timespec *ts) {
    const uint32_t bit = clock < 32 ? 1u << clock : 0;
    uint64_t ns;
    if (__builtin_expect(!(bit & (REAL_CLOCKS | MONOTONIC_CLOCKS)) || !now(bit & REAL_CLOCKS, &ns), 0))
        return call(CALL_CLOCK_GETTIME, clock, (uint64_t)ts);
    ts->seconds = (int64_t)(ns / SECOND);
    ts->nanoseconds = (int64_t)(ns % SECOND);
    return 0;
}

int64_t __vdso_clock_getres(uint32_t clock, struct vdso_timespec *ts) { return call(CALL_CLOCK_GETRES, clock, (uint64_t)ts); }

int64_t __vdso_gettimeofday(struct vdso_timeval *tv, void *zone) {
    uint64_t ns;
    if (tv == NULL || zone != NULL || !now(true, &ns)) return call(CALL_GETTIMEOFDAY, (uint64_t)tv, (uint64_t)zone);
    tv->seconds = (int64_t)(ns / SECOND);
    tv->microseconds = (int64_t)(ns % SECOND / 1000);
    return 0;
}

int64_t __vdso_time(int64_t *to) {
    uint64_t ns;
    if (!now(true, &ns)) return call(CALL_TIME, (uint64_t)to, 0);
    if (to != NULL) *to = (int64_t)(ns / SECOND);
    return (int64_t)(ns / SECOND);
}

int64_t __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused) {
    uint32_t low, high, id;
    (void)unused;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(id));
    if (cpu != NULL) *cpu = id;
    if (node != NULL) *node = 0;
    return 0;
}
