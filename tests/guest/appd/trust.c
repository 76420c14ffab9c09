// What runs is what was compiled here, checked through the handle that it is run by: whatever is changed of an artifact, of what is
// known of it, of the key, is found when appd begins; that artifact is dropped, and compiled again.
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "tests/guest/appd/world.h"

#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)
#define OFFSETS_SHORT 3u
#define OFFSETS_LONG 64u

static char artifact[160], entry[160], module[160];

static void find_files(const char *name) {
    char hex[65];
    artifact_of(name, hex);
    fmt_print(artifact, sizeof artifact, TOP "/cache/%s.aot", hex);
    fmt_print(entry, sizeof entry, TOP "/cache/%s.entry", hex);
    fmt_print(module, sizeof module, TOP "/modules/%s", hex);
}

// With an app "hello" that is compiled, and appd away.
static void begin(void) {
    appd_start(NULL);
    struct said said = app_install("hello", "1.0", "", "/m/v1.wasm", 0);
    KT_CHECK(said.result == 0 || said.result == -EEXIST);
    must_print("hello", "", "version 1");
    find_files("hello");
    appd_stop();
}

static void put(const char *path, const void *data, size_t size) {
    kpio_handle file = open_to_write(path);
    KT_EQUAL(kpio_file_resize(file, 0), 0);
    KT_EQUAL(file_write_all(file, data, size, 0), size);
    kt_close(file);
}

static void expect_compiled_again(bool dropped) {
    struct appd_status_reply status;
    appd_start(&status);
    KT_EQUAL(status.dropped, dropped);
    KT_EQUAL(status.compiled, 1);
    KT_EQUAL(status.failed, 0);
    must_print("hello", "", "version 1");
    appd_stop();
}

static void expect_valid(void) {
    struct appd_status_reply status;
    appd_start(&status);
    KT_EQUAL(status.valid, status.checked);
    KT_EQUAL(status.compiled, 0);
    must_print("hello", "", "version 1");
    appd_stop();
}

// ---- changed bytes ----------------------------------------------------------------------------------------------------------------

#define SECTIONS_MAX 32u
struct section {
    uint32_t name, type;
    uint64_t flags, address, offset, size;
    uint32_t link, info;
    uint64_t align, entry_size;
};
_Static_assert(sizeof(struct section) == 64, "ELF");

// Offsets that lie in each section of the artifact, first and last bytes of it, and in the headers; then any.
static unsigned choose_offsets(uint64_t offsets[], unsigned most) {
    static uint8_t head[64];
    static struct section sections[SECTIONS_MAX];
    uint64_t table, size = size_of(artifact), random = kt_setting("seed", 1);
    uint16_t count;
    unsigned chosen = 0;
    kpio_handle file = KT_HANDLE(file_open(root(), artifact, 0, KPIO_RIGHT_READ));
    KT_EQUAL(file_read_all(file, head, sizeof head, 0), sizeof head);
    memcpy(&table, head + 40, sizeof table);
    memcpy(&count, head + 60, sizeof count);
    KT_CHECK(count > 4 && count <= SECTIONS_MAX);
    KT_EQUAL(file_read_all(file, sections, count * sizeof *sections, table), count * sizeof *sections);
    kt_close(file);
    for (unsigned i = 1; i < count && chosen + 2 <= most; i++) {
        if (sections[i].size == 0) continue;
        offsets[chosen++] = sections[i].offset;
        offsets[chosen++] = sections[i].offset + sections[i].size - 1;
    }
    for (; chosen < most; chosen++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        offsets[chosen] = (random >> 16) % size;
    }
    kt_note("%u sections, %lu bytes", count, (unsigned long)size);
    return chosen;
}

KT_TEST(changed_bytes) {
    static uint64_t offsets[OFFSETS_LONG];
    begin();
    const unsigned chosen = choose_offsets(offsets, OFFSETS_LONG), step = kt_long() ? 1 : OFFSETS_LONG / OFFSETS_SHORT;
    for (unsigned i = 0; i < chosen; i += step) {
        flip(artifact, offsets[i]);
        expect_compiled_again(true);
    }
    expect_valid();
}

