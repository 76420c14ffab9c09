#include "lib/text.h"

#include "lib/string.h"

struct text text_of(const char *terminated) {
    return (struct text){terminated, strlen(terminated)};
}

bool text_equal(struct text a, struct text b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool text_starts_with(struct text whole, struct text start) {
    return whole.size >= start.size && (start.size == 0 || memcmp(whole.data, start.data, start.size) == 0);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

struct text text_trim(struct text piece) {
    while (piece.size != 0 && is_blank(piece.data[0])) {
        piece.data++;
        piece.size--;
    }
    while (piece.size != 0 && is_blank(piece.data[piece.size - 1])) piece.size--;
    return piece;
}

struct text text_split(struct text *rest, char separator) {
    struct text first = *rest;
    const char *at = first.size != 0 ? memchr(first.data, separator, first.size) : NULL;

    if (at == NULL) {
        *rest = (struct text){NULL, 0};
        return first;
    }
    first.size = (size_t)(at - first.data);
    rest->data += first.size + 1;
    rest->size -= first.size + 1;
    return first;
}

bool text_copy(char *buffer, size_t size, struct text piece) {
    size_t fits;

    if (size == 0) return false;
    fits = MIN(piece.size, size - 1);
    if (fits != 0) memcpy(buffer, piece.data, fits);
    buffer[fits] = '\0';
    return fits == piece.size;
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 16;
}

bool text_to_u64(struct text piece, uint64_t *out) {
    uint64_t base = 10;
    uint64_t value = 0;

    if (piece.size > 2 && piece.data[0] == '0' && (piece.data[1] | 0x20) == 'x') {
        base = 16;
        piece.data += 2;
        piece.size -= 2;
    }
    if (piece.size == 0) return false;
    for (size_t i = 0; i < piece.size; i++) {
        uint64_t digit = (uint64_t)digit_value(piece.data[i]);

        if (digit >= base || !checked_mul(value, base, &value) || !checked_add(value, digit, &value)) return false;
    }
    *out = value;
    return true;
}

bool text_to_size(struct text piece, uint64_t *out) {
    static const char suffixes[] = "KMGT";
    uint64_t unit = 1;
    uint64_t value;

    if (piece.size != 0) {
        for (unsigned i = 0; suffixes[i] != '\0'; i++) {
            if ((piece.data[piece.size - 1] & ~0x20) == suffixes[i]) unit = 1ull << (10 * (i + 1));
        }
    }
    if (unit != 1) piece.size--;
    if (!text_to_u64(piece, &value)) return false;
    return checked_mul(value, unit, out);
}

bool text_to_duration(struct text piece, uint64_t *out) {
    static const struct {
        struct text name;
        uint64_t nanos;
    } units[] = {{{"ns", 2}, 1}, {{"us", 2}, 1000}, {{"ms", 2}, 1000000}, {{"s", 1}, 1000000000}};
    uint64_t value;

    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        struct text name = units[i].name;
        struct text number = {piece.data, piece.size - name.size};

        if (piece.size <= name.size || memcmp(piece.data + number.size, name.data, name.size) != 0) continue;
        return text_to_u64(number, &value) && checked_mul(value, units[i].nanos, out);
    }
    return false;
}

bool text_to_bool(struct text piece, bool *out) {
    static const struct {
        struct text word;
        bool value;
    } words[] = {{{"yes", 3}, true}, {{"on", 2}, true},   {{"true", 4}, true},   {{"1", 1}, true},
                 {{"no", 2}, false}, {{"off", 3}, false}, {{"false", 5}, false}, {{"0", 1}, false}};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!text_equal(piece, words[i].word)) continue;
        *out = words[i].value;
        return true;
    }
    return false;
}
