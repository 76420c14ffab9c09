// Work of the kind that processor benchmarks do: lists that are searched, reversed and sorted, matrices, a state machine over text,
// a checksum over all of it. argv[1] is the name to report.
#include <stdlib.h>
#include <string.h>

#include "tests/bench/wasm/apps/measure.h"

enum { ITEMS = 200, SIDE = 24, TEXT = 512, ROUNDS = 400 };

static uint16_t checksum(uint16_t crc, uint16_t value) {
    for (int bit = 0; bit < 16; bit++) {
        unsigned mix = (crc ^ value) & 1;
        crc = (uint16_t)(crc >> 1);
        value = (uint16_t)(value >> 1);
        if (mix) crc ^= 0xa001;
    }
    return crc;
}

// ---- lists ----

struct item {
    struct item *next;
    int16_t key, order;
};
static struct item items[ITEMS];

static struct item *list_make(unsigned seed) {
    for (int i = 0; i < ITEMS; i++) {
        seed = seed * 1103515245u + 12345u;
        items[i] = (struct item){i + 1 < ITEMS ? &items[i + 1] : NULL, (int16_t)(seed >> 16 & 0x3ff), (int16_t)i};
    }
    return items;
}

static struct item *list_reverse(struct item *list) {
    struct item *reversed = NULL;
    while (list != NULL) {
        struct item *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

static struct item *merge(struct item *a, struct item *b, int (*before)(const struct item *, const struct item *)) {
    struct item head, *last = &head;
    while (a != NULL && b != NULL) {
        struct item **from = before(b, a) ? &b : &a;
        last->next = *from;
        last = *from;
        *from = (*from)->next;
    }
    last->next = a != NULL ? a : b;
    return head.next;
}

static struct item *list_sort(struct item *list, int (*before)(const struct item *, const struct item *)) {
    struct item *runs[16] = {NULL};
    while (list != NULL) {
        struct item *one = list;
        int level = 0;
        list = list->next;
        one->next = NULL;
        for (; runs[level] != NULL; level++) {
            one = merge(runs[level], one, before);
            runs[level] = NULL;
        }
        runs[level] = one;
    }
    for (int level = 0; level < 16; level++) list = merge(runs[level], list, before);
    return list;
}

static int by_key(const struct item *a, const struct item *b) { return a->key < b->key; }
static int by_order(const struct item *a, const struct item *b) { return a->order < b->order; }

static uint16_t lists(unsigned seed, uint16_t crc) {
    struct item *list = list_sort(list_reverse(list_make(seed)), by_key);
    for (struct item *at = list; at != NULL; at = at->next) crc = checksum(crc, (uint16_t)at->key);
    for (int wanted = 0; wanted < 64; wanted++) {
        struct item *at = list;
        while (at != NULL && at->key != wanted) at = at->next;
        crc = checksum(crc, at != NULL ? (uint16_t)at->order : 0xffff);
    }
    list = list_sort(list, by_order);
    return checksum(crc, (uint16_t)list->key);
}

// ---- matrices ----

static int16_t left[SIDE][SIDE], right[SIDE][SIDE];
static int32_t product[SIDE][SIDE];

static uint16_t matrices(unsigned seed, uint16_t crc) {
    for (int i = 0; i < SIDE * SIDE; i++) {
        seed = seed * 1103515245u + 12345u;
        (&left[0][0])[i] = (int16_t)(seed >> 20);
        (&right[0][0])[i] = (int16_t)(seed >> 12 & 0xff);
    }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t sum = 0;
            for (int k = 0; k < SIDE; k++) sum += (left[i][k] * right[k][j] >> 2 & 0xf) * (left[i][k] * right[k][j] >> 5 & 0x7f);
            product[i][j] = sum;
        }
    for (int i = 0; i < SIDE; i++) crc = checksum(crc, (uint16_t)product[i][SIDE - 1 - i]);
    return crc;
}

// ---- a state machine: which words of a text are numbers, and of what kind ----

enum state { BEGIN, SIGN, WHOLE, FRACTION, EXPONENT, EXPONENT_SIGN, POWER, WORD, STATES };

static enum state step(enum state state, char c) {
    int digit = c >= '0' && c <= '9', sign = c == '+' || c == '-';
    switch (state) {
    case BEGIN: return digit ? WHOLE : sign ? SIGN : c == '.' ? FRACTION : WORD;
    case SIGN: return digit ? WHOLE : c == '.' ? FRACTION : WORD;
    case WHOLE: return digit ? WHOLE : c == '.' ? FRACTION : c == 'e' ? EXPONENT : WORD;
    case FRACTION: return digit ? FRACTION : c == 'e' ? EXPONENT : WORD;
    case EXPONENT: return digit ? POWER : sign ? EXPONENT_SIGN : WORD;
    case EXPONENT_SIGN:
    case POWER: return digit ? POWER : WORD;
    default: return WORD;
    }
}

static uint16_t texts(unsigned seed, uint16_t crc) {
    static const char *const words[] = {"5012", "-1234.5", "+0.25e-3", "7e+12", "12x4", "hello", "-.5", "3.e", "99e9"};
    char text[TEXT + 16];
    unsigned counts[STATES] = {0}, length = 0;
    while (length < TEXT) {
        seed = seed * 1103515245u + 12345u;
        const char *word = words[(seed >> 16) % (sizeof words / sizeof words[0])];
        size_t bytes = strlen(word);
        memcpy(text + length, word, bytes);
        text[length + bytes] = ',';
        length += (unsigned)bytes + 1;
    }
    enum state state = BEGIN;
    for (unsigned i = 0; i < length; i++) {
        if (text[i] == ',') counts[state]++;
        state = text[i] == ',' ? BEGIN : step(state, text[i]);
    }
    for (int i = 0; i < STATES; i++) crc = checksum(crc, (uint16_t)counts[i]);
    return crc;
}

int main(int argc, char **argv) {
    uint16_t crc = 0;
    uint64_t before = measure_now();
    for (unsigned round = 0; round < ROUNDS; round++) crc = texts(round + 3, matrices(round + 2, lists(round + 1, crc)));
    uint64_t after = measure_now();
    measure_report(argc > 1 ? argv[1] : "coremark", after - before, ROUNDS);
    if (crc == 0x6a09) puts("an unlikely sum");  // so that it is needed
    return 0;
}
