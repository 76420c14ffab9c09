// One ring of text. Writers format on their own stack and hold the lock for a memory copy and the console output, so that
// lines never mix. An interruption that cannot wait (NMI, a fault in the log itself) writes without the lock.
#include "kernel/core/log.h"

#include "kernel/core/cpu.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"

#define RING_SIZE (64u * 1024)
#define LINE_MAX 400
#define SPIN_LIMIT 100000000u  // then the holder is taken for dead

static char ring[RING_SIZE];
static uint64_t ring_end;  // bytes ever written
static uint32_t holder;    // CPU id + 1, or 0
static enum log_level console_level = LOG_INFO;

static const char level_letter[] = {'E', 'W', 'I', 'D'};

// Returns whether the lock was taken; otherwise the caller goes on without.
static bool log_lock(void) {
    uint32_t me = cpu_id() + 1;
    if (__atomic_load_n(&holder, __ATOMIC_RELAXED) == me) return false;
    for (uint32_t i = 0; i < SPIN_LIMIT; i++) {
        uint32_t free = 0;
        if (__atomic_compare_exchange_n(&holder, &free, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return true;
        __builtin_ia32_pause();
    }
    return false;
}

static void log_unlock(bool locked) {
    if (locked) __atomic_store_n(&holder, 0, __ATOMIC_RELEASE);
}

static void ring_append(const char *text, size_t size) {
    size_t at = ring_end % RING_SIZE;
    size_t first = MIN(size, RING_SIZE - at);
    memcpy(ring + at, text, first);
    memcpy(ring, text + first, size - first);
    ring_end += size;
}

void log_write(enum log_level level, const char *format, ...) {
    char line[LINE_MAX];
    uint64_t us = log_time() / 1000;
    va_list args;
    size_t size = fmt_print(line, sizeof(line), "[%5u.%06u] %u %c ", (unsigned)(us / 1000000), (unsigned)(us % 1000000),
                            cpu_id(), level_letter[level & 3]);
    va_start(args, format);
    size += fmt_vprint(line + size, sizeof(line) - 1 - size, format, args);
    va_end(args);
    if (size > sizeof(line) - 2) size = sizeof(line) - 2;
    line[size++] = '\n';

    bool locked = log_lock();
    ring_append(line, size);
    if (level <= console_level) arch_console_write(line, size);
    log_unlock(locked);
}

size_t log_read(uint64_t *pos, char *buf, size_t size) {
    bool locked = log_lock();
    uint64_t oldest = ring_end > RING_SIZE ? ring_end - RING_SIZE : 0;
    uint64_t from = MIN(MAX(*pos, oldest), ring_end);
    size_t count = MIN(size, (size_t)(ring_end - from));
    size_t at = from % RING_SIZE;
    size_t first = MIN(count, RING_SIZE - at);
    memcpy(buf, ring + at, first);
    memcpy(buf + first, ring, count - first);
    log_unlock(locked);
    *pos = from + count;
    return count;
}

void log_set_console_level(enum log_level level) { console_level = level; }

uint64_t log_end(void) { return __atomic_load_n(&ring_end, __ATOMIC_RELAXED); }

void log_dump_tail(uint64_t end, unsigned lines) {
    uint64_t oldest = ring_end > RING_SIZE ? ring_end - RING_SIZE : 0, from = end;
    // Back to the newline before the first of the last `lines` lines.
    while (from > oldest) {
        if (ring[(from - 1) % RING_SIZE] == '\n' && from != end && --lines == 0) break;
        from--;
    }
    while (from < end) {
        size_t at = from % RING_SIZE;
        size_t count = MIN(end - from, RING_SIZE - at);
        arch_console_write(ring + at, count);
        from += count;
    }
}
