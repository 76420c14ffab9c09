// Texts that carry a MAC of theirs at the end, so that nobody without the key makes or changes one:
//
//     ... lines ...
//     [seal]
//     mac = 64 digits
#pragma once
#include "user/appd/digest.h"

#define SEAL_BYTES 80u  // what it adds, with a terminator

// Appends the seal to the text in buffer: the new length, or 0 where it does not fit.
size_t seal_append(const struct digest *key, const char *purpose, char *buffer, size_t used, size_t size);
// Whether a text is sealed so, to the last byte. *body gets what comes before the seal.
[[nodiscard]] bool seal_check(const struct digest *key, const char *purpose, struct text whole, struct text *body);
// The text before the seal, whoever made it; false where there is no seal.
[[nodiscard]] bool seal_strip(struct text whole, struct text *body);
