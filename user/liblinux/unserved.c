// The counts are in a file of the file system in memory, which all programs of a session share: a word for each number, the last
// for all beyond; then the same for what served calls leave out. They are counted through a mapping, so none is lost between processes.
#include "user/liblinux/unserved.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/memory.h"

// ABI restart_syscall: of Linux's own making, never called; calls go on in the library

#define NAME "unserved calls"
#define BYTES 8192u
_Static_assert(2 * LX_UNSERVED_MAX * sizeof(uint64_t) == BYTES, "all of them");

static int64_t map_counts(struct lx_thread *t) {
    const struct lx_process *p = lx_process(t);
    if (p->memory_fs == KPIO_HANDLE_NONE) return -ENOENT;
    int64_t opened = kpio_path_open(p->memory_fs, NAME, KPIO_OPEN_CREATE, 0600, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE);
    if (opened < 0) return opened;
    const struct lx_fd fd = {.handle = (kpio_handle)(uint32_t)opened, .kind = LX_KIND_FILE, .flags = LX_FD_READ | LX_FD_WRITE};
    int64_t at = kpio_file_allocate(fd.handle, 0, 0, BYTES);
    if (at == 0) at = lx_map_file(p->space, &fd, 0, BYTES, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    (void)kpio_handle_close((uint32_t)opened);
    return at;
}

static void count(struct lx_thread *t, uint64_t number, bool use) {
    int64_t at = map_counts(t);
    if (at < 0) return;
    uint64_t *counts = (uint64_t *)at + (use ? LX_UNSERVED_MAX : 0);
    (void)__atomic_fetch_add(counts + MIN(number, LX_UNSERVED_MAX - 1ull), 1, __ATOMIC_RELAXED);
    (void)kpio_aspace_unmap(lx_space(t)->aspace, (uint64_t)at, BYTES);
}

int64_t lx_unserved(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    count(t, t->call, false);
    return -ENOSYS;
}

int64_t lx_unknown(struct lx_thread *t, uint64_t number) {
    count(t, number, false);
    return -ENOSYS;
}

int64_t lx_unserved_use(struct lx_thread *t, int64_t error) {
    count(t, t->call, true);
    return error;
}

int64_t lx_unserved_counts(struct lx_thread *t, void (*each)(void *context, uint64_t number, bool use, uint64_t times), void *context) {
    int64_t at = map_counts(t);
    if (at < 0) return at == -ENOENT ? 0 : at;
    for (uint64_t i = 0; i < 2 * LX_UNSERVED_MAX; i++) {
        const uint64_t times = __atomic_load_n((uint64_t *)at + i, __ATOMIC_RELAXED);
        if (times > 0) each(context, i % LX_UNSERVED_MAX, i >= LX_UNSERVED_MAX, times);
    }
    (void)kpio_aspace_unmap(lx_space(t)->aspace, (uint64_t)at, BYTES);
    return 0;
}
