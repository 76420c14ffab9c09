// The cipher under the random numbers: the first test vector of RFC 8439, appendix A.1 (all zero; with no nonce the two
// layouts of counter and nonce agree).
// links: lib/string.c
#include "kernel/core/random.c"

#include "tests/unit/unit.h"

struct cpu cpus[CONFIG_MAX_CPUS];

TEST(chacha20_matches_rfc_8439) {
    static const uint8_t expected[32] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a,
                                         0xe5, 0x53, 0x86, 0xbd, 0x28, 0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d,
                                         0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7};
    const uint32_t key[8] = {0};
    uint8_t out[BLOCK];
    chacha20(key, 0, out);
    CHECK_EQ(memcmp(out, expected, sizeof(expected)), 0);
}

TEST(random_stream_never_repeats_its_key) {
    struct stream s = {0};
    uint8_t first[BLOCKS * BLOCK], second[BLOCKS * BLOCK];
    draw(&s, first, sizeof(first));
    draw(&s, second, sizeof(second));
    CHECK(memcmp(first, second, sizeof(first)) != 0);
}

TEST(random_buffer_is_erased_once_drawn) {
    struct stream s = {0};
    uint8_t out[16];
    draw(&s, out, sizeof(out));
    for (unsigned i = 0; i < sizeof(s.key) + sizeof(out); i++) CHECK_EQ(s.buffer[i], 0);
}
