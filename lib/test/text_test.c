// Text slices, command lines, manifests, checksums.
// links: lib/text.c lib/cmdline.c lib/manifest.c lib/crc32c.c lib/fmt.c
#include <stdio.h>
#include <string.h>

#include "lib/cmdline.h"
#include "lib/crc32c.h"
#include "lib/manifest.h"
#include "tests/unit/unit.h"

TEST(text_numbers) {
    uint64_t value = 7;

    CHECK(text_to_u64(TEXT("18446744073709551615"), &value) && value == UINT64_MAX);
    CHECK(text_to_u64(TEXT("0xFf"), &value) && value == 255);
    value = 7;
    CHECK(!text_to_u64(TEXT("18446744073709551616"), &value));
    CHECK(!text_to_u64(TEXT(""), &value) && !text_to_u64(TEXT("0x"), &value) && !text_to_u64(TEXT("12a"), &value));
    CHECK(!text_to_u64(TEXT("-1"), &value) && !text_to_u64(TEXT(" 1"), &value) && !text_to_u64(TEXT("0x1g"), &value));
    CHECK_EQ(value, 7);
    CHECK(text_to_size(TEXT("64M"), &value) && value == 64 << 20);
    CHECK(text_to_size(TEXT("3k"), &value) && value == 3072);
    CHECK(text_to_size(TEXT("4096"), &value) && value == 4096);
    CHECK(!text_to_size(TEXT("M"), &value) && !text_to_size(TEXT("20000000T"), &value) && !text_to_size(TEXT("1MM"), &value));
    CHECK(text_to_duration(TEXT("20ms"), &value) && value == 20000000);
    CHECK(text_to_duration(TEXT("3s"), &value) && value == 3000000000);
    CHECK(text_to_duration(TEXT("5us"), &value) && value == 5000);
    CHECK(text_to_duration(TEXT("1ns"), &value) && value == 1);
    CHECK(!text_to_duration(TEXT("20"), &value) && !text_to_duration(TEXT("ms"), &value) && !text_to_duration(TEXT("s"), &value));
}

TEST(text_pieces) {
    struct text rest = TEXT("a,b,,c");
    char buffer[4];
    bool on = false;

    CHECK(text_equal(text_split(&rest, ','), TEXT("a")) && text_equal(text_split(&rest, ','), TEXT("b")));
    CHECK(text_split(&rest, ',').size == 0 && text_equal(text_split(&rest, ','), TEXT("c")) && rest.data == NULL);
    CHECK(text_equal(text_trim(TEXT(" \t x y \r")), TEXT("x y")) && text_trim(TEXT("  ")).size == 0);
    CHECK(text_starts_with(TEXT("abc"), TEXT("ab")) && !text_starts_with(TEXT("a"), TEXT("ab")));
    CHECK(!text_copy(buffer, sizeof(buffer), TEXT("abcd")) && strcmp(buffer, "abc") == 0);
    CHECK(text_copy(buffer, sizeof(buffer), TEXT("xy")) && strcmp(buffer, "xy") == 0);
    CHECK(text_to_bool(TEXT("yes"), &on) && on && text_to_bool(TEXT("off"), &on) && !on && !text_to_bool(TEXT("maybe"), &on));
}

static char refused[512];

static void note(void *context, const struct cmdline_word *word, const char *reason) {
    char line[64];

    (void)context;
    snprintf(line, sizeof(line), "%zu %.*s %s;", word->position, TEXT_ARG(word->key), reason);
    strcat(refused, line);
}

