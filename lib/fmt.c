#include "lib/fmt.h"

#include "lib/string.h"
#include "lib/util.h"

struct output {
    fmt_write_fn *write;
    void *context;
    size_t total;
};

struct conversion {
    bool left;
    bool zero;
    bool plus;
    bool space;
    bool alternate;
    bool has_precision;
    unsigned width;
    unsigned precision;
    char length; // 'H' = hh, 'h', 'l' (also ll, z, t, j: all 64 bits), 0 = int
};

// Nobody needs wider fields; a bound keeps a wild '*' argument from writing without end.
enum { MAX_WIDTH = 4096, MAX_DIGITS = 24 };

static void put(struct output *out, const char *text, size_t size)
{
    if (size == 0)
        return;
    out->write(out->context, text, size);
    out->total += size;
}

static void put_repeated(struct output *out, char value, size_t count)
{
    char chunk[16];

    memset(chunk, value, sizeof(chunk));
    while (count != 0) {
        size_t size = MIN(count, sizeof(chunk));

        put(out, chunk, size);
        count -= size;
    }
}

static void put_padded(struct output *out, const struct conversion *conv, const char *text, size_t size)
{
    size_t padding = conv->width > size ? conv->width - size : 0;

    if (!conv->left)
        put_repeated(out, ' ', padding);
    put(out, text, size);
    if (conv->left)
        put_repeated(out, ' ', padding);
}

// [spaces] prefix [zeros] digits [spaces]
static void put_number(struct output *out, const struct conversion *conv, const char *prefix, uint64_t value,
                       unsigned base, const char *digits)
{
    char text[MAX_DIGITS];
    size_t at = sizeof(text);
    size_t prefix_size = strlen(prefix);
    size_t count;
    size_t zeros = 0;
    size_t padding;

    while (value != 0) {
        text[--at] = digits[value % base];
        value /= base;
    }
    count = sizeof(text) - at;
    if (conv->has_precision)
        zeros = conv->precision > count ? conv->precision - count : 0;
    else if (count == 0)
        zeros = 1;
    if (conv->zero && !conv->left && !conv->has_precision && conv->width > prefix_size + zeros + count)
        zeros = conv->width - prefix_size - count;
    padding = prefix_size + zeros + count;
    padding = conv->width > padding ? conv->width - padding : 0;
    if (!conv->left)
        put_repeated(out, ' ', padding);
    put(out, prefix, prefix_size);
    put_repeated(out, '0', zeros);
    put(out, text + at, count);
    if (conv->left)
        put_repeated(out, ' ', padding);
}

static const char lower_digits[] = "0123456789abcdef";
static const char upper_digits[] = "0123456789ABCDEF";

static void put_signed(struct output *out, const struct conversion *conv, int64_t value)
{
    const char *prefix = value < 0 ? "-" : conv->plus ? "+" : conv->space ? " " : "";
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    put_number(out, conv, prefix, magnitude, 10, lower_digits);
}

static void put_unsigned(struct output *out, const struct conversion *conv, char kind, uint64_t value)
{
    switch (kind) {
    case 'x':
        put_number(out, conv, conv->alternate && value != 0 ? "0x" : "", value, 16, lower_digits);
        break;
    case 'X':
        put_number(out, conv, conv->alternate && value != 0 ? "0X" : "", value, 16, upper_digits);
        break;
    case 'o':
        put_number(out, conv, conv->alternate && value != 0 ? "0" : "", value, 8, lower_digits);
        break;
    default:
        put_number(out, conv, "", value, 10, lower_digits);
        break;
    }
}

// A va_list inside a struct can be passed on by pointer on every ABI.
struct arguments {
    va_list list;
};

static int64_t take_signed(struct arguments *args, char length)
{
    if (length == 'l')
        return va_arg(args->list, long);
    if (length == 'h')
        return (short)va_arg(args->list, int);
    if (length == 'H')
        return (signed char)va_arg(args->list, int);
    return va_arg(args->list, int);
}

static uint64_t take_unsigned(struct arguments *args, char length)
{
    if (length == 'l')
        return va_arg(args->list, unsigned long);
    if (length == 'h')
        return (unsigned short)va_arg(args->list, unsigned);
    if (length == 'H')
        return (unsigned char)va_arg(args->list, unsigned);
    return va_arg(args->list, unsigned);
}

static const char *parse_flags(const char *at, struct conversion *conv)
{
    for (;; at++) {
        if (*at == '-')
            conv->left = true;
        else if (*at == '0')
            conv->zero = true;
        else if (*at == '+')
            conv->plus = true;
        else if (*at == ' ')
            conv->space = true;
        else if (*at == '#')
            conv->alternate = true;
        else
            return at;
    }
}

