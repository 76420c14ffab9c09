// Hashes of names, by which htree directories are sorted (directory.rst: half MD4, TEA, and the legacy one). Each exists for
// names taken as signed and as unsigned characters, as the machine that made the volume did.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/string.h"

#define HASH_END 0x7fffffffu  // readers of directories keep this one for the end

static uint32_t character(char c, bool is_signed) { return is_signed ? (uint32_t)(int32_t)(signed char)c : (uint8_t)c; }

static uint32_t legacy(struct ext4_name name, bool is_signed) {
    uint32_t before = 0x37abe8f9, last = 0x12a3fe2d;
    for (uint32_t i = 0; i < name.bytes; i++) {
        uint32_t next = before + (last ^ character(name.text[i], is_signed) * 7152373u);
        if (next & 0x80000000u) next -= 0x7fffffffu;
        before = last, last = next;
    }
    return last << 1;
}

// `words` words of the name at `at`, filled up with its length.
static void take_words(struct ext4_name name, uint32_t at, bool is_signed, uint32_t *out, uint32_t words) {
    uint32_t rest = name.bytes - at, fill = (rest & 0xff) * 0x01010101u;
    if (rest > 0xff) fill = rest | rest << 8, fill |= fill << 16;
    uint32_t bytes = MIN(rest, words * 4), w = 0;
    const char *text = name.text + at;
    for (uint32_t four; w * 4 + 4 <= bytes; w++) {
        __builtin_memcpy(&four, text + w * 4, 4);
        out[w] = __builtin_bswap32(four);
        if (is_signed && (four & 0x80808080) != 0)  // else the sign of a character makes no difference
            for (uint32_t i = 0; i < 4; i++) out[w] = character(text[w * 4 + i], true) + (i == 0 ? 0 : out[w] << 8);
    }
    if (w == words) return;
    uint32_t value = fill;
    for (uint32_t i = w * 4; i < bytes; i++) value = character(text[i], is_signed) + (value << 8);
    out[w] = value;
    while (++w < words) out[w] = fill;
}

static uint32_t rotate(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }
static uint32_t choose(uint32_t x, uint32_t y, uint32_t z) { return z ^ (x & (y ^ z)); }
static uint32_t majority(uint32_t x, uint32_t y, uint32_t z) { return (x & y) + ((x ^ y) & z); }
static uint32_t parity(uint32_t x, uint32_t y, uint32_t z) { return x ^ y ^ z; }

#define STEP(f, a, b, c, d, word, shift) (a = rotate(a + f(b, c, d) + (word), shift))
// Four steps with the four registers turned.
#define FOUR(f, w0, w1, w2, w3, s0, s1, s2, s3) \
    (STEP(f, a, b, c, d, w0, s0), STEP(f, d, a, b, c, w1, s1), STEP(f, c, d, a, b, w2, s2), STEP(f, b, c, d, a, w3, s3))

static void half_md4(uint32_t state[4], const uint32_t in[8]) {
    const uint32_t k2 = 0x5a827999, k3 = 0x6ed9eba1;
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    FOUR(choose, in[0], in[1], in[2], in[3], 3, 7, 11, 19);
    FOUR(choose, in[4], in[5], in[6], in[7], 3, 7, 11, 19);
    FOUR(majority, in[1] + k2, in[3] + k2, in[5] + k2, in[7] + k2, 3, 5, 9, 13);
    FOUR(majority, in[0] + k2, in[2] + k2, in[4] + k2, in[6] + k2, 3, 5, 9, 13);
    FOUR(parity, in[3] + k3, in[7] + k3, in[2] + k3, in[6] + k3, 3, 9, 11, 15);
    FOUR(parity, in[1] + k3, in[5] + k3, in[0] + k3, in[4] + k3, 3, 9, 11, 15);
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

static void tea(uint32_t state[4], const uint32_t in[4]) {
    uint32_t sum = 0, x = state[0], y = state[1];
    for (int round = 0; round < 16; round++) {
        sum += 0x9e3779b9;
        x += ((y << 4) + in[0]) ^ (y + sum) ^ ((y >> 5) + in[1]);
        y += ((x << 4) + in[2]) ^ (x + sum) ^ ((x >> 5) + in[3]);
    }
    state[0] += x, state[1] += y;
}

int ext4_hash(const struct ext4 *v, unsigned version, struct ext4_name name, struct ext4_hash *out) {
    static const uint32_t start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    const uint32_t *seed = v->hash_seed;
    bool is_signed = version < EXT4_HASH_UNSIGNED;
    uint32_t state[4], words[8];
    memcpy(state, seed[0] | seed[1] | seed[2] | seed[3] ? seed : start, sizeof state);
    switch (is_signed ? version : version - EXT4_HASH_UNSIGNED) {
    case EXT4_HASH_LEGACY: *out = (struct ext4_hash){legacy(name, is_signed), 0}; break;
    case EXT4_HASH_HALF_MD4:
        for (uint32_t at = 0; at < name.bytes; at += 32) {
            take_words(name, at, is_signed, words, 8);
            half_md4(state, words);
        }
        *out = (struct ext4_hash){state[1], state[2]};
        break;
    case EXT4_HASH_TEA:
        for (uint32_t at = 0; at < name.bytes; at += 16) {
            take_words(name, at, is_signed, words, 4);
            tea(state, words);
        }
        *out = (struct ext4_hash){state[0], state[1]};
        break;
    default: return -EIO;
    }
    out->major &= ~1u;
    if (out->major == HASH_END << 1) out->major = (HASH_END - 1) << 1;
    return 0;
}
