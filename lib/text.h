// Pieces of text that need no terminator, and the values that configuration texts hold.
#pragma once

#include "lib/util.h"

struct text {
    const char *data;
    size_t size;
};

#define TEXT(literal) ((struct text){"" literal, sizeof(literal) - 1})
// For printing with "%.*s".
#define TEXT_ARG(piece) (int)MIN((piece).size, (size_t)INT32_MAX), (piece).data

struct text text_of(const char *terminated);
bool text_equal(struct text a, struct text b);
bool text_starts_with(struct text whole, struct text start);

// Without spaces, tabs and carriage returns at both ends.
struct text text_trim(struct text piece);

// Cuts off and returns what comes before the first `separator`; the rest starts after it. Without one, everything is
// returned and the rest is empty with data NULL.
struct text text_split(struct text *rest, char separator);

// Copies with a terminator, cut to fit. Returns whether everything fitted.
bool text_copy(char *buffer, size_t size, struct text piece);

// Each accepts the whole piece or nothing; the result is written only on success.
// Decimal, or hexadecimal with 0x.
[[nodiscard]] bool text_to_u64(struct text piece, uint64_t *out);
// A number with an optional suffix K, M, G or T (powers of 1024).
[[nodiscard]] bool text_to_size(struct text piece, uint64_t *out);
// A number with the unit ns, us, ms or s; in nanoseconds.
[[nodiscard]] bool text_to_duration(struct text piece, uint64_t *out);
// yes/no, on/off, true/false, 1/0.
[[nodiscard]] bool text_to_bool(struct text piece, bool *out);
