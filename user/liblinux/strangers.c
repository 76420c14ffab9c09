#include "user/liblinux/strangers.h"

#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/memory.h"

// A set of handles, as a table with open addressing.
struct set {
    kpio_handle *slots;             // KPIO_HANDLE_NONE: free
    uint64_t size;                  // a power of two, more than twice what goes in
};

static kpio_handle *place_of(const struct set *s, kpio_handle handle) {
    uint64_t at = (uint32_t)handle * 0x9e3779b9u;
    while (s->slots[at & (s->size - 1)] != KPIO_HANDLE_NONE && s->slots[at & (s->size - 1)] != handle) at++;
    return &s->slots[at & (s->size - 1)];
}

static void add(struct set *s, kpio_handle handle) {
    if (handle > 0) *place_of(s, handle) = handle;
}

static void add_fd(struct set *s, const struct lx_fd *fd) {
    if (fd->kind == LX_KIND_NONE) return;
    add(s, fd->handle);
    add(s, fd->second);
}

#define OWN 16u                     // of the process itself, at most
static uint64_t size_for(const struct lx_process *p) {
    uint64_t size = 64;
    while (size < 2 * (2 * (uint64_t)p->files->capacity + OWN)) size *= 2;
    return size;
}

static void add_known(struct set *s, const struct lx_process *p) {
    const kpio_handle own[] = {p->root, p->cwd, p->memory_fs, p->posixd, p->program, p->system, p->space->image};
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++) add(s, own[i]);
    add_fd(s, &p->cwd_local);
    add_fd(s, &p->trace_output);
    for (uint32_t i = 0; i < p->files->capacity; i++) add_fd(s, &p->files->entries[i]);
}

static void close_unknown(const struct set *known, const struct kpio_handle_info *infos, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const struct kpio_handle_info *info = &infos[i];
        if (info->kind != KPIO_KIND_PIPE && info->kind != KPIO_KIND_FILE) continue;
        if (*place_of(known, info->value) == KPIO_HANDLE_NONE) (void)kpio_handle_close((uint32_t)info->value);
    }
}

void lx_strangers_close(struct lx_process *p) {
    const int64_t count = kpio_process_handles(p->handle, NULL, 0);
    if (count <= 0) return;
    struct set known = {.size = size_for(p)};
    const uint64_t room = (uint64_t)count + OWN;
    const uint64_t bytes = align_up(known.size * sizeof(kpio_handle) + room * sizeof(struct kpio_handle_info), 4096);
    const int64_t memory = lx_map_own(p->space, bytes);
    if (memory < 0) return;
    struct kpio_handle_info *infos = (struct kpio_handle_info *)memory;
    known.slots = (kpio_handle *)&infos[room];
    add_known(&known, p);
    const int64_t told = kpio_process_handles(p->handle, infos, room);
    if (told > 0) close_unknown(&known, infos, MIN((uint64_t)told, room));
    (void)kpio_aspace_unmap(p->space->aspace, (uint64_t)memory, bytes);
}
