// Reads any bytes as a boot archive: every entry must lie inside it, and the walk must end.
// links: lib/cpio.c lib/text.c
#include "lib/cpio.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cpio_entry entry;
    size_t position = 0, before = 0;
    const char *what = NULL;
    int found;

    while ((found = cpio_next(data, size, &position, &entry, &what)) == 1) {
        if (position <= before || entry.data < data || entry.size > size || entry.data + entry.size > data + size)
            abort();
        if ((const uint8_t *)entry.name + strlen(entry.name) >= data + size)
            abort();
        before = position;
    }
    if (found != 0 && what == NULL)
        abort();
    return 0;
}
