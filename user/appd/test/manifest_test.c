// Manifests of apps, and the records that are kept of them.
// links: user/appd/manifest.c user/appd/record.c user/appd/seal.c user/appd/digest.c lib/manifest.c lib/text.c lib/fmt.c lib/string.c /usr/lib/x86_64-linux-gnu/libbearssl.a
#include "user/appd/manifest.h"

#include "lib/string.h"
#include "tests/unit/unit.h"
#include "user/appd/record.h"

#define GOOD "name = hello\nversion = 1.2.0\n"

static const struct digest key = {{9}}, other_key = {{8}};

TEST(whole) {
    struct app_manifest m;
    struct app_flaw flaw;
    CHECK(app_manifest_parse(TEXT("# an app\n" GOOD "mode = jit\ndirectory = /data read write\ndirectory = /usr/share read\n"
                                  "environment = yes\nmemory = 64M\ntime = 10s\ncpu-time = 500ms\nfiles = 16\n"), &m, &flaw));
    CHECK_EQ(strcmp(m.name, "hello"), 0);
    CHECK_EQ(strcmp(m.version, "1.2.0"), 0);
    CHECK_EQ(m.mode, APP_JIT);
    CHECK_EQ(m.directory_count, 2);
    CHECK(m.directories[0].writes && !m.directories[1].writes);
    CHECK_EQ(strcmp(m.directories[1].guest, "/usr/share"), 0);
    CHECK(m.environment);
    CHECK_EQ(m.memory, 64 << 20);
    CHECK_EQ(m.time, 10000000000ull);
    CHECK_EQ(m.cpu_time, 500000000ull);
    CHECK_EQ(m.files, 16);
}

TEST(defaults) {
    struct app_manifest m;
    struct app_flaw flaw;
    CHECK(app_manifest_parse(TEXT(GOOD), &m, &flaw));
    CHECK_EQ(m.mode, APP_AOT);
    CHECK_EQ(m.memory, APP_MEMORY_DEFAULT);
    CHECK_EQ(m.time, 0);
    CHECK_EQ(m.cpu_time, 0);
    CHECK_EQ(m.files, 0);
    CHECK_EQ(m.directory_count, 0);
    CHECK(!m.environment);
}

// Each is refused, and the line and field are named.
TEST(flaws) {
    static const struct {
        const char *text, *field;
        unsigned line;
    } all[] = {
        {"", "", 0},
        {"version = 1\n", "", 1},
        {"name = hello\n", "", 1},
        {GOOD "name = other\n", "name", 3},
        {GOOD "colour = red\n", "colour", 3},
        {GOOD "[rights]\n", "", 3},
        {GOOD "mode\n", "", 3},
        {"name = Hello\n", "name", 1},
        {"name =\n", "name", 1},
        {"name = ../x\n", "name", 1},
        {"name = a/b\n", "name", 1},
        {"name = 1a\n", "name", 1},
        {"name = a234567890123456789012345678901x\n", "name", 1},
        {"name = hello\nversion = 1 2\n", "version", 2},
        {GOOD "mode = fast\n", "mode", 3},
        {GOOD "memory = 1\n", "memory", 3},
        {GOOD "memory = lots\n", "memory", 3},
        {GOOD "memory = 64M\nmemory = 64M\n", "memory", 4},
        {GOOD "time = 10\n", "time", 3},
        {GOOD "time = 0s\n", "time", 3},
        {GOOD "cpu-time = 1\n", "cpu-time", 3},
        {GOOD "files = 0\n", "files", 3},
        {GOOD "files = 257\n", "files", 3},
        {GOOD "files = 16K\n", "files", 3},
        {GOOD "environment = perhaps\n", "environment", 3},
        {GOOD "directory = data read\n", "directory", 3},
        {GOOD "directory = /data\n", "directory", 3},
        {GOOD "directory = /data write\n", "directory", 3},
        {GOOD "directory = /data read write execute\n", "directory", 3},
        {GOOD "directory = / read\n", "directory", 3},
        {GOOD "directory = /a//b read\n", "directory", 3},
        {GOOD "directory = /a/../b read\n", "directory", 3},
        {GOOD "directory = /a:b read\n", "directory", 3},
        {GOOD "directory = /a,ro read\n", "directory", 3},
        {GOOD "directory = /a read\ndirectory = /a read\n", "directory", 4},
        {GOOD "directory = /a read\ndirectory = /b read\ndirectory = /c read\ndirectory = /d read\n"
              "directory = /e read\n",
         "directory", 7},
        {GOOD "\x01\n", "", 3},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        struct app_manifest m;
        struct app_flaw flaw;
        CHECK(!app_manifest_parse(text_of(all[i].text), &m, &flaw));
        CHECK(flaw.reason != NULL);
        CHECK_EQ(flaw.line, all[i].line);
        CHECK_EQ(strcmp(flaw.field, all[i].field), 0);
    }
}

