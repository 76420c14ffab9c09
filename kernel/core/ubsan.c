// What the compiler calls when the undefined-behaviour checks of debug builds find something: the report names the place
// in the source, then the kernel panics.
#include "kernel/core/assert.h"
#include "kernel/core/types.h"

#if CONFIG_DEBUG

// As the compilers lay them out.
struct source_location {
    const char *file;
    uint32_t line, column;
};
struct type_descriptor {
    uint16_t kind, info;  // kind 0: integer, info = log2 of its bits << 1 | signed
    char name[];
};
struct overflow_data {
    struct source_location where;
    const struct type_descriptor *type;
};
struct shift_data {
    struct source_location where;
    const struct type_descriptor *left, *right;
};
struct bounds_data {
    struct source_location where;
    const struct type_descriptor *array, *index;
};
struct mismatch_data {
    struct source_location where;
    const struct type_descriptor *type;
    uint8_t log_alignment, kind;
};
struct value_data {
    struct source_location where;
    const struct type_descriptor *type;
};

// Values of up to 64 bits are passed in the argument itself; wider ones, by pointer, are not shown.
static long long value_of(const struct type_descriptor *type, uint64_t value) {
    unsigned bits = 1u << (type->info >> 1);

    if (type->kind != 0 || bits >= 64) return (long long)value;
    return type->info & 1 ? (long long)(value << (64 - bits)) >> (64 - bits) : (long long)value;
}

[[gnu::noreturn]] static void report_binary(const struct overflow_data *data, const char *operator, uint64_t a, uint64_t b) {
    panic("UBSan: %s:%u:%u: %lld %s %lld does not fit type %s", data->where.file, data->where.line, data->where.column,
          value_of(data->type, a), operator, value_of(data->type, b), data->type->name);
}

#define HANDLER(name, ...)                       \
    void __ubsan_handle_##name(__VA_ARGS__);     \
    void __ubsan_handle_##name(__VA_ARGS__)

HANDLER(add_overflow, const struct overflow_data *data, uint64_t a, uint64_t b) { report_binary(data, "+", a, b); }
HANDLER(sub_overflow, const struct overflow_data *data, uint64_t a, uint64_t b) { report_binary(data, "-", a, b); }
HANDLER(mul_overflow, const struct overflow_data *data, uint64_t a, uint64_t b) { report_binary(data, "*", a, b); }
HANDLER(divrem_overflow, const struct overflow_data *data, uint64_t a, uint64_t b) { report_binary(data, "/", a, b); }

HANDLER(negate_overflow, const struct overflow_data *data, uint64_t a) {
    panic("UBSan: %s:%u:%u: -(%lld) does not fit type %s", data->where.file, data->where.line, data->where.column,
          value_of(data->type, a), data->type->name);
}

HANDLER(shift_out_of_bounds, const struct shift_data *data, uint64_t a, uint64_t b) {
    panic("UBSan: %s:%u:%u: shift of %lld (%s) by %lld", data->where.file, data->where.line, data->where.column,
          value_of(data->left, a), data->left->name, value_of(data->right, b));
}

HANDLER(out_of_bounds, const struct bounds_data *data, uint64_t index) {
    panic("UBSan: %s:%u:%u: index %lld is outside of %s", data->where.file, data->where.line, data->where.column,
          value_of(data->index, index), data->array->name);
}

HANDLER(type_mismatch_v1, const struct mismatch_data *data, uint64_t address) {
    static const char *const kinds[] = {"load of", "store to", "reference to", "member access in", "member call on",
                                        "constructor call on", "cast of", "cast of", "cast of", "virtual access to"};
    const char *kind = data->kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[data->kind] : "use of";

    panic("UBSan: %s:%u:%u: %s %s at %s address %#lx (alignment %u)", data->where.file, data->where.line,
          data->where.column, kind, data->type->name, address == 0 ? "null" : "misaligned", address,
          1u << data->log_alignment);
}

HANDLER(load_invalid_value, const struct value_data *data, uint64_t value) {
    panic("UBSan: %s:%u:%u: %lld is no value of type %s", data->where.file, data->where.line, data->where.column,
          value_of(data->type, value), data->type->name);
}

HANDLER(vla_bound_not_positive, const struct value_data *data, uint64_t bound) {
    panic("UBSan: %s:%u:%u: array of %lld elements", data->where.file, data->where.line, data->where.column,
          value_of(data->type, bound));
}

HANDLER(builtin_unreachable, const struct source_location *where) {
    panic("UBSan: %s:%u:%u: code that cannot be reached", where->file, where->line, where->column);
}

#endif