KT_TEST(a_changed_entry) {
    begin();
    flip(entry, size_of(entry) - 2);  // of its seal
    expect_compiled_again(true);
    if (!kt_long()) return;
    flip(entry, 12);                  // of the module's digest
    expect_compiled_again(true);
}

KT_TEST(lost_files) {
    begin();
    KT_EQUAL(kpio_path_unlink(root(), entry, 0), 0);
    expect_compiled_again(false);
    KT_EQUAL(kpio_path_unlink(root(), artifact, 0), 0);
    expect_compiled_again(false);
}

static void resize(const char *path, int64_t by) {
    const uint64_t size = (uint64_t)((int64_t)size_of(path) + by);
    kpio_handle file = open_to_write(path);
    KT_EQUAL(kpio_file_resize(file, size), 0);
    kt_close(file);
}

KT_TEST(longer_and_shorter) {
    begin();
    resize(artifact, -1);
    expect_compiled_again(true);
    if (!kt_long()) return;
    resize(artifact, 1);
    expect_compiled_again(true);
    resize(entry, -1);
    expect_compiled_again(true);
}

// Another app's artifact under this one's name, with that one's entry or without.
KT_TEST(exchanged) {
    static uint8_t data[1 << 16];
    char theirs[160], theirs_entry[160];
    begin();
    appd_start(NULL);
    must(app_install("other", "2", "", "/m/v2.wasm", 0));
    find_files("other");
    memcpy(theirs, artifact, sizeof theirs);
    memcpy(theirs_entry, entry, sizeof theirs_entry);
    find_files("hello");
    appd_stop();
    int64_t bytes = file_load(root(), theirs, data, sizeof data);
    KT_CHECK(bytes > 0);
    put(artifact, data, (size_t)bytes);
    if (kt_long()) {
        expect_compiled_again(true);
        put(artifact, data, (size_t)bytes);
    }
    bytes = file_load(root(), theirs_entry, data, sizeof data);
    put(entry, data, (size_t)bytes);
    expect_compiled_again(true);
    appd_start(NULL);
    must_print("other", "", "version 2");
    must(app_remove("other"));
    appd_stop();
}

// A module that is not what its digest says is not compiled.
KT_TEST(a_changed_module) {
    struct appd_status_reply status;
    int64_t result;
    begin();
    flip(module, size_of(module) - 3);
    expect_valid();  // it is not needed while the artifact is good
    flip(artifact, 5000);
    appd_start(&status);
    KT_EQUAL(status.dropped, 1);
    KT_EQUAL(status.failed, 1);
    KT_EQUAL(status.compiled, 0);
    struct running running = app_begin("hello", "", &result);
    struct ran ran = app_end(&running);
    KT_CHECK(result < 0);
    KT_CHECK(contains(ran.error, "appd: hello: its module was changed on the disk: install it again"));
    must(app_update("hello", "1.1", "", "/m/v1.wasm", 0));
    must_print("hello", "", "version 1");
    appd_stop();
}

// ---- records and the key ----------------------------------------------------------------------------------------------------------

KT_TEST(a_changed_record) {
    struct appd_status_reply status;
    int64_t result;
    begin();
    flip(TOP "/apps/hello", 20);
    appd_start(&status);
    KT_EQUAL(status.apps, 0);
    struct running running = app_begin("hello", "", &result);
    KT_EQUAL(result, -ENOENT);
    (void)app_end(&running);
    KT_EQUAL(count_files(TOP "/modules"), 0);
    KT_EQUAL(count_files(TOP "/cache"), 0);
    appd_stop();
}

