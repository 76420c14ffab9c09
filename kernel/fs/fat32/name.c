// Names: UTF-8 outside, UTF-16 in long entries, code page 437 in short ones.
#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "lib/fmt.h"
#include "lib/string.h"

// ---- UTF-8 and UTF-16 ---------------------------------------------------------------------------------------------------------

// The character at the start of the text; *used of its bytes. -1: not UTF-8.
static int32_t utf8_take(const uint8_t *text, size_t bytes, size_t *used) {
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = text[0];
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || length > bytes) return -1;
    int32_t c = length == 1 ? lead : lead & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return -1;
        c = c << 6 | (text[i] & 0x3f);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return -1;
    *used = length;
    return c;
}

static size_t utf8_put(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf0u << (4 - length)) | c);
    return length;
}

static bool is_forbidden(int32_t c) { return c < 0x20 || c == 0x7f || (c < 0x80 && strchr("\"*/:<>?\\|", (char)c) != NULL); }

int fat_name_to_units(const char *name, size_t bytes, uint16_t *units) {
    int count = 0;
    if (bytes == 0 || name[bytes - 1] == '.' || name[bytes - 1] == ' ') return -EINVAL;
    for (size_t at = 0, used; at < bytes; at += used) {
        int32_t c = utf8_take((const uint8_t *)name + at, bytes - at, &used);
        if (c < 0 || is_forbidden(c)) return -EINVAL;
        if (count + (c >= 0x10000) >= (int)FAT_LONG_UNITS) return -ENAMETOOLONG;
        if (c >= 0x10000) {
            units[count++] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        units[count++] = (uint16_t)c;
    }
    return count;
}

size_t fat_name_from_units(const uint16_t *units, size_t count, char *name, size_t room) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t c = units[i];
        if (c >= 0xd800 && c < 0xe000) {
            if (c >= 0xdc00 || i + 1 == count || (units[i + 1] & 0xfc00) != 0xdc00) return 0;
            c = 0x10000 + ((c & 0x3ff) << 10) + (units[++i] & 0x3ff);
        }
        if (c < 0x20 || c == '/' || bytes + 4 > room) return 0;
        bytes += utf8_put(c, name + bytes);
    }
    bool dots = (bytes == 1 && name[0] == '.') || (bytes == 2 && name[0] == '.' && name[1] == '.');
    return dots ? 0 : bytes;
}

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

bool fat_name_equal(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    if (a_bytes != b_bytes) return false;
    for (size_t i = 0; i < a_bytes; i++)
        if (fold(a[i]) != fold(b[i])) return false;
    return true;
}

// ---- short names --------------------------------------------------------------------------------------------------------------

static uint16_t from_page_437(uint8_t c) {
    static const uint16_t upper[128] = {
        0xc7, 0xfc, 0xe9, 0xe2, 0xe4, 0xe0, 0xe5, 0xe7, 0xea, 0xeb, 0xe8, 0xef, 0xee, 0xec, 0xc4, 0xc5,
        0xc9, 0xe6, 0xc6, 0xf4, 0xf6, 0xf2, 0xfb, 0xf9, 0xff, 0xd6, 0xdc, 0xa2, 0xa3, 0xa5, 0x20a7, 0x192,
        0xe1, 0xed, 0xf3, 0xfa, 0xf1, 0xd1, 0xaa, 0xba, 0xbf, 0x2310, 0xac, 0xbd, 0xbc, 0xa1, 0xab, 0xbb,
        0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510,
        0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567,
        0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
        0x3b1, 0xdf, 0x393, 0x3c0, 0x3a3, 0x3c3, 0xb5, 0x3c4, 0x3a6, 0x398, 0x3a9, 0x3b4, 0x221e, 0x3c6, 0x3b5, 0x2229,
        0x2261, 0xb1, 0x2265, 0x2264, 0x2320, 0x2321, 0xf7, 0x2248, 0xb0, 0x2219, 0xb7, 0x221a, 0x207f, 0xb2, 0x25a0, 0xa0,
    };
    return c < 0x80 ? c : upper[c - 0x80];
}

static size_t short_part(const uint8_t *from, unsigned length, bool lower, char *out) {
    size_t bytes = 0;
    while (length > 0 && from[length - 1] == ' ') length--;
    for (unsigned i = 0; i < length; i++) {
        uint16_t c = from_page_437(from[i]);
        if (c < 0x20 || c == '/' || c == 0x7f) c = '_';
        bytes += utf8_put(lower && c < 0x80 ? (uint32_t)fold((char)c) : c, out + bytes);
    }
    return bytes;
}

size_t fat_name_from_short(const struct fat_entry *e, char name[40]) {
    uint8_t base[8];
    memcpy(base, e->name, 8);
    if (base[0] == 0x05) base[0] = 0xe5;  // a character that would say "deleted"
    size_t bytes = short_part(base, 8, e->lower & 8, name);
    size_t extension = short_part(e->name + 8, 3, e->lower & 16, name + bytes + 1);
    if (extension == 0) return bytes;
    name[bytes] = '.';
    return bytes + 1 + extension;
}

uint8_t fat_short_checksum(const uint8_t name[11]) {
    uint8_t sum = 0;
    for (unsigned i = 0; i < 11; i++) sum = (uint8_t)((sum >> 1 | sum << 7) + name[i]);
    return sum;
}

// What a character becomes in a short name; 0: it is left out.
static uint8_t to_short(uint16_t c) {
    if (c >= 'a' && c <= 'z') return (uint8_t)(c - 0x20);
    if (c == ' ' || c == '.') return 0;
    return c < 0x80 && strchr("+,;=[]", (char)c) == NULL ? (uint8_t)c : '_';
}

static size_t last_dot(const uint16_t *units, size_t count) {
    for (size_t i = count; i-- > 1;)
        if (units[i] == '.') return i;
    return count;
}

bool fat_short_exact(const uint16_t *units, size_t count, uint8_t out[11]) {
    size_t dot = last_dot(units, count);
    if (dot == 0 || dot > 8 || count - dot > 4) return false;
    memset(out, ' ', 11);
    for (size_t i = 0; i < count; i++) {
        if (i == dot) continue;
        if (units[i] == '.' || to_short(units[i]) != units[i]) return false;
        out[i < dot ? i : 8 + i - dot - 1] = (uint8_t)units[i];
    }
    return true;
}

// NAME~1, NAME~2, ... NAME~4; then two characters and a hash, which many names that begin alike need.
void fat_short_make(const uint16_t *units, size_t count, unsigned attempt, uint8_t out[11]) {
    size_t dot = last_dot(units, count), base = 0, extension = 0;
    char tail[9];
    uint32_t hash = 0x811c9dc5u + attempt;
    for (size_t i = 0; i < count; i++) hash = (hash ^ units[i]) * 0x01000193u;
    size_t digits, most;
    if (attempt <= 4) digits = fmt_print(tail, sizeof tail, "~%u", attempt);
    else digits = fmt_print(tail, sizeof tail, "%04X~1", (hash ^ hash >> 16) & 0xffff);
    most = attempt <= 4 ? 8 - digits : 2;
    memset(out, ' ', 11);
    for (size_t i = 0; i < count; i++) {
        uint8_t c = to_short(units[i]);
        if (c == 0) continue;
        if (i < dot && base < most) out[base++] = c;
        else if (i > dot && extension < 3) out[8 + extension++] = c;
    }
    if (base == 0) out[base++] = '_';
    memcpy(out + base, tail, digits);
}
