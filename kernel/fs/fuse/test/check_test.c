// links: kernel/fs/fuse/check.c
#include "kernel/fs/fuse/check.h"

#include "abi/gen/errors.h"
#include "tests/unit/unit.h"

#include <string.h>

TEST(names) {
    char name[300];
    memset(name, 'x', sizeof name);
    CHECK(fuse_name_is_good("a", 1) && fuse_name_is_good("...", 3) && fuse_name_is_good(".a", 2) && fuse_name_is_good(name, 255));
    CHECK(!fuse_name_is_good("", 0) && !fuse_name_is_good(".", 1) && !fuse_name_is_good("..", 2) && !fuse_name_is_good(name, 256));
    CHECK(!fuse_name_is_good("a/b", 3) && !fuse_name_is_good("/", 1) && !fuse_name_is_good("a\0b", 3) && !fuse_name_is_good("\0", 1));
}

TEST(attributes) {
    const uint32_t types[] = {0100000, 0040000, 0120000, 0010000, 0140000, 0020000, 0060000};
    for (unsigned i = 0; i < 7; i++) {
        struct fuse_attr a = {.mode = types[i] | 0644};
        CHECK(fuse_attr_is_good(&a, 0) && fuse_attr_is_good(&a, types[i]));
        CHECK(!fuse_attr_is_good(&a, types[(i + 1) % 7]));
    }
    struct fuse_attr a = {.mode = 0644};
    CHECK(!fuse_attr_is_good(&a, 0));
    a.mode = 0170000;
    CHECK(!fuse_attr_is_good(&a, 0));
    a = (struct fuse_attr){.mode = 0100000, .size = INT64_MAX};
    CHECK(fuse_attr_is_good(&a, 0));
    a.size++;
    CHECK(!fuse_attr_is_good(&a, 0));
    a = (struct fuse_attr){.mode = 0100000, .mtimensec = 999999999};
    CHECK(fuse_attr_is_good(&a, 0));
    a.mtimensec++;
    CHECK(!fuse_attr_is_good(&a, 0));
}

TEST(entries_of_directories_lead_down) {
    struct fuse_entry_out e = {.nodeid = 7, .attr.mode = 0040755};
    CHECK(fuse_entry_is_good(&e, 1));
    CHECK(!fuse_entry_is_good(&e, 7));
    e.nodeid = FUSE_ROOT;
    CHECK(!fuse_entry_is_good(&e, 7));
    e.nodeid = 0;
    CHECK(!fuse_entry_is_good(&e, 7));
}

TEST(times_of_validity) {
    CHECK_EQ(fuse_valid_until(1000, 0, 0), 0);
    CHECK_EQ(fuse_valid_until(1000, 1, 5), 1000001005);
    CHECK_EQ(fuse_valid_until(1000, 0, UINT32_MAX), 1000 + 999999999);
    CHECK(fuse_valid_until(1000, UINT64_MAX, UINT32_MAX) == FUSE_FOREVER);
    CHECK(fuse_valid_until(UINT64_MAX - 5, 1, 0) == FUSE_FOREVER);
}

// ---- directory entries ------------------------------------------------------------------------------------------------------

static uint8_t reply[4096];
static uint32_t used;

static void add(bool plus, const char *name, uint32_t namelen) {
    struct fuse_direntplus d = {.entry.nodeid = 5, .dirent = {.ino = 9, .off = used + 1, .namelen = namelen, .type = 4}};
    uint32_t fixed = plus ? sizeof d : sizeof d.dirent;
    memcpy(reply + used, plus ? (void *)&d : (void *)&d.dirent, fixed);
    memcpy(reply + used + fixed, name, strlen(name));
    used += (uint32_t)FUSE_DIRENT_SIZE(fixed, strlen(name));
}

TEST(entries_are_read) {
    for (unsigned plus = 0; plus < 2; plus++) {
        used = 0;
        add(plus, "one", 3);
        add(plus, "twotwotw", 8);
        struct fuse_entries list = {reply, used, plus};
        struct fuse_listed e;
        CHECK_EQ(fuse_entries_next(&list, &e), 1);
        CHECK(e.bytes == 3 && memcmp(e.name, "one", 3) == 0 && e.number == 9 && e.next == 1 && e.type == 4);
        CHECK_EQ(e.entry.nodeid, plus ? 5 : 0);
        CHECK_EQ(fuse_entries_next(&list, &e), 1);
        CHECK(e.bytes == 8 && memcmp(e.name, "twotwotw", 8) == 0);
        CHECK_EQ(fuse_entries_next(&list, &e), 0);
    }
}

TEST(entries_that_are_none) {
    const uint32_t lengths[] = {0, 1025, UINT32_MAX, UINT32_MAX - 30, 9};
    for (unsigned i = 0; i < 5; i++) {
        used = 0;
        add(false, "12345678", lengths[i]);
        struct fuse_entries list = {reply, used, false};
        struct fuse_listed e;
        CHECK_EQ(fuse_entries_next(&list, &e), -EIO);
    }
    for (uint32_t cut = 1; cut < 32; cut++) {
        used = 0;
        add(false, "12345678", 8);
        struct fuse_entries list = {reply, used - cut, false};
        struct fuse_listed e;
        CHECK_EQ(fuse_entries_next(&list, &e), -EIO);
    }
}