static const char *parse_count(const char *at, struct arguments *args, int64_t *count)
{
    int64_t value = 0;

    if (*at == '*') {
        *count = va_arg(args->list, int);
        return at + 1;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        if (value < MAX_WIDTH)
            value = value * 10 + (*at - '0');
    }
    *count = value;
    return at;
}

static const char *parse_width_and_precision(const char *at, struct arguments *args, struct conversion *conv)
{
    int64_t count;

    at = parse_count(at, args, &count);
    if (count < 0) {
        conv->left = true;
        count = -count;
    }
    conv->width = (unsigned)MIN(count, (int64_t)MAX_WIDTH);
    if (*at != '.')
        return at;
    at = parse_count(at + 1, args, &count);
    // A string's precision may be any size: it bounds reading, not padding. Numbers bound it when they print.
    if (count >= 0) {
        conv->has_precision = true;
        conv->precision = (unsigned)count;
    }
    return at;
}

static const char *parse_length(const char *at, struct conversion *conv)
{
    if (at[0] == 'h' && at[1] == 'h') {
        conv->length = 'H';
        return at + 2;
    }
    if (at[0] == 'h') {
        conv->length = 'h';
        return at + 1;
    }
    if (*at == 'l' || *at == 'z' || *at == 't' || *at == 'j') {
        conv->length = 'l';
        return at[0] == 'l' && at[1] == 'l' ? at + 2 : at + 1;
    }
    return at;
}

_Static_assert(sizeof(long) == 8 && sizeof(long long) == 8 && sizeof(size_t) == 8, "every long length is 64 bits");

static void put_string(struct output *out, const struct conversion *conv, const char *text)
{
    if (text == NULL)
        text = "(null)";
    put_padded(out, conv, text, conv->has_precision ? strnlen(text, conv->precision) : strlen(text));
}

// Prints one conversion whose text is [start, at]; `*at` is the conversion character.
static void put_conversion(struct output *out, struct conversion *conv, const char *start, const char *at,
                           struct arguments *args)
{
    char character;

    if (*at != 's')
        conv->precision = MIN(conv->precision, (unsigned)MAX_WIDTH);
    switch (*at) {
    case 'd':
    case 'i':
        put_signed(out, conv, take_signed(args, conv->length));
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_unsigned(out, conv, *at, take_unsigned(args, conv->length));
        break;
    case 'p':
        put_number(out, conv, "0x", (uintptr_t)va_arg(args->list, void *), 16, lower_digits);
        break;
    case 'c':
        character = (char)va_arg(args->list, int);
        put_padded(out, conv, &character, 1);
        break;
    case 's':
        put_string(out, conv, va_arg(args->list, const char *));
        break;
    case '%':
        put(out, "%", 1);
        break;
    default:
        put(out, start, (size_t)(at - start) + 1);
        break;
    }
}

size_t fmt_vwrite(fmt_write_fn *write, void *context, const char *format, va_list list)
{
    struct output out = { .write = write, .context = context };
    struct arguments args;

    va_copy(args.list, list);
    while (*format != '\0') {
        struct conversion conv = { 0 };
        const char *start = format;

        while (*format != '\0' && *format != '%')
            format++;
        put(&out, start, (size_t)(format - start));
        if (*format == '\0')
            break;
        start = format;
        format = parse_flags(format + 1, &conv);
        format = parse_width_and_precision(format, &args, &conv);
        format = parse_length(format, &conv);
        if (*format == '\0') {
            put(&out, start, (size_t)(format - start));
            break;
        }
        put_conversion(&out, &conv, start, format, &args);
        format++;
    }
    va_end(args.list);
    return out.total;
}

size_t fmt_write(fmt_write_fn *write, void *context, const char *format, ...)
{
    va_list args;
    size_t total;

    va_start(args, format);
    total = fmt_vwrite(write, context, format, args);
    va_end(args);
    return total;
}

struct buffer {
    char *text;
    size_t space; // left, without the terminator
};

static void write_to_buffer(void *context, const char *text, size_t size)
{
    struct buffer *buffer = context;

    size = MIN(size, buffer->space);
    if (size == 0)
        return;
    memcpy(buffer->text, text, size);
    buffer->text += size;
    buffer->space -= size;
}

size_t fmt_vprint(char *text, size_t size, const char *format, va_list args)
{
    struct buffer buffer = { .text = text, .space = size != 0 ? size - 1 : 0 };
    size_t total = fmt_vwrite(write_to_buffer, &buffer, format, args);

    if (size != 0)
        *buffer.text = '\0';
    return total;
}

size_t fmt_print(char *text, size_t size, const char *format, ...)
{
    va_list args;
    size_t total;

    va_start(args, format);
    total = fmt_vprint(text, size, format, args);
    va_end(args);
    return total;
}