TEST(cmdline_table) {
    bool quiet = false;
    uint64_t cpus = 0, pool = 0, limit = 0;
    struct text mode = {NULL, 0};
    const struct cmdline_option options[] = {
        {"quiet", CMDLINE_BOOL, 0, 0, &quiet},      {"cpus", CMDLINE_NUMBER, 1, 8, &cpus}, {"pool", CMDLINE_SIZE, 0, 0, &pool},
        {"limit", CMDLINE_DURATION, 0, 0, &limit}, {"mode", CMDLINE_TEXT, 0, 0, &mode},
    };

    refused[0] = '\0';
    CHECK_EQ(cmdline_parse(TEXT("  quiet cpus=4 pool=64M limit=5ms mode=\"a b\"  "), options, 5, note, NULL), 0);
    CHECK(quiet && cpus == 4 && pool == 64 << 20 && limit == 5000000 && text_equal(mode, TEXT("a b")));
    CHECK_EQ(cmdline_parse(TEXT("quiet=no cpus=9 pool= limit=3 mode colour=red =x"), options, 5, note, NULL), 6);
    CHECK(!quiet && cpus == 4);
    CHECK(strcmp(refused, "9 cpus out of range;16 pool has no value;22 limit not a duration (such as 20ms);30 mode has no value;"
                          "35 colour unknown;46  unknown;") == 0);
    CHECK_EQ(cmdline_parse((struct text){NULL, 0}, options, 5, note, NULL), 0);
}

TEST(manifest_items) {
    static const char content[] =
        "# comment\n\n[service net]\r\n  program = /bin/net  \nempty=\n\tkey.2 = a = b\n[ x ]\n";
    struct manifest_reader reader;
    struct manifest_item item;

    manifest_open(&reader, text_of(content));
    item = manifest_next(&reader);
    CHECK(item.kind == MANIFEST_SECTION && item.line == 3 && item.column == 2 && text_equal(item.section, TEXT("service net")));
    item = manifest_next(&reader);
    CHECK(item.kind == MANIFEST_ENTRY && item.line == 4 && item.column == 3 && item.value_column == 13);
    CHECK(text_equal(item.key, TEXT("program")) && text_equal(item.value, TEXT("/bin/net")));
    item = manifest_next(&reader);
    CHECK(item.kind == MANIFEST_ENTRY && text_equal(item.key, TEXT("empty")) && item.value.size == 0);
    item = manifest_next(&reader);
    CHECK(item.kind == MANIFEST_ENTRY && text_equal(item.key, TEXT("key.2")) && text_equal(item.value, TEXT("a = b")));
    item = manifest_next(&reader);
    CHECK(item.kind == MANIFEST_SECTION && text_equal(item.section, TEXT("x")));
    CHECK(manifest_next(&reader).kind == MANIFEST_END && manifest_next(&reader).kind == MANIFEST_END);
}

TEST(manifest_names_line_and_column) {
    static const struct {
        const char *line;
        unsigned column;
    } bad[] = {{"nonsense", 1}, {"  = 1", 3}, {"k y = 1", 2}, {"[open", 5}, {"[]", 1}, {"[a/b]", 3}, {"a = \x01", 5}};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct manifest_reader reader;
        struct manifest_item item;
        char content[64];

        snprintf(content, sizeof(content), "a = 1\n%s\nb = 2", bad[i].line);
        manifest_open(&reader, text_of(content));
        CHECK_EQ(manifest_next(&reader).kind, MANIFEST_ENTRY);
        item = manifest_next(&reader);
        CHECK_EQ(item.kind, MANIFEST_BAD);
        CHECK_EQ(item.line, 2);
        CHECK_EQ(item.column, bad[i].column);
        CHECK(item.reason != NULL);
        item = manifest_next(&reader);
        CHECK(item.kind == MANIFEST_ENTRY && text_equal(item.key, TEXT("b")));
        CHECK_EQ(manifest_next(&reader).kind, MANIFEST_END);
    }
}

TEST(crc32c_known_values) {
    unsigned char bytes[512];

    // The check value of the standard test string, and RFC 3720 appendix B.4.
    CHECK_EQ(~crc32c(~0u, "123456789", 9), 0xe3069283);
    memset(bytes, 0, 32);
    CHECK_EQ(~crc32c(~0u, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    CHECK_EQ(~crc32c(~0u, bytes, 32), 0x62a8ab43);
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (unsigned char)unit_random();
    for (size_t size = 0; size < 100; size++) {
        CHECK_EQ(crc32c(5, bytes + size, size), crc32c_portable(5, bytes + size, size));
        CHECK_EQ(crc32c(crc32c(~0u, bytes, size), bytes + size, 100), crc32c(~0u, bytes, size + 100));
    }
}
