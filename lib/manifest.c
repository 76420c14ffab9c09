#include "lib/manifest.h"

#include "lib/string.h"

enum { MAX_NAME = 64 };

void manifest_open(struct manifest_reader *reader, struct text content) {
    *reader = (struct manifest_reader){.rest = content};
}

static bool is_key_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_printable(char c) {
    return (unsigned char)c >= ' ' || c == '\t' || c == '\r';
}

static struct manifest_item item_at(const struct manifest_reader *reader, enum manifest_kind kind, struct text line,
                                    const char *at) {
    return (struct manifest_item){
        .kind = kind,
        .section = reader->section,
        .line = reader->line,
        .column = (unsigned)(at - line.data) + 1,
    };
}

static struct manifest_item bad(const struct manifest_reader *reader, struct text line, const char *at, const char *reason) {
    struct manifest_item item = item_at(reader, MANIFEST_BAD, line, at);

    item.reason = reason;
    return item;
}

// `body` is the line without blanks around it, and starts with "[".
static struct manifest_item parse_section(struct manifest_reader *reader, struct text line, struct text body) {
    struct text name;

    if (body.data[body.size - 1] != ']') return bad(reader, line, body.data + body.size - 1, "section without closing ]");
    name = text_trim((struct text){body.data + 1, body.size - 2});
    if (name.size == 0) return bad(reader, line, body.data, "section without a name");
    if (name.size > MAX_NAME) return bad(reader, line, name.data, "section name too long");
    for (size_t i = 0; i < name.size; i++) {
        if (!is_key_character(name.data[i]) && name.data[i] != ' ')
            return bad(reader, line, name.data + i, "character not allowed in a section name");
    }
    reader->section = name;
    return item_at(reader, MANIFEST_SECTION, line, name.data);
}

static struct manifest_item parse_entry(struct manifest_reader *reader, struct text line, struct text body) {
    struct manifest_item item = item_at(reader, MANIFEST_ENTRY, line, body.data);
    const char *equals = memchr(body.data, '=', body.size);
    struct text key;

    if (equals == NULL) return bad(reader, line, body.data, "neither `key = value` nor `[section]`");
    key = text_trim((struct text){body.data, (size_t)(equals - body.data)});
    if (key.size == 0) return bad(reader, line, body.data, "no key before =");
    if (key.size > MAX_NAME) return bad(reader, line, body.data, "key too long");
    for (size_t i = 0; i < key.size; i++) {
        if (!is_key_character(key.data[i])) return bad(reader, line, key.data + i, "character not allowed in a key");
    }
    item.key = key;
    item.value = text_trim((struct text){equals + 1, (size_t)(body.data + body.size - equals) - 1});
    item.value_column = (unsigned)(item.value.data - line.data) + 1;
    return item;
}

struct manifest_item manifest_next(struct manifest_reader *reader) {
    while (reader->rest.size != 0) {
        struct text line = text_split(&reader->rest, '\n');
        struct text body = text_trim(line);

        reader->line++;
        for (size_t i = 0; i < line.size; i++) {
            if (!is_printable(line.data[i])) return bad(reader, line, line.data + i, "control character");
        }
        if (body.size == 0 || body.data[0] == '#') continue;
        return body.data[0] == '[' ? parse_section(reader, line, body) : parse_entry(reader, line, body);
    }
    return (struct manifest_item){.kind = MANIFEST_END, .section = reader->section, .line = reader->line};
}
