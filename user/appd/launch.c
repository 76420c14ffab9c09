#include "user/appd/launch.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "user/appd/engine.h"
#include "user/libkpio/file.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/linux.h"
#include "user/libkpio/linux_root.h"

#define PROGRAM_FD 3
#define PROGRAM_PATH "/proc/self/fd/3"
#define OVERHEAD_PAGES (64u << 8)     // of a host, besides linear memories: 64 MiB
#define COMPILER_PAGES (1024u << 8)   // of one that compiles

static kpio_handle files;

void launch_open(kpio_handle root) { files = root; }

struct starting {
    const struct launch *launch;
    char *text;
    kpio_handle job, root, program;
    const char *words[LAUNCH_WORDS_MAX + 1];
    unsigned count;
    char scratch[4096];                  // of words that are made here
    size_t used;
    bool full;                           // too many of them
};

static int64_t fail(struct starting *s, const char *what, int64_t error) {
    (void)fmt_print(s->text, LAUNCH_TEXT_MAX, "%s: %s", what, error_name(error));
    return error;
}

static void close_if(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

// ---- its command line -------------------------------------------------------------------------------------------------------------

static void add(struct starting *s, const char *word) {
    if (s->count == LAUNCH_WORDS_MAX) s->full = true;
    else s->words[s->count++] = word;
}

__attribute__((format(printf, 2, 3))) static void add_made(struct starting *s, const char *format, ...) {
    char *word = s->scratch + s->used;
    va_list args;
    va_start(args, format);
    size_t bytes = fmt_vprint(word, sizeof s->scratch - s->used, format, args) + 1;
    va_end(args);
    if (bytes > sizeof s->scratch - s->used) s->full = true;
    else {
        s->used += bytes;
        add(s, word);
    }
}

static void add_passed(struct starting *s, char kind) {
    const struct launch *l = s->launch;
    for (const char *at = l->words, *end = l->words + l->words_size; at < end; at += strlen(at) + 1) {
        if (*at != kind) continue;
        if (kind == 'e') add(s, "--env");
        add(s, at + 1);
    }
}

static void add_directories(struct starting *s) {
    const struct app_record *r = &s->launch->version->record;
    for (uint32_t i = 0; i < r->manifest.directory_count; i++) {
        if (r->grants.directories[i][0] == 0) continue;
        add(s, "--dir");
        add_made(s, "/d%u::%s%s", i, r->manifest.directories[i].guest, r->grants.writes[i] ? "" : ",ro");
    }
}

static void add_time(struct starting *s, const char *flag, uint64_t nanos) {
    if (nanos == 0) return;
    add(s, flag);
    add_made(s, "%lu.%09lu", (unsigned long)(nanos / 1000000000), (unsigned long)(nanos % 1000000000));
}

static int64_t make_words(struct starting *s) {
    const struct app_record *r = &s->launch->version->record;
    const struct launch *l = s->launch;
    if (l->words_size > 0 && l->words[l->words_size - 1] != 0) return fail(s, "its arguments", -EINVAL);
    add(s, "wasmhost");
    add(s, "--mode");
    add(s, app_mode_name(r->manifest.mode));
    add(s, "--argv0");
    add(s, r->manifest.name);
    add(s, "--memory");
    add_made(s, "%lu", (unsigned long)app_memory(r));
    add_time(s, "--timeout", app_time(r));
    add_time(s, "--cpu-time", r->manifest.cpu_time);
    if (r->manifest.files != 0) {
        add(s, "--files");
        add_made(s, "%lu", (unsigned long)r->manifest.files);
    }
    add_directories(s);
    if (app_gets_environment(r)) add_passed(s, 'e');
    add(s, PROGRAM_PATH);
    add(s, "--");
    add_passed(s, 'a');
    s->words[s->count] = NULL;
    return s->full ? fail(s, "its arguments", -E2BIG) : 0;
}

// ---- what it gets -----------------------------------------------------------------------------------------------------------------

static int64_t attach(kpio_handle root, uint32_t number, const char *path, bool writes) {
    char name[8];
    const uint32_t rights = KPIO_RIGHT_READ | (writes ? KPIO_RIGHT_WRITE : 0);
    int64_t directory = file_open(files, path, KPIO_OPEN_DIRECTORY | KPIO_OPEN_ROOT, rights);
    if (directory < 0) return directory;
    (void)fmt_print(name, sizeof name, "/d%u", number);
    int64_t result = directory_make(root, name);
    if (result == 0) result = kpio_mount_attach(root, name, (kpio_handle)directory, 0, 0);
    (void)kpio_handle_close((uint64_t)directory);
    return result;
}

static int64_t attach_all(struct starting *s, kpio_handle root, bool *writes) {
    const struct app_record *r = &s->launch->version->record;
    for (uint32_t i = 0; i < r->manifest.directory_count; i++) {
        if (r->grants.directories[i][0] == 0) continue;
        int64_t result = attach(root, i, r->grants.directories[i], r->grants.writes[i]);
        if (result < 0) return fail(s, r->grants.directories[i], result);
        *writes = *writes || r->grants.writes[i];
    }
    return 0;
}

// A root with the directories that it was granted, or the empty one. Nothing there may be executed: appd's own file system has no
// such right, and the directories come without it.
static int64_t make_root(struct starting *s) {
    const struct app_record *r = &s->launch->version->record;
    uint32_t rights = KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    bool any = false, writes = false;
    for (uint32_t i = 0; i < r->manifest.directory_count; i++) any = any || r->grants.directories[i][0] != 0;
    int64_t made = any ? linux_root_make() : kpio_handle_dup(engine_empty_root(), KPIO_RIGHTS_SAME);
    if (made < 0) return fail(s, "its root", made);
    s->root = (kpio_handle)made;
    if (!any) return 0;
    int64_t result = attach_all(s, s->root, &writes);
    if (result < 0) return result;
    if (writes) rights |= KPIO_RIGHT_WRITE;
    int64_t narrow = kpio_handle_dup(s->root, rights);
    if (narrow < 0) return fail(s, "its root", narrow);
    close_if(s->root);
    s->root = (kpio_handle)narrow;
    return 0;
}

static int64_t make_job(struct starting *s) {
    const struct app_record *r = &s->launch->version->record;
    const uint64_t overhead = app_is_compiled(r) ? OVERHEAD_PAGES : COMPILER_PAGES;
    const struct kpio_job_limits limits = {app_memory(r) / 4096 + overhead, 2 * APP_FILES_MAX, 64, UINT64_MAX, 1};
    int64_t job = kpio_job_create(startup_handle("job"), &limits, r->manifest.name, strlen(r->manifest.name));
    if (job < 0) return fail(s, "its job", job);
    s->job = (kpio_handle)job;
    return 0;
}

// What it runs: the sealed artifact, or the module that a compiler in its own process takes.
static int64_t open_program(struct starting *s) {
    const struct app_version *v = s->launch->version;
    bool compiled = app_is_compiled(&v->record);
    int64_t file = compiled ? cache_artifact_file(v->artifact) : cache_module_file(v->artifact);
    if (file < 0) return fail(s, compiled ? "its artifact" : "its module", file);
    s->program = (kpio_handle)file;
    return 0;
}

static int64_t spawn(struct starting *s) {
    const struct launch *l = s->launch;
    const struct app_record *r = &l->version->record;
    const struct lx_launch_fd fds[] = {{.number = 0, .handle = l->input, .kind = LX_KIND_PIPE, .flags = LX_FD_READ},
                                       {.number = 1, .handle = l->output, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE},
                                       {.number = 2, .handle = l->error, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE},
                                       {.number = PROGRAM_FD, .handle = s->program, .kind = LX_KIND_FILE, .flags = LX_FD_READ}};
    int64_t host = engine_program(app_is_compiled(r) ? ENGINE_HOST : ENGINE_FULL_HOST), memory = 0;
    if (host == -ENOENT) return fail(s, "this system has no host for apps of its mode", host);
    if (host < 0) return fail(s, "its host", host);
    if (app_gets_jit(r)) memory = kpio_fs_mount("tmpfs", KPIO_HANDLE_NONE, 0, NULL);  // some code goes through nameless files
    if (memory < 0) return fail(s, "a file system in memory", memory);
    const struct linux_spec spec = {.path = "/wasmhost",
                                    .program = (kpio_handle)host,
                                    .arguments = s->words,
                                    .job = s->job,
                                    .archive = engine_archive(),
                                    .root = s->root,
                                    .memory_fs = (kpio_handle)memory,
                                    .fds = fds,
                                    .fd_count = ARRAY_SIZE(fds),
                                    .options = app_gets_jit(r)};
    const char *what = "";
    int64_t process = linux_spawn(&spec, &what);
    close_if((kpio_handle)memory);
    return process < 0 ? fail(s, what, process) : process;
}

int64_t launch_app(const struct launch *launch, char text[LAUNCH_TEXT_MAX]) {
    struct starting *s = heap_alloc(sizeof *s);
    text[0] = 0;
    if (s == NULL) return -ENOMEM;
    s->launch = launch;
    s->text = text;
    int64_t result = make_words(s);
    if (result == 0) result = open_program(s);
    if (result == 0) result = make_root(s);
    if (result == 0) result = make_job(s);
    if (result == 0) result = spawn(s);
    close_if(s->program);
    close_if(s->root);
    close_if(s->job);
    heap_free(s);
    return result;
}
