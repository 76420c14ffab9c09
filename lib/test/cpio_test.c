// Boot archives: what is found, and what is said of damaged ones.
// links: lib/cpio.c
#include "lib/cpio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static char archive[4096];
static size_t archive_size;

static void add(const char *name, const char *content, unsigned mode) {
    archive_size += (size_t)sprintf(archive + archive_size, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s",
                                    1, mode, 0, 0, 1, 0, (unsigned)strlen(content), 0, 0, 0, 0, (unsigned)strlen(name) + 1, 0, name);
    archive_size++;
    while (archive_size % 4 != 0) archive[archive_size++] = '\0';
    memcpy(archive + archive_size, content, strlen(content));
    archive_size += strlen(content);
    while (archive_size % 4 != 0) archive[archive_size++] = '\0';
}

static void build(void) {
    memset(archive, 0, sizeof(archive));
    archive_size = 0;
    add("./bin", "", 0040755);
    add("/bin/init", "program", 0100755);
    add("etc/empty", "", 0100644);
    add("TRAILER!!!", "", 0);
}

TEST(cpio_entries_in_order) {
    static const char *const names[] = {"bin", "bin/init", "etc/empty"};
    struct cpio_entry entry;
    size_t position = 0;

    build();
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cpio_next(archive, archive_size, &position, &entry, NULL), 1);
        CHECK(strcmp(entry.name, names[i]) == 0);
        CHECK(cpio_is_file(&entry) == (i != 0));
    }
    CHECK_EQ(cpio_next(archive, archive_size, &position, &entry, NULL), 0);
    CHECK_EQ(cpio_find(archive, archive_size, "bin/init", &entry), 0);
    CHECK(entry.size == 7 && memcmp(entry.data, "program", 7) == 0 && entry.mode == 0100755);
    CHECK(cpio_find(archive, archive_size, "bin/none", &entry) < 0);
}

// Cut anywhere: the entries before the cut are read, then the damage is named.
TEST(cpio_cut_short) {
    build();
    for (size_t size = 0; size < archive_size - 1; size++) {
        char *copy = malloc(size + 1);
        struct cpio_entry entry;
        const char *what = NULL;
        size_t position = 0;
        int result;

        memcpy(copy, archive, size);
        while ((result = cpio_next(copy, size, &position, &entry, &what)) == 1) {
        }
        // The trailer's padding may be missing.
        CHECK(result == 0 ? size >= archive_size - 4 : what != NULL && position <= size);
        free(copy);
    }
}

TEST(cpio_hostile_sizes) {
    struct cpio_entry entry;
    const char *what;
    size_t position;

    for (unsigned field = 6; field <= 11; field += 5) {
        build();
        memcpy(archive + 6 + field * 8, "ffffffff", 8);
        position = 0;
        CHECK(cpio_next(archive, archive_size, &position, &entry, &what) < 0);
        CHECK_EQ(position, 0);
        memcpy(archive + 6 + field * 8, "0000000g", 8);
        CHECK(cpio_next(archive, archive_size, &position, &entry, &what) < 0);
    }
}