static void expect_key_lost(void) {
    struct appd_status_reply status;
    appd_start(&status);
    KT_EQUAL(status.key_lost, 1);
    KT_EQUAL(status.apps, 2);
    KT_EQUAL(status.dropped, 2);
    KT_EQUAL(status.compiled, 2);
    must_print("hello", "", "version 1");
    must_print("env", "asay|eCOLOUR=red", "[env][say]");  // what was granted cannot be believed any more
    must(app_update("env", "2", "environment = yes\n", "/m/rights.wasm", APPD_GRANT_ENVIRONMENT));
    must_print("env", "asay|eCOLOUR=red", "[env][say][COLOUR=red]");
    appd_stop();
    appd_start(&status);
    KT_EQUAL(status.key_lost, 0);
    KT_EQUAL(status.valid, 2);
    must_print("env", "asay|eCOLOUR=red", "[env][say][COLOUR=red]");
    appd_stop();
}

KT_TEST(a_lost_key) {
    begin();
    appd_start(NULL);
    must(app_install("env", "1", "environment = yes\n", "/m/rights.wasm", APPD_GRANT_ENVIRONMENT));
    appd_stop();
    KT_EQUAL(kpio_path_unlink(root(), TOP "/key", 0), 0);
    expect_key_lost();
    if (kt_long()) {
        flip(TOP "/key", 40);
        expect_key_lost();
    }
    appd_start(NULL);
    must(app_remove("env"));
    appd_stop();
}

// ---- what is verified is what runs --------------------------------------------------------------------------------------------------

static void expect_no_writer(const char *path) {
    struct kpio_attributes cut = {.what = KPIO_SET_SIZE};
    KT_ERROR(file_open(root(), path, 0, KPIO_RIGHT_WRITE), ETXTBSY);
    KT_ERROR(file_open(root(), path, KPIO_OPEN_TRUNCATE, KPIO_RIGHT_READ), ETXTBSY);
    KT_ERROR(kpio_path_set_attributes(root(), path, 0, &cut), ETXTBSY);
}

KT_TEST(nobody_writes_a_checked_artifact) {
    begin();
    appd_start(NULL);
    expect_no_writer(artifact);
    must(app_install("two", "2", "", "/m/v2.wasm", 0));
    find_files("two");
    expect_no_writer(artifact);
    expect_no_writer(module);  // it was compiled from it
    must(app_remove("two"));
    appd_stop();
}

// Who writes an artifact before appd looks at it is found by that, and one whose writer stays does not become valid.
KT_TEST(a_writer_from_before) {
    struct appd_status_reply status;
    begin();
    kpio_handle writer = open_to_write(artifact);
    appd_start(&status);
    KT_EQUAL(status.valid, 0);
    KT_EQUAL(status.compiled, 1);  // into another file
    KT_EQUAL(kpio_file_write(writer, (const uint8_t *)"x", 1, 5000, 0), 1);
    must_print("hello", "", "version 1");
    expect_no_writer(artifact);
    kt_close(writer);
    appd_stop();
}

// The file that appd checked is what is run, whatever takes its name.
KT_TEST(another_file_of_the_name) {
    static uint8_t data[1 << 16];
    begin();
    appd_start(NULL);
    int64_t bytes = file_load(root(), artifact, data, sizeof data);
    KT_CHECK(bytes > 5000);
    memset(data + 4096, 0xcc, 600);
    KT_EQUAL(file_save(root(), "/evil", data, (size_t)bytes), 0);
    KT_EQUAL(kpio_path_rename(root(), "/evil", root(), artifact, 0), 0);
    must_print("hello", "", "version 1");
    appd_stop();
    expect_compiled_again(true);
}

// ---- leftovers and a full disk --------------------------------------------------------------------------------------------------------

