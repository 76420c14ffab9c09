// Reads any bytes as a command line, a manifest, numbers and a format. Pieces must lie inside the text, positions must
// grow, and what is formatted must never leave its buffer.
// links: lib/text.c lib/cmdline.c lib/manifest.c lib/fmt.c
#include <stdlib.h>
#include <string.h>

#include "lib/cmdline.h"
#include "lib/fmt.h"
#include "lib/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_inside(struct text whole, struct text piece) {
    if (piece.size != 0 && (piece.data < whole.data || piece.data + piece.size > whole.data + whole.size)) abort();
}

static void count_refusal(void *context, const struct cmdline_word *word, const char *reason) {
    expect_inside(*(struct text *)context, word->key);
    if (reason == NULL || reason[0] == '\0') abort();
}

static void try_cmdline(struct text whole) {
    struct cmdline_cursor cursor = {whole, 0};
    struct cmdline_word word;
    bool flag;
    uint64_t number, bytes, nanos;
    struct text value;
    const struct cmdline_option options[] = {
        {"f", CMDLINE_BOOL, 0, 0, &flag},       {"n", CMDLINE_NUMBER, 3, 9, &number}, {"s", CMDLINE_SIZE, 0, 0, &bytes},
        {"d", CMDLINE_DURATION, 0, 0, &nanos}, {"t", CMDLINE_TEXT, 0, 0, &value},
    };
    size_t words = 0, previous = 0;

    while (cmdline_next(&cursor, &word)) {
        expect_inside(whole, word.key);
        expect_inside(whole, word.value);
        if (cursor.position <= previous && words != 0) abort();
        previous = cursor.position;
        words++;
    }
    if (cmdline_parse(whole, options, ARRAY_SIZE(options), count_refusal, &whole) > words) abort();
}

static void try_manifest(struct text whole) {
    struct manifest_reader reader;
    struct manifest_item item;
    unsigned line = 0;

    manifest_open(&reader, whole);
    while ((item = manifest_next(&reader)).kind != MANIFEST_END) {
        if (item.line <= line || item.column == 0 || (item.kind == MANIFEST_BAD) != (item.reason != NULL)) abort();
        line = item.line;
        expect_inside(whole, item.section);
        expect_inside(whole, item.key);
        expect_inside(whole, item.value);
    }
}

static void try_format(struct text whole) {
    char format[128], small[16];
    size_t length;

    // No %s: what it would read is not ours to give. Every other conversion takes an integer register.
    for (size_t i = 0; i < sizeof(format); i++) format[i] = i < whole.size && whole.data[i] != 's' ? whole.data[i] : 'x';
    format[MIN(whole.size, sizeof(format) - 1)] = '\0';
    if (strchr(format, '*') != NULL) return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    length = fmt_print(small, sizeof(small), format, 1ul, 2ul, 3ul, 4ul, 5ul, 6ul, 7ul, 8ul, 9ul, 10ul, 11ul, 12ul, 13ul, 14ul,
                       15ul, 16ul, 17ul, 18ul, 19ul, 20ul, 21ul, 22ul, 23ul, 24ul, 25ul, 26ul, 27ul, 28ul, 29ul, 30ul, 31ul,
                       32ul, 33ul, 34ul, 35ul, 36ul, 37ul, 38ul, 39ul, 40ul, 41ul, 42ul, 43ul, 44ul, 45ul, 46ul, 47ul, 48ul,
                       49ul, 50ul, 51ul, 52ul, 53ul, 54ul, 55ul, 56ul, 57ul, 58ul, 59ul, 60ul, 61ul, 62ul, 63ul, 64ul);
#pragma GCC diagnostic pop
    if (strnlen(small, sizeof(small)) == sizeof(small)) abort();
    if (length < sizeof(small) - 1 && memchr(small, 0, sizeof(small)) > (void *)(small + length)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size + !size);  // of exactly this size, so that reading past it shows
    struct text whole = {copy, size};
    uint64_t number;
    bool flag;

    memcpy(copy, data, size);
    // Each is tried, whatever the others say.
    if (text_to_u64(whole, &number) && (!text_to_size(whole, &number) || text_to_duration(whole, &number))) abort();
    if (text_to_bool(whole, &flag) && text_to_duration(whole, &number)) abort();
    try_cmdline(whole);
    try_manifest(whole);
    try_format(whole);
    free(copy);
    return 0;
}
