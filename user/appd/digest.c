#include "user/appd/digest.h"

#include <bearssl/bearssl_hash.h>
#include <bearssl/bearssl_hmac.h>

struct digest digest_of(const void *data, size_t size) {
    struct digest digest;
    br_sha256_context context;
    br_sha256_init(&context);
    br_sha256_update(&context, data, size);
    br_sha256_out(&context, digest.bytes);
    return digest;
}

struct digest digest_authenticate(const struct digest *key, const char *purpose, struct text data) {
    struct digest mac;
    br_hmac_key_context keyed;
    br_hmac_context context;
    br_hmac_key_init(&keyed, &br_sha256_vtable, key->bytes, sizeof key->bytes);
    br_hmac_init(&context, &keyed, 0);
    br_hmac_update(&context, purpose, text_of(purpose).size + 1);
    br_hmac_update(&context, data.data, data.size);
    br_hmac_out(&context, mac.bytes);
    return mac;
}

bool digest_equal(const struct digest *a, const struct digest *b) {
    uint8_t differs = 0;
    for (unsigned i = 0; i < DIGEST_BYTES; i++) differs |= a->bytes[i] ^ b->bytes[i];
    __asm__("" : "+r"(differs));  // the loop is not left early
    return differs == 0;
}

void digest_to_hex(const struct digest *digest, char hex[DIGEST_HEX]) {
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < DIGEST_BYTES; i++) {
        hex[2 * i] = digits[digest->bytes[i] >> 4];
        hex[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    hex[2 * DIGEST_BYTES] = 0;
}

static int value_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

bool digest_from_hex(struct text hex, struct digest *out) {
    struct digest digest;
    if (hex.size != 2 * DIGEST_BYTES) return false;
    for (unsigned i = 0; i < DIGEST_BYTES; i++) {
        int high = value_of(hex.data[2 * i]), low = value_of(hex.data[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        digest.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = digest;
    return true;
}
