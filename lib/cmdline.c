#include "lib/cmdline.h"

static bool is_separator(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct text slice(struct text line, size_t from, size_t to) {
    return (struct text){line.data + from, to - from};
}

// The value starts at `from`; returns the position behind it. A quote that is not closed reaches to the end.
static size_t take_value(struct text line, size_t from, struct text *value) {
    size_t at = from;

    if (at < line.size && line.data[at] == '"') {
        for (at++; at < line.size && line.data[at] != '"'; at++) {
        }
        *value = slice(line, from + 1, at);
        return at < line.size ? at + 1 : at;
    }
    while (at < line.size && !is_separator(line.data[at])) at++;
    *value = slice(line, from, at);
    return at;
}

bool cmdline_next(struct cmdline_cursor *cursor, struct cmdline_word *word) {
    struct text line = cursor->line;
    size_t at = cursor->position;
    size_t start;

    while (at < line.size && is_separator(line.data[at])) at++;
    if (at >= line.size) {
        cursor->position = at;
        return false;
    }
    start = at;
    while (at < line.size && !is_separator(line.data[at]) && line.data[at] != '=') at++;
    word->position = start;
    word->key = slice(line, start, at);
    word->value = (struct text){NULL, 0};
    if (at < line.size && line.data[at] == '=') at = take_value(line, at + 1, &word->value);
    cursor->position = at;
    return true;
}

static const char *store_number(const struct cmdline_option *option, uint64_t value) {
    if ((option->low != 0 || option->high != 0) && (value < option->low || value > option->high)) return "out of range";
    *(uint64_t *)option->value = value;
    return NULL;
}

// NULL, or what is wrong.
static const char *store(const struct cmdline_option *option, struct text value) {
    uint64_t number;

    if (option->kind == CMDLINE_BOOL) {
        if (value.data == NULL) value = TEXT("1");
        return text_to_bool(value, option->value) ? NULL : "not yes or no";
    }
    if (value.data == NULL || value.size == 0) return "has no value";
    switch (option->kind) {
    case CMDLINE_NUMBER:
        return text_to_u64(value, &number) ? store_number(option, number) : "not a number";
    case CMDLINE_SIZE:
        return text_to_size(value, &number) ? store_number(option, number) : "not a size (such as 64M)";
    case CMDLINE_DURATION:
        return text_to_duration(value, &number) ? store_number(option, number) : "not a duration (such as 20ms)";
    default:
        *(struct text *)option->value = value;
        return NULL;
    }
}

static const struct cmdline_option *find(const struct cmdline_option *options, size_t count, struct text key) {
    for (size_t i = 0; i < count; i++) {
        if (text_equal(key, text_of(options[i].key))) return &options[i];
    }
    return NULL;
}

unsigned cmdline_parse(struct text line, const struct cmdline_option *options, size_t count, cmdline_report_fn *report,
                       void *context) {
    struct cmdline_cursor cursor = {line, 0};
    struct cmdline_word word;
    unsigned refused = 0;

    while (cmdline_next(&cursor, &word)) {
        const struct cmdline_option *option = find(options, count, word.key);
        const char *reason = option == NULL ? "unknown" : store(option, word.value);

        if (reason == NULL) continue;
        refused++;
        report(context, &word, reason);
    }
    return refused;
}