KT_TEST(leftovers_go) {
    static const char digits[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    static const char *const folders[] = {"apps", "modules", "cache"};
    char path[160];
    begin();
    unsigned before[3];
    for (unsigned i = 0; i < 3; i++) {
        fmt_print(path, sizeof path, TOP "/%s", folders[i]);
        before[i] = count_files(path);
        fmt_print(path, sizeof path, TOP "/%s/.new-%u", folders[i], i);
        KT_EQUAL(file_save(root(), path, "half", 4), 0);
    }
    fmt_print(path, sizeof path, TOP "/cache/%s.aot", digits);
    KT_EQUAL(file_save(root(), path, "nobody's", 8), 0);
    fmt_print(path, sizeof path, TOP "/modules/%s", digits);
    KT_EQUAL(file_save(root(), path, "nobody's", 8), 0);
    KT_EQUAL(file_save(root(), TOP "/cache/readme", "a person's", 10), 0);
    fmt_print(path, sizeof path, TOP "/cache/%s.text", digits);
    KT_EQUAL(file_save(root(), path, "a person's", 10), 0);
    expect_valid();
    KT_EQUAL(kpio_path_unlink(root(), path, 0), 0);
    KT_EQUAL(kpio_path_unlink(root(), TOP "/cache/readme", 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        fmt_print(path, sizeof path, TOP "/%s", folders[i]);
        KT_EQUAL(count_files(path), before[i]);
    }
}

static uint64_t room_now(void) {
    struct kpio_fs_statistics s;
    KT_EQUAL(kpio_fs_statistics(root(), &s), 0);
    return s.blocks_available * s.block_size;
}

// Takes all but `left` bytes of the disk, in pieces: what describes a piece takes room too. *at is the filler's end.
static void fill(kpio_handle filler, uint64_t *at, uint64_t left) {
    for (uint64_t piece = 1 << 24; piece >= 1024;) {
        const int64_t error = room_now() >= left + piece ? kpio_file_allocate(filler, 0, *at, piece) : -ENOSPC;
        KT_CHECK(error == 0 || error == -ENOSPC);
        if (error == 0) *at += piece;
        else piece /= 2;
    }
}

static void expect_no_room(struct said said, uint64_t room) {
    if (said.result < 0 && (contains(said.text, "ENOSPC") || contains(said.text, "No space"))) return;
    kt_fail(__FILE__, __LINE__, "with %lu bytes: %s, \"%s\"", (unsigned long)room, error_name(said.result), said.text);
}

static void expect_counts(const unsigned counts[3]) {
    KT_EQUAL(count_files(TOP "/apps"), counts[0]);
    KT_EQUAL(count_files(TOP "/modules"), counts[1]);
    KT_EQUAL(count_files(TOP "/cache"), counts[2]);
}

// What a file gave back may be counted a moment later.
static void expect_room(uint64_t room) {
    for (const uint64_t deadline = kt_soon(); room_now() < room && time_now() < deadline;) time_sleep_ms(10);
    const uint64_t found = room_now();
    if (found < room) kt_fail(__FILE__, __LINE__, "%lu bytes are free, not %lu", (unsigned long)found, (unsigned long)room);
}

KT_TEST(a_full_disk) {
    static const uint64_t rooms[] = {300000, 100000, 0};  // for the module but not the artifact, for a part of the module, for nothing
    uint64_t at = 0;
    begin();
    unsigned counts[] = {count_files(TOP "/apps"), count_files(TOP "/modules"), count_files(TOP "/cache")};
    appd_start(NULL);
    must(app_install("spare", "1", "", "/m/v2.wasm", 0));
    counts[0]++, counts[1]++, counts[2] += 2;
    kpio_handle filler = KT_HANDLE(file_open(root(), "/filler", KPIO_OPEN_CREATE, RW));
    for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++) {
        fill(filler, &at, rooms[i]);
        const uint64_t room = room_now();
        expect_no_room(app_install("big", "1", "", "/m/large.wasm", 0), rooms[i]);
        expect_room(room);
        expect_no_room(app_update("hello", "2", "", "/m/large.wasm", 0), rooms[i]);
        expect_room(room);
        must_print("hello", "", "version 1");
        expect_counts(counts);
    }
    // What is there is still good, and needs no room: not to be found so, nor to run, nor to be removed.
    appd_stop();
    expect_valid();
    appd_start(NULL);
    must_print("spare", "", "version 2");
    must(app_remove("spare"));
    counts[0]--, counts[1]--, counts[2] -= 2;
    expect_counts(counts);
    kt_close(filler);
    KT_EQUAL(kpio_path_unlink(root(), "/filler", 0), 0);
    expect_room(1 << 20);
    must(app_install("big", "1", "", "/m/large.wasm", 0));
    must_print("big", "", "large");
    must(app_remove("big"));
    appd_stop();
}
