#include "user/wasmhost/text.h"

#include "user/wasmhost/report.h"

#ifdef WASMTIME_FEATURE_WAT
bool text_read(const char *name, const struct whole_file *text, wasm_byte_vec_t *binary, struct whole_file *out) {
    wasmtime_error_t *error = wasmtime_wat2wasm((const char *)text->data, text->bytes, binary);
    if (error != NULL) {
        report_error(name, error);
        return false;
    }
    *out = file_of((const uint8_t *)binary->data, binary->size);
    return true;
}
#else
bool text_read(const char *name, const struct whole_file *text, wasm_byte_vec_t *binary, struct whole_file *out) {
    report_text(name, "this host has no compiler: only --mode aot");
    return false;
}
#endif
