#include "user/appd/seal.h"

#include "lib/fmt.h"

#define HEAD TEXT("[seal]\nmac = ")
#define TAIL_BYTES (sizeof "[seal]\nmac = " - 1 + 2 * DIGEST_BYTES + 1)
_Static_assert(TAIL_BYTES + 1 <= SEAL_BYTES, "the seal");

size_t seal_append(const struct digest *key, const char *purpose, char *buffer, size_t used, size_t size) {
    char hex[DIGEST_HEX];
    if (size < used || size - used <= TAIL_BYTES) return 0;
    struct digest mac = digest_authenticate(key, purpose, (struct text){buffer, used});
    digest_to_hex(&mac, hex);
    return used + fmt_print(buffer + used, size - used, "[seal]\nmac = %s\n", hex);
}

static bool split(struct text whole, struct text *body, struct digest *mac) {
    if (whole.size < TAIL_BYTES || whole.data[whole.size - 1] != '\n') return false;
    struct text seal = {whole.data + whole.size - TAIL_BYTES, TAIL_BYTES - 1};
    if (!text_starts_with(seal, HEAD)) return false;
    seal.data += HEAD.size;
    seal.size -= HEAD.size;
    *body = (struct text){whole.data, whole.size - TAIL_BYTES};
    return digest_from_hex(seal, mac) && (body->size == 0 || body->data[body->size - 1] == '\n');
}

bool seal_check(const struct digest *key, const char *purpose, struct text whole, struct text *body) {
    struct digest said;
    struct text text;
    if (!split(whole, &text, &said)) return false;
    struct digest mac = digest_authenticate(key, purpose, text);
    if (!digest_equal(&mac, &said)) return false;
    *body = text;
    return true;
}

bool seal_strip(struct text whole, struct text *body) {
    struct digest said;
    return split(whole, body, &said);
}
