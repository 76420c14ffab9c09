// SHA-256 (FIPS 180-4) and HMAC with it (FIPS 198-1), by BearSSL.
#pragma once
#include "lib/text.h"

#define DIGEST_BYTES 32u
#define DIGEST_HEX (2 * DIGEST_BYTES + 1)  // as text, with its terminator

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

struct digest digest_of(const void *data, size_t size);
// The MAC of a text under a key. `purpose` keeps texts of different kinds apart: one is never taken for another.
struct digest digest_authenticate(const struct digest *key, const char *purpose, struct text data);
// In a time that does not depend on what they are.
bool digest_equal(const struct digest *a, const struct digest *b);
void digest_to_hex(const struct digest *digest, char hex[DIGEST_HEX]);
// Small letters only, so that a digest has one text. *out is written only on success.
[[nodiscard]] bool digest_from_hex(struct text hex, struct digest *out);
