// The model of vm_model.c driven by the fuzzer: the input is the sequence of random numbers.
// links: kernel/mm/test/vm_host.c kernel/mm/test/vm_model.c kernel/mm/page_tree.c kernel/mm/vmo.c kernel/mm/vmo_map.c kernel/mm/vmo_paged.c kernel/mm/vmo_copy.c kernel/mm/vmo_io.c kernel/mm/pte.c kernel/mm/mapping.c kernel/mm/mapping_tree.c kernel/mm/aspace.c kernel/mm/aspace_anonymous.c kernel/mm/aspace_move.c kernel/mm/aspace_advise.c kernel/mm/page_tables.c kernel/mm/aspace_fault.c kernel/mm/aspace_change.c kernel/mm/aspace_clone.c kernel/mm/aspace_replace.c kernel/mm/tlb.c kernel/mm/reaper.c kernel/mm/usercopy.c lib/rbtree.c lib/string.c
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/mm/test/vm_model.h"
#include "tests/unit/unit.h"

static const uint8_t *input;
static size_t left;

// Two bytes of the input a number; the rest of a number follows from them.
uint64_t unit_random(void) {
    if (left < 2) return 0x9e3779b97f4a7c15;
    uint64_t word = input[0] | (uint64_t)input[1] << 8;
    input += 2;
    left -= 2;
    return word * 0x0001000100010001;
}
bool vm_model_more(void) { return left >= 2; }

void unit_fail(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    abort();
}
void unit_check_equal(const char *file, int line, const char *text, int64_t a, int64_t b) {
    if (a != b) unit_fail(file, line, "%s", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    input = data + 1;
    left = size - 1;
    vm_model_run(200, data[0] & 1);
    return 0;
}
