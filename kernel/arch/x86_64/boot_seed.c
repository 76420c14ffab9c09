// Chance at boot: RDRAND where there is one, the TSC, and `seed=` of the command line. All of it is stirred into a state
// of four words; boot_info.seed and the KASLR slides are separate outputs, so that one does not tell the other.
#include "kernel/arch/x86_64/boot.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "lib/string.h"

static uint64_t state[4];

static inline uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

// The SipHash round: mixes four words well for its size.
static void stir(void) {
    state[0] += state[1], state[1] = rotate(state[1], 13) ^ state[0], state[0] = rotate(state[0], 32);
    state[2] += state[3], state[3] = rotate(state[3], 16) ^ state[2];
    state[0] += state[3], state[3] = rotate(state[3], 21) ^ state[0];
    state[2] += state[1], state[1] = rotate(state[1], 17) ^ state[2], state[2] = rotate(state[2], 32);
}

static void absorb(uint64_t word) {
    state[3] ^= word;
    stir(), stir();
    state[0] ^= word;
}

uint64_t boot_random(void) {
    state[2] ^= 0xff;
    stir(), stir(), stir(), stir();
    return state[0] ^ state[1] ^ state[2] ^ state[3];
}

void boot_seed_init(void) {
    const char *value;
    size_t length;
    uint64_t word;

    state[0] = 0x736f6d6570736575, state[1] = 0x646f72616e646f6d;
    state[2] = 0x6c7967656e657261, state[3] = 0x7465646279746573;
    if (boot_option("seed", &value, &length))
        for (size_t i = 0; i < length; i++) absorb((unsigned char)value[i]);
    for (int i = 0; i < 8; i++) {
        if (cpu_rdrand(&word)) absorb(word);
        absorb(cpu_rdtsc());
    }
    for (int i = 0; i < 4; i++) {
        word = boot_random();
        memcpy(boot_info.seed + 8 * i, &word, sizeof(word));
    }
    absorb(cpu_rdtsc());
}
