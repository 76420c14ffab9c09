#include "tests/guest/appd/world.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "tests/guest/kt/driver.h"
#include "user/libkpio/linux.h"

#define PATIENCE_NS 600000000000ull  // a busy machine; only against hanging
#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)

static struct {
    kpio_handle process, endpoint;
    struct client client;
    bool unpacked;
} world;

kpio_handle root(void) { return startup_handle("root"); }

// ---- the service ----------------------------------------------------------------------------------------------------------------

// Only who may make code makes a file system that may be executed from.
KT_CHILD(mounter) {
    int64_t made = kpio_fs_mount("tmpfs", 0, 0, NULL);
    return made < 0 ? made : kpio_handle_give(startup_handle("suite"), (kpio_handle)made, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
}

// As init grants it.
static kpio_handle memory_mount(void) {
    const char *arguments[] = {startup_page()->text, "mounter", NULL}, *what = "";
    const struct process_grant grants[] = {{"suite", kt_process(), KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    struct program program;
    KT_EQUAL(archive_program(kt_archive(), arguments[0], &program), 0);
    const struct process_spec spec = {.name = "mounter", .job = kt_job(), .program = &program, .grants = grants, .grant_count = 1,
                                      .options = 1, .arguments = arguments};
    const kpio_handle mounter = KT_HANDLE(process_spawn(&spec, &what));
    return KT_HANDLE(kt_wait(mounter));
}

static void prepare(void) {
    KT_EQUAL(kt_init_start(), 0);
    if (!world.unpacked) KT_EQUAL(linux_unpack(kt_archive(), "rootfs", root()), 0);
    world.unpacked = true;
}

void appd_start_only(void) {
    struct program program;
    const char *what = "";
    prepare();
    KT_EQUAL(archive_program(kt_archive(), "/bin/appd", &program), 0);
    kpio_handle endpoint = KT_HANDLE(kpio_endpoint_create()), memory = memory_mount();
    world.endpoint = KT_HANDLE(kpio_handle_dup(endpoint, KPIO_RIGHT_CALL | KPIO_RIGHT_WAIT));
    const struct process_grant grants[] = {
        {"service", endpoint, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
        {"init", kt_init_endpoint(), KPIO_RIGHT_CALL, KPIO_SEND_COPY},
        {"root", root(), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"memory", memory, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
        {"job", kt_job(), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"initrd", startup_handle("initrd"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
    };
    const struct process_spec spec = {
        .name = "appd", .job = startup_handle("job"), .program = &program, .grants = grants, .grant_count = ARRAY_SIZE(grants)};
    uint32_t before = kt_init_readies();
    world.process = (kpio_handle)process_spawn(&spec, &what);
    if (world.process < 0) kt_fail(__FILE__, __LINE__, "appd: %s: %s", what, error_name(world.process));
    world.client = (struct client){.endpoint = world.endpoint, .timeout_ns = PATIENCE_NS};
    KT_EQUAL(kt_init_wait(before), 0);
}

struct appd_status_reply appd_status_now(void) {
    const struct appd_status_request request = {};
    struct appd_status_reply reply = {};
    KT_EQUAL(appd_status(&world.client, &request, &reply), 0);
    return reply;
}

void appd_start(struct appd_status_reply *status) {
    struct appd_status_reply now = {};
    appd_start_only();
    const uint64_t deadline = time_now() + PATIENCE_NS;
    while (!now.done && time_now() < deadline) {
        time_sleep_ms(5);
        now = appd_status_now();
    }
    KT_CHECK(now.done);
    if (status != NULL) *status = now;
}

void appd_stop(void) {
    (void)kpio_process_kill(world.process, 9);
    KT_EQUAL(wait_terminated(world.process, KPIO_TIME_NEVER, NULL), 0);
    kt_close(world.process);
    kt_close(world.endpoint);
    KT_EQUAL(kt_init_stop(), 0);
}

// ---- installing -----------------------------------------------------------------------------------------------------------------

static void keep_text(struct said *said, const uint8_t *text, uint32_t size) {
    memcpy(said->text, text, size);
    said->text[size] = 0;
}

static struct said ask(const char *manifest, const char *module, uint32_t flags, bool update) {
    struct appd_install_request request = {.flags = flags, .manifest_size = (uint32_t)strlen(manifest)};
    struct appd_install_reply reply = {};
    struct said said;
    memcpy(request.manifest, manifest, request.manifest_size);
    request.module = KT_HANDLE(file_open(root(), module != NULL ? module : "/m/text", 0, KPIO_RIGHT_READ));
    struct client client = world.client;  // several threads ask at once
    struct appd_update_request same;
    memcpy(&same, &request, sizeof same);
    struct appd_update_reply updated = {};
    int64_t error = update ? appd_update(&client, &same, &updated) : appd_install(&client, &request, &reply);
    kt_close(request.module);
    if (update) memcpy(&reply, &updated, sizeof reply);
    said.result = error != 0 ? error : reply.result;
    keep_text(&said, reply.text, reply.text_size);
    return said;
}

struct said app_manifest(const char *manifest, const char *module) { return ask(manifest, module, 0, false); }

static const char *manifest_of(const char *name, const char *version, const char *more, char text[1024]) {
    fmt_print(text, 1024, "name = %s\nversion = %s\n%s", name, version, more);
    return text;
}

struct said app_install(const char *name, const char *version, const char *more, const char *module, uint32_t flags) {
    char text[1024];
    return ask(manifest_of(name, version, more, text), module, flags, false);
}
struct said app_update(const char *name, const char *version, const char *more, const char *module, uint32_t flags) {
    char text[1024];
    return ask(manifest_of(name, version, more, text), module, flags, true);
}

struct said app_grant(const char *name, const char *guest, const char *path, kpio_handle directory, uint32_t flags) {
    struct appd_grant_request request = {.flags = flags, .directory = directory};
    struct appd_grant_reply reply = {};
    struct said said;
    fmt_print(request.name, sizeof request.name, "%s", name);
    fmt_print(request.guest, sizeof request.guest, "%s", guest);
    fmt_print(request.path, sizeof request.path, "%s", path);
    int64_t error = appd_grant(&world.client, &request, &reply);
    said.result = error != 0 ? error : reply.result;
    keep_text(&said, reply.text, reply.text_size);
    return said;
}

struct said app_remove(const char *name) {
    struct appd_remove_request request = {};
    struct appd_remove_reply reply = {};
    struct said said;
    fmt_print(request.name, sizeof request.name, "%s", name);
    int64_t error = appd_remove(&world.client, &request, &reply);
    said.result = error != 0 ? error : reply.result;
    keep_text(&said, reply.text, reply.text_size);
    return said;
}

void must(struct said said) {
    if (said.result != 0) kt_fail(__FILE__, __LINE__, "%s: %s", error_name(said.result), said.text);
}

bool contains(const char *text, const char *piece) {
    size_t size = strlen(piece);
    for (; *text != 0; text++)
        if (strncmp(text, piece, size) == 0) return true;
    return size == 0;
}

void must_fail(struct said said, int64_t error, const char *text) {
    if (said.result != error || !contains(said.text, text))
        kt_fail(__FILE__, __LINE__, "%s, \"%s\", not %s, \"%s\"", error_name(said.result), said.text, error_name(error), text);
}

// ---- running ----------------------------------------------------------------------------------------------------------------------

struct running app_begin(const char *name, const char *words, int64_t *result) {
    struct appd_run_request request = {.words_size = *words != 0 ? (uint32_t)strlen(words) + 1 : 0};
    struct appd_run_reply reply = {};
    struct running r = {};
    fmt_print(request.name, sizeof request.name, "%s", name);
    memcpy(request.words, words, request.words_size);
    for (uint32_t i = 0; i < request.words_size; i++)
        if (request.words[i] == '|') request.words[i] = 0;
    r.input = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &request.input));
    // pipe_create returns the end to read and gives the one to write: of the input the app has the first.
    kpio_handle reading = r.input;
    r.input = request.input;
    request.input = reading;
    r.output = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &request.output));
    r.error = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &request.error));
    *result = appd_run(&world.client, &request, &reply);
    r.process = reply.process;
    kt_close(request.input);
    kt_close(request.output);
    kt_close(request.error);
    return r;
}

static void read_all(kpio_handle pipe, char *text, size_t size) {
    size_t used = 0;
    int64_t got;
    while (used + 1 < size && (got = kpio_pipe_read(pipe, (uint8_t *)text + used, size - 1 - used, 0, time_now() + PATIENCE_NS)) > 0)
        used += (size_t)got;
    text[used] = 0;
}

void app_read(const struct running *running, char *line, size_t size) {
    size_t used = 0;
    while (used + 1 < size && (used == 0 || line[used - 1] != '\n'))
        KT_EQUAL(kpio_pipe_read(running->output, (uint8_t *)line + used++, 1, 0, time_now() + PATIENCE_NS), 1);
    line[used] = 0;
}

struct ran app_end(struct running *r) {
    struct ran ran = {.code = -1};
    int64_t status = 0;
    kt_close(r->input);
    read_all(r->output, ran.output, sizeof ran.output);
    read_all(r->error, ran.error, sizeof ran.error);
    if (r->process > 0) {
        KT_EQUAL(wait_terminated(r->process, time_now() + PATIENCE_NS, &status), 0);
        ran.code = (int)(status >> 8);
        kt_close(r->process);
    }
    kt_close(r->output);
    kt_close(r->error);
    return ran;
}

struct ran app_run(const char *name, const char *words) {
    int64_t result;
    struct running running = app_begin(name, words, &result);
    struct ran ran = app_end(&running);
    if (result != 0) kt_fail(__FILE__, __LINE__, "%s is not run: %s: %s", name, error_name(result), ran.error);
    return ran;
}

void must_print(const char *name, const char *words, const char *line) {
    char expected[256];
    struct ran ran = app_run(name, words);
    fmt_print(expected, sizeof expected, "%s\n", line);
    if (ran.code != 0 || strcmp(ran.output, expected) != 0)
        kt_fail(__FILE__, __LINE__, "%s: status %d, output \"%s\", error \"%s\"", name, ran.code, ran.output, ran.error);
}

// ---- its files ------------------------------------------------------------------------------------------------------------------

void info_of(const char *name, char *text, size_t size) {
    struct appd_info_request request = {};
    struct appd_info_reply reply = {};
    fmt_print(request.name, sizeof request.name, "%s", name);
    KT_EQUAL(appd_info(&world.client, &request, &reply), 0);
    KT_EQUAL(reply.result, 0);
    fmt_print(text, size, "%.*s", (int)reply.text_size, (const char *)reply.text);
}

void artifact_of(const char *name, char hex[65]) {
    char text[2048];
    info_of(name, text, sizeof text);
    const char *at = text;
    while (*at != 0 && strncmp(at, "module:", 7) != 0) at++;
    KT_CHECK(*at != 0);
    at += 7;
    while (*at == ' ') at++;
    memcpy(hex, at, 64);
    hex[64] = 0;
}

kpio_handle open_to_write(const char *path) {
    const uint64_t deadline = kt_soon();
    int64_t file;
    while ((file = file_open(root(), path, 0, RW)) == -ETXTBSY && time_now() < deadline) time_sleep_ms(1);
    return KT_HANDLE(file);
}

void flip(const char *path, uint64_t offset) {
    uint8_t byte;
    kpio_handle file = open_to_write(path);
    KT_EQUAL(kpio_file_read(file, &byte, 1, (int64_t)offset), 1);
    byte ^= (uint8_t)(1u << offset % 8);
    KT_EQUAL(kpio_file_write(file, &byte, 1, (int64_t)offset, 0), 1);
    kt_close(file);
}

bool exists(const char *path) {
    struct kpio_stat stat;
    return kpio_path_stat(root(), path, KPIO_PATH_NO_FOLLOW, &stat) == 0;
}

uint64_t size_of(const char *path) {
    struct kpio_stat stat;
    KT_EQUAL(kpio_path_stat(root(), path, 0, &stat), 0);
    return stat.size;
}

unsigned count_files(const char *folder) {
    struct directory_reader reader;
    const struct kpio_directory_entry *entry;
    kpio_handle directory = KT_HANDLE(directory_open(root(), folder));
    unsigned count = 0;
    directory_rewind(&reader, directory);
    while (directory_next(&reader, &entry) > 0) count += strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0;
    kt_close(directory);
    return count;
}
