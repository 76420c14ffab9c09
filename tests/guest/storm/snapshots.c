// Snapshots of snapshots, as forks make them: the last costs what the first did, and each sees what it should.
#include "lib/util.h"
#include "tests/guest/kt/kt.h"

#define PAGE 4096ul
#define PAGES 64ul
#define DEPTH 10000u
#define SAMPLE 200u
#define WRITE_EACH 8u  // every so many snapshots write a page of their own

static kpio_handle chain[DEPTH + 1];

static void write_word(kpio_handle vmo, uint64_t page, uint64_t word) { KT_EQUAL(kpio_vmo_write(vmo, page * PAGE, &word, 8), 8); }
static uint64_t read_word(kpio_handle vmo, uint64_t page) {
    uint64_t word = 0;
    KT_EQUAL(kpio_vmo_read(vmo, page * PAGE, &word, 8), 8);
    return word;
}

// What page p of snapshot i holds: the number of the last snapshot up to i that wrote it.
static uint64_t expected(unsigned i, uint64_t page) {
    for (unsigned step = i - i % WRITE_EACH; step > 0; step -= WRITE_EACH)
        if (step / WRITE_EACH % PAGES == page) return step;
    return 0x1000000 + page;
}

KT_TEST(snapshots_ten_thousand_deep) {
    uint64_t least[2] = {UINT64_MAX, UINT64_MAX};  // of the first and of the last ones: the rest is the machine's noise
    chain[0] = KT_HANDLE(kpio_vmo_create(PAGES * PAGE, 0));
    for (uint64_t p = 0; p < PAGES; p++) write_word(chain[0], p, 0x1000000 + p);
    for (unsigned i = 1; i <= DEPTH; i++) {
        uint64_t start = time_now();
        chain[i] = KT_HANDLE(kpio_vmo_clone(chain[i - 1], KPIO_CLONE_SNAPSHOT, 0, PAGES * PAGE));
        if (i % WRITE_EACH == 0) write_word(chain[i], i / WRITE_EACH % PAGES, i);
        uint64_t took = time_now() - start;
        if (i <= SAMPLE) least[0] = MIN(least[0], took);
        if (i > DEPTH - SAMPLE) least[1] = MIN(least[1], took);
    }
    kt_note("%u snapshots: %lu ns at first, %lu ns at last", DEPTH, least[0], least[1]);
    for (unsigned i = 0; i <= DEPTH; i += 617)
        for (uint64_t p = 0; p < PAGES; p += 7) KT_EQUAL(read_word(chain[i], p), expected(i, p));
    write_word(chain[5000], 3, 42);  // in the middle: nobody else sees it
    KT_EQUAL(read_word(chain[5000], 3), 42);
    KT_EQUAL(read_word(chain[4999], 3), expected(4999, 3));
    KT_EQUAL(read_word(chain[5001], 3), expected(5001, 3));
    for (unsigned i = DEPTH; i > 0; i--) {  // in any order
        unsigned other = (unsigned)(kt_random() % (i + 1));
        kpio_handle kept = chain[i];
        chain[i] = chain[other];
        chain[other] = kept;
    }
    for (unsigned i = 0; i <= DEPTH; i++) kt_close(chain[i]);
    KT_CHECK(least[1] < least[0] * 8);  // far from what chains of 10,000 would cost
}

// Only the newest is kept, as when each child forks and its parent ends.
KT_TEST(snapshots_whose_ancestors_go) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGES * PAGE, 0));
    struct kpio_system_info before, after;
    for (uint64_t p = 0; p < PAGES; p++) write_word(vmo, p, p);
    KT_EQUAL(kpio_system_info(kt_system(), &before), 0);
    for (unsigned i = 1; i <= DEPTH; i++) {
        kpio_handle next = KT_HANDLE(kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, 0, PAGES * PAGE));
        kt_close(vmo);
        vmo = next;
        write_word(vmo, i % PAGES, i);
    }
    uint64_t hang = kt_soon();
    do KT_EQUAL(kpio_system_info(kt_system(), &after), 0);
    while (after.memory_free + 256 * PAGE <= before.memory_free && time_now() < hang);
    KT_CHECK(after.memory_free + 256 * PAGE > before.memory_free);  // 10,000 generations hold no more than one
    for (uint64_t p = 0; p < PAGES; p++) KT_EQUAL(read_word(vmo, p), DEPTH - (DEPTH - p) % PAGES);
    kt_close(vmo);
}

// Address spaces, each a fork of the one before.
KT_TEST(forked_address_spaces) {
    unsigned depth = kt_long() ? 1000 : 100;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGES * PAGE, 0)), space, process, last_space, last;
    process = KT_HANDLE(kpio_process_create(kt_job(), 0, "first", 5, &space));
    KT_OK(kpio_aspace_map(space, vmo, 0, PAGES * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_POPULATE, 0));
    kt_close(vmo);
    for (unsigned i = 0; i < depth; i++) {
        last = process;
        last_space = space;
        process = KT_HANDLE(kpio_process_create(kt_job(), 0, "fork", 4, &space));
        KT_EQUAL(kpio_aspace_clone(last_space, space), 0);
        KT_ERROR(kpio_aspace_clone(last_space, space), EBUSY);  // it is not empty any more
        kt_close(last_space);
        kt_close(last);
    }
    kt_close(space);
    kt_close(process);
}
