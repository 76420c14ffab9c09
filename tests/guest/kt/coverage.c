#include "tests/guest/kt/coverage.h"

#include "lib/fmt.h"
#include "tests/guest/kt/kt.h"

#define RECORDS 512u
#define LINE_BYTES 160u
#define ENTRY_BYTES 12u // " 12345678+" and room to spare

static void print_line(const uint64_t *records, unsigned *at, unsigned count) {
    char line[LINE_BYTES];
    size_t used = (size_t)fmt_print(line, sizeof(line), "KCOV");
    for (; *at < count && used + ENTRY_BYTES < sizeof(line); (*at)++)
        used += (size_t)fmt_print(line + used, sizeof(line) - used, " %lx%s", (unsigned long)(records[*at] >> 8),
                                  records[*at] & 255 ? "+" : "");
    print("%s\n", line);
}

void kt_print_coverage(void) {
    static uint64_t records[RECORDS];
    uint64_t offset = 0;
    for (;;) {
        int64_t got = kpio_coverage_read(kt_system(), offset, (uint8_t *)records, sizeof(records));
        if (got <= 0) return;
        for (unsigned at = 0; at < (uint64_t)got / sizeof(records[0]);)
            print_line(records, &at, (unsigned)((uint64_t)got / sizeof(records[0])));
        offset += (uint64_t)got;
    }
}