// ---- records ------------------------------------------------------------------------------------------------------------------

static struct app_record make(void) {
    struct app_record r = {.module = {{3}}, .grants = {.environment = true, .memory = 1 << 20, .time = 5, .writes = {true}}};
    struct app_flaw flaw;
    CHECK(app_manifest_parse(TEXT(GOOD "directory = /data read write\ndirectory = /more read\n"
                                       "environment = yes\ntime = 10s\n"), &r.manifest, &flaw));
    memcpy(r.grants.directories[0], "/srv/data", 10);
    return r;
}

TEST(records_come_back) {
    struct app_record r = make(), back;
    char text[RECORD_MAX], again[RECORD_MAX];
    size_t bytes = app_record_write(&r, &key, text, sizeof text);
    CHECK(bytes > 0);
    CHECK(app_record_read(&key, (struct text){text, bytes}, &back));
    CHECK_EQ(app_record_write(&back, &key, again, sizeof again), bytes);
    CHECK_EQ(memcmp(text, again, bytes), 0);
    CHECK_EQ(strcmp(back.grants.directories[0], "/srv/data"), 0);
    CHECK_EQ(back.grants.directories[1][0], 0);
    CHECK(back.grants.writes[0]);
    CHECK_EQ(app_record_write(&r, &key, text, bytes - 1), 0);
}

TEST(every_bit_of_a_record) {
    struct app_record r = make(), back;
    char text[RECORD_MAX];
    size_t bytes = app_record_write(&r, &key, text, sizeof text);
    for (size_t i = 0; i < bytes * 8; i++) {
        text[i / 8] ^= (char)(1u << i % 8);
        CHECK(!app_record_read(&key, (struct text){text, bytes}, &back));
        (void)app_record_salvage((struct text){text, bytes}, &back);
        text[i / 8] ^= (char)(1u << i % 8);
    }
    for (size_t n = 0; n < bytes; n++) CHECK(!app_record_read(&key, (struct text){text, n}, &back));
    CHECK(!app_record_read(&other_key, (struct text){text, bytes}, &back));
}

TEST(a_lost_key_takes_the_rights) {
    struct app_record r = make(), back;
    char text[RECORD_MAX];
    size_t bytes = app_record_write(&r, &key, text, sizeof text);
    CHECK(app_record_salvage((struct text){text, bytes}, &back));
    CHECK_EQ(strcmp(back.manifest.name, "hello"), 0);
    CHECK(digest_equal(&back.module, &r.module));
    CHECK(!app_gets_environment(&back));
    CHECK_EQ(back.grants.directories[0][0], 0);
}

TEST(asked_and_granted) {
    struct app_record r = make();
    CHECK(app_gets_environment(&r) && !app_gets_jit(&r));
    CHECK_EQ(app_memory(&r), 1 << 20);
    CHECK_EQ(app_time(&r), 5);
    r.grants = (struct app_grants){.jit = true, .memory = 1ull << 40, .time = 1ull << 60};
    CHECK(!app_gets_environment(&r) && !app_gets_jit(&r));  // granted, but an app of this mode does not ask
    CHECK_EQ(app_memory(&r), APP_MEMORY_DEFAULT);
    CHECK_EQ(app_time(&r), 10000000000ull);
    r.manifest.mode = APP_JIT;
    CHECK(app_gets_jit(&r));
}

TEST(an_update_keeps_what_still_fits) {
    struct app_record old = make(), r = {0};
    struct app_flaw flaw;
    CHECK(app_manifest_parse(TEXT(GOOD "directory = /new read write\ndirectory = /data read\n"), &r.manifest, &flaw));
    app_grants_keep(&r, &old);
    CHECK_EQ(r.grants.directories[0][0], 0);
    CHECK_EQ(strcmp(r.grants.directories[1], "/srv/data"), 0);
    CHECK(!r.grants.writes[1]);
}
