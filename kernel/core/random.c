// Each CPU has a key and a buffer. A refill runs ChaCha20 over the key: the first 32 bytes of output become the next key,
// so that what was handed out cannot be computed from what is in memory now. A CPU's first key comes from CPU 0's stream.
#include "kernel/core/random.h"

#include "kernel/core/assert.h"
#include "kernel/core/cpu.h"
#include "kernel/core/spinlock.h"
#include "lib/string.h"
#include "lib/util.h"

#define BLOCK 64
#define BLOCKS 4  // per refill

struct stream {
    uint32_t key[8];
    uint64_t counter;
    uint32_t left;  // unused bytes at the buffer's end
    bool seeded;
    uint8_t buffer[BLOCKS * BLOCK];
} cacheline_aligned;
static struct stream streams[CONFIG_MAX_CPUS];

static struct spinlock root_lock = SPINLOCK_INIT("random_root");  // guards root; a leaf
static struct stream root;                                        // keys for the CPUs' streams

static inline uint32_t rotate(uint32_t v, int by) { return v << by | v >> (32 - by); }

static inline void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d) {
    *a += *b, *d = rotate(*d ^ *a, 16);
    *c += *d, *b = rotate(*b ^ *c, 12);
    *a += *b, *d = rotate(*d ^ *a, 8);
    *c += *d, *b = rotate(*b ^ *c, 7);
}

// RFC 8439, with a 64-bit counter and no nonce: a key is used for one refill.
static void chacha20(const uint32_t key[8], uint64_t counter, uint8_t out[BLOCK]) {
    uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t x[16];
    memcpy(input + 4, key, 32);
    input[12] = (uint32_t)counter;
    input[13] = (uint32_t)(counter >> 32);
    memcpy(x, input, sizeof(x));
    for (int i = 0; i < 10; i++) {
        quarter(&x[0], &x[4], &x[8], &x[12]), quarter(&x[1], &x[5], &x[9], &x[13]);
        quarter(&x[2], &x[6], &x[10], &x[14]), quarter(&x[3], &x[7], &x[11], &x[15]);
        quarter(&x[0], &x[5], &x[10], &x[15]), quarter(&x[1], &x[6], &x[11], &x[12]);
        quarter(&x[2], &x[7], &x[8], &x[13]), quarter(&x[3], &x[4], &x[9], &x[14]);
    }
    for (int i = 0; i < 16; i++) x[i] += input[i];
    memcpy(out, x, BLOCK);
}

static void refill(struct stream *s) {
    for (int i = 0; i < BLOCKS; i++) chacha20(s->key, s->counter++, s->buffer + i * BLOCK);
    memcpy(s->key, s->buffer, sizeof(s->key));
    memset(s->buffer, 0, sizeof(s->key));
    s->left = sizeof(s->buffer) - sizeof(s->key);
}

static void draw(struct stream *s, uint8_t *to, size_t n) {
    while (n > 0) {
        if (s->left == 0) refill(s);
        size_t count = MIN(n, (size_t)s->left);
        uint8_t *from = s->buffer + sizeof(s->buffer) - s->left;
        memcpy(to, from, count);
        memset(from, 0, count);
        s->left -= (uint32_t)count;
        to += count;
        n -= count;
    }
}

static void stir(struct stream *s, const uint8_t data[32]) {
    for (int i = 0; i < 8; i++) {
        uint32_t word;
        memcpy(&word, data + 4 * i, sizeof(word));
        s->key[i] ^= word;
    }
    refill(s);
}

void random_init(const uint8_t seed[32]) {
    stir(&root, seed);
    root.seeded = true;
}

void random_add(const uint8_t data[32]) {
    spin_lock(&root_lock);
    stir(&root, data);
    spin_unlock(&root_lock);
    streams[cpu_id()].seeded = false;  // this CPU's next draw starts from the new root
}

void random_bytes(void *buf, size_t n) {
    struct stream *s = &streams[cpu_id()];
    if (unlikely(!s->seeded)) {
        spin_lock(&root_lock);
        verify(root.seeded);
        draw(&root, (uint8_t *)s->key, sizeof(s->key));
        spin_unlock(&root_lock);
        s->left = 0;
        s->seeded = true;
    }
    draw(s, buf, n);
}

uint64_t random_u64(void) {
    uint64_t v;
    random_bytes(&v, sizeof(v));
    return v;
}

uint64_t random_below(uint64_t limit) {
    verify(limit > 0);
    // Multiply-shift; the few values that would make it uneven are drawn again.
    for (;;) {
        unsigned __int128 wide = (unsigned __int128)random_u64() * limit;
        if ((uint64_t)wide >= (0 - limit) % limit) return (uint64_t)(wide >> 64);
    }
}
