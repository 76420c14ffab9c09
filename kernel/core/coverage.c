#include "kernel/core/coverage.h"

#include "kernel/core/config.h"

#if CONFIG_COV
// Set by the linker around the sections that the compiler fills.
extern const uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];
extern const struct {
    uint64_t address, flags;
} __start___sancov_pcs[];
extern const char kernel_image_start[];

// The compiler's constructors call these; there is nothing to set up.
void __sanitizer_cov_8bit_counters_init(char *start, char *end);
void __sanitizer_cov_8bit_counters_init(char *start, char *end) {}
void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *end);
void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *end) {}

size_t coverage_read(uint64_t offset, void *buffer, size_t size) {
    uint64_t count = (uint64_t)(__stop___sancov_cntrs - __start___sancov_cntrs), done = 0;
    uint64_t *out = buffer;
    for (uint64_t i = offset / sizeof(*out); i < count && (done + 1) * sizeof(*out) <= size; i++) {
        uint64_t place = __start___sancov_pcs[i].address - (uint64_t)kernel_image_start;
        out[done++] = place << 8 | __start___sancov_cntrs[i];
    }
    return done * sizeof(*out);
}
#else
size_t coverage_read(uint64_t offset, void *buffer, size_t size) { return 0; }
#endif
