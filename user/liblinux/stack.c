// The stack that a program finds (System V ABI for x86-64, 3.4.1), from its end downwards:
//
//     path that was executed, environment strings, argument strings, 16 random bytes, platform name,
//     auxiliary vector, NULL, environment, NULL, arguments, count   <- rsp, a multiple of 16
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/memory.h"
#include "user/liblinux/program.h"
#include "user/liblinux/rseq.h"

#define STACK_BYTES (8ull << 20)
#define STACK_MIN   (128ull << 10)
#define STACK_MAX   (1ull << 30)  // of one without a limit: what is not touched costs nothing
#define GUARD 4096ull
#define AUXV_MAX 28u

struct building {
    uint64_t at;                       // lowest byte in use
    uint64_t auxv[2 * AUXV_MAX];
    unsigned auxv_used;
};

static uint64_t push(struct building *b, const void *data, uint64_t size) {
    b->at -= size;
    memcpy((void *)b->at, data, size);
    return b->at;
}

static void aux(struct building *b, uint64_t type, uint64_t value) {
    b->auxv[b->auxv_used++] = type;
    b->auxv[b->auxv_used++] = value;
}

static uint32_t cpuid_features(void) {
    uint32_t a = 1, b, c, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    return d;
}

static void fill_auxv(struct building *b, const struct lx_launch *l, const struct lx_program *program, uint64_t interpreter) {
    static const char platform[] = "x86_64";
    uint8_t random[16];
    (void)kpio_random_get(random, sizeof random);
    uint64_t random_at = push(b, random, sizeof random), platform_at = push(b, platform, sizeof platform);
    const uint64_t values[][2] = {
        {LX_AT_HWCAP, cpuid_features()}, {LX_AT_PAGESZ, 4096}, {LX_AT_CLKTCK, 100}, {LX_AT_PHDR, program->headers},
        {LX_AT_PHENT, 56}, {LX_AT_PHNUM, program->header_count}, {LX_AT_BASE, interpreter}, {LX_AT_FLAGS, 0},
        {LX_AT_ENTRY, program->entry}, {LX_AT_UID, l->uid}, {LX_AT_EUID, l->euid}, {LX_AT_GID, l->gid}, {LX_AT_EGID, l->egid},
        {LX_AT_SECURE, 0}, {LX_AT_RANDOM, random_at}, {LX_AT_PLATFORM, platform_at}, {LX_AT_RSEQ_FEATURE_SIZE, LX_RSEQ_USED},
        {LX_AT_RSEQ_ALIGN, LX_RSEQ_SIZE},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) aux(b, values[i][0], values[i][1]);
}

// Copies `count` strings from *text on, and their addresses to table.
static void fill_strings(struct building *b, const char **text, uint32_t count, uint64_t *table, uint64_t *at, uint64_t *size) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) bytes += strlen(*text + bytes) + 1;
    *at = push(b, *text, bytes);
    *size = bytes;
    for (uint64_t i = 0, offset = 0; i < count; i++) {
        table[i] = *at + offset;
        offset += strlen((const char *)*at + offset) + 1;
    }
    *text += bytes;
}

int64_t lx_stack_make(struct lx_thread *t, const struct lx_launch *l, const struct lx_program *program, uint64_t interpreter,
                      uint64_t *stack) {
    struct lx_space *space = lx_space(t);
    struct building b = {0};
    const uint64_t limit = align_down(lx_process(t)->limits[LX_RLIMIT_STACK].current, 4096);
    const uint64_t bytes = MIN(MAX(limit, STACK_MIN), STACK_MAX);
    int64_t area = lx_map_anonymous(space, bytes + GUARD, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (area < 0) return area;
    int64_t result = kpio_aspace_protect(space->aspace, (uint64_t)area, GUARD, 0);
    if (result < 0) return result;
    b.at = (uint64_t)area + bytes + GUARD - 16;
    const char *given = (const char *)l + l->given_at;
    uint64_t given_at = push(&b, given, strlen(given) + 1);
    // The table of addresses is written where it stays: its size is known once the auxiliary vector is counted.
    const char *text = (const char *)l + l->text_at;
    uint64_t text_bytes = l->text_bytes, words = 1 + l->argc + 1 + l->envc + 1 + 2 * AUXV_MAX;
    if (text_bytes + words * 8 + 4096 > MIN(bytes, STACK_BYTES) / 4 * 3) return -E2BIG;
    uint64_t table_at = align_down(b.at - text_bytes - 512 - words * 8, 16), *table = (uint64_t *)table_at;
    table[0] = l->argc;
    fill_strings(&b, &text, l->argc, table + 1, &space->arguments, &space->arguments_size);
    table[1 + l->argc] = 0;
    uint64_t *environment = table + 2 + l->argc;
    fill_strings(&b, &text, l->envc, environment, &space->environment, &space->environment_size);
    environment[l->envc] = 0;
    b.at = align_down(b.at, 16);
    fill_auxv(&b, l, program, interpreter);
    aux(&b, KPIO_AT_ASPACE, space->aspace);
    if (l->fuse != KPIO_HANDLE_NONE) aux(&b, KPIO_AT_FUSE, (uint64_t)l->fuse);
    if (l->disk != KPIO_HANDLE_NONE) aux(&b, KPIO_AT_DISK, (uint64_t)l->disk);
    if (space->vdso != 0) aux(&b, LX_AT_SYSINFO_EHDR, space->vdso);
    aux(&b, LX_AT_EXECFN, given_at);
    aux(&b, LX_AT_NULL, 0);
    space->auxv = (uint64_t)(environment + l->envc + 1);
    space->auxv_size = b.auxv_used * 8;
    memcpy((void *)space->auxv, b.auxv, space->auxv_size);
    *stack = table_at;
    return 0;
}
