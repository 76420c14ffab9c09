#include "tests/guest/kt/canary.h"

#include "tests/guest/kt/kt.h"

#define PAGES 256u
#define CANARIES 8u
#define WORD 0x5afe5afe5afe5afeull
#define BYTES (PAGES * 4096ul)

static struct canary {
    kpio_handle vmo;
    uint64_t *words;
} canaries[CANARIES];
static unsigned next;

static void check(struct canary *c) {
    if (c->vmo <= 0) return;
    for (unsigned i = 0; i < BYTES / 8; i++)
        if (c->words[i] != WORD) kt_fail(__FILE__, __LINE__, "freed memory was written: word %u is %lx", i, c->words[i]);
    KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)c->words, BYTES), 0);
    kt_close(c->vmo);
    c->vmo = KPIO_HANDLE_NONE;
}

void kt_canary_place(void) {
    struct canary *c = &canaries[next++ % CANARIES];
    check(c);
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(BYTES, 0));
    c->words = (uint64_t *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, BYTES, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    c->vmo = vmo;
    for (unsigned i = 0; i < BYTES / 8; i++) c->words[i] = WORD;
}

void kt_canary_end(void) {
    for (unsigned i = 0; i < CANARIES; i++) check(&canaries[i]);
}
