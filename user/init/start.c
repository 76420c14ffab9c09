// Starting and ending one service's process.
#include "lib/fmt.h"
#include "lib/string.h"
#include "user/init/root.h"
#include "user/init/supervisor.h"

#define GRANTS_MAX (2 * SERVICE_GRANTS_MAX + 3)  // a memory-mapped device is two handles
#define HAND_OVER_NS 10000000000ull

// What the process is given, collected before it is spawned.
struct grants {
    struct process_grant list[GRANTS_MAX];
    uint32_t count;
    kpio_handle opened[GRANTS_MAX];  // made for this start; closed if it fails
    uint32_t opened_count;
    const char *what;
};

static void add(struct grants *g, const char *name, kpio_handle handle, uint32_t rights, uint32_t mode) {
    g->list[g->count++] = (struct process_grant){name, handle, rights, mode};
    if (mode == KPIO_SEND_MOVE) g->opened[g->opened_count++] = handle;
}

static int64_t open_pci(const struct grant *grant) {
    uint64_t functions[64];
    int64_t count = kpio_pci_list(startup_handle("system"), functions, 64), result = -ENODEV;
    if (count < 0) return count;
    for (uint32_t wanted = 0; wanted < grant->function_count; wanted++) {
        for (int64_t i = 0; i < count && i < 64; i++) {
            if ((uint32_t)(functions[i] >> 16) != grant->functions[wanted]) continue;
            result = kpio_pci_open(startup_handle("system"), functions[i] & 0xffff);
            if (result != -EBUSY) return result;  // another driver has it: perhaps there is a second one
        }
    }
    return result;
}

// Machines without PCI: a virtio device, which PCI numbers 1af4:1040 + type, may be memory-mapped instead. It gets "mmio",
// the page with its registers, and "irq".
static int64_t add_virtio_mmio(struct grants *g, const struct grant *grant) {
    struct {
        uint64_t base, size, gsi, type;
    } devices[32];
    int64_t bytes = kpio_system_boot_info(startup_handle("system"), 2, devices, sizeof(devices)), result = -ENODEV;
    uint32_t type = (grant->functions[0] >> 16) - 0x1040;
    if ((grant->functions[0] & 0xffff) != 0x1af4) return -ENODEV;
    for (int64_t i = 0; i < bytes / (int64_t)sizeof(devices[0]) && i < 32; i++) {
        if (devices[i].type != type) continue;
        result = kpio_mmio_create(startup_handle("system"), devices[i].base & ~4095ull, 4096);
        if (result == -EBUSY) continue;
        if (result < 0) return result;
        add(g, "mmio", (kpio_handle)result, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
        result = kpio_irq_create(startup_handle("system"), (uint32_t)devices[i].gsi, KPIO_IRQ_LEVEL);
        if (result > 0) add(g, "irq", (kpio_handle)result, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
        return result;
    }
    return result;
}

// A file system in memory for this start alone: init has the right to make one that may be executed from.
static int64_t add_memory(struct grants *g, const struct grant *grant) {
    g->what = "a file system in memory";
    int64_t made = kpio_fs_mount("tmpfs", KPIO_HANDLE_NONE, 0, NULL);
    if (made > 0) add(g, "memory", (kpio_handle)made, grant->rights, KPIO_SEND_MOVE);
    return made;
}

static int64_t add_grant(struct grants *g, const struct grant *grant, const struct supervised *s) {
    int64_t handle;
    switch (grant->kind) {
    case GRANT_CONSOLE: add(g, "console", startup_handle("system"), KPIO_RIGHT_LOG, KPIO_SEND_COPY); return 0;
    case GRANT_ARCHIVE: add(g, "initrd", startup_handle("initrd"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY); return 0;
    case GRANT_JOB: add(g, "job", startup_handle("job"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY); return 0;
    case GRANT_SYSTEM: add(g, "system", startup_handle("system"), grant->rights, KPIO_SEND_COPY); return 0;
    case GRANT_FRAMEBUFFER:
        g->what = "the boot framebuffer";
        if (startup_handle("framebuffer") == KPIO_HANDLE_NONE) return -ENODEV;
        add(g, "framebuffer", startup_handle("framebuffer"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
        return 0;
    case GRANT_ROOT:
        g->what = "the root directory";
        if (root_directory() == KPIO_HANDLE_NONE) return -ENODEV;
        add(g, "root", root_directory(), grant->rights, KPIO_SEND_COPY);
        return 0;
    case GRANT_MEMORY: return add_memory(g, grant);
    case GRANT_CONTROL:
    case GRANT_MOUNT: return 0;  // words in the manifest that names.c asks for
    case GRANT_PCI:
        g->what = "its PCI function";
        handle = open_pci(grant);
        if (handle == -ENODEV) return add_virtio_mmio(g, grant);
        if (handle > 0) add(g, "pci", (kpio_handle)handle, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
        return handle;
    }
    return -EINVAL;
}

// Its own endpoint: fresh for each start, so that calls to a dead process end. init keeps no right to receive, or the
// kernel could not tell that nobody is there.
static int64_t make_endpoint(struct supervised *s, struct grants *g) {
    const uint32_t client = KPIO_RIGHT_CALL | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_WAIT |
                            KPIO_RIGHT_INSPECT | KPIO_RIGHT_BADGE;
    if (s->endpoint > 0) (void)kpio_handle_close((uint64_t)s->endpoint);
    s->endpoint = KPIO_HANDLE_NONE;
    int64_t whole = kpio_endpoint_create();
    if (whole < 0) return whole;
    int64_t calling = kpio_handle_dup((kpio_handle)whole, client);
    if (calling < 0) {
        (void)kpio_handle_close((uint64_t)whole);
        return calling;
    }
    s->endpoint = (kpio_handle)calling;
    add(g, "service", (kpio_handle)whole, KPIO_RIGHT_RECEIVE | KPIO_RIGHT_WAIT | KPIO_RIGHT_INSPECT, KPIO_SEND_MOVE);
    return 0;
}

static int64_t make_job(struct supervised *s) {
    if (s->job > 0) return 0;
    int64_t job = kpio_job_create(startup_handle("job"), &s->manifest.limits, s->manifest.name, strlen(s->manifest.name));
    if (job > 0) s->job = (kpio_handle)job;
    return job;
}

static int64_t collect(struct supervised *s, struct grants *g) {
    g->what = "its job";
    int64_t result = make_job(s);
    g->what = "its endpoint";
    if (result >= 0 && s->manifest.serves) result = make_endpoint(s, g);
    if (result < 0) return result;
    // What it says to init carries its number as the badge.
    int64_t init = kpio_handle_dup_badged(supervisor.endpoint, KPIO_RIGHT_CALL | KPIO_RIGHT_TRANSFER,
                                          supervisor_index(s) + 1);
    if (init < 0) return init;
    add(g, "init", (kpio_handle)init, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    if (s->saved > 0) add(g, "state", s->saved, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    for (uint32_t i = 0; i < s->manifest.grant_count && result >= 0; i++)
        result = add_grant(g, &s->manifest.grants[i], s);
    return result;
}

// Texts of a manifest have no terminators; the spawner wants them.
struct texts {
    char buffer[1024];
    size_t used;
    const char *arguments[SERVICE_ARGUMENTS_MAX + 2];
    const char *settings[2 * (SERVICE_SETTINGS_MAX + OPTION_SETTINGS_MAX + 1) + 1];
};

static const char *terminate(struct texts *t, struct text piece) {
    char *at = t->buffer + t->used;
    (void)text_copy(at, sizeof(t->buffer) - t->used, piece);
    t->used += strlen(at) + 1;
    if (t->used >= sizeof(t->buffer)) t->used = sizeof(t->buffer) - 1;
    return at;
}

static void collect_texts(const struct supervised *s, struct texts *t) {
    const struct service_manifest *m = &s->manifest;
    size_t n = 0;
    t->used = 0;
    t->arguments[0] = m->name;
    for (uint32_t i = 0; i < m->argument_count; i++) t->arguments[i + 1] = terminate(t, m->arguments[i]);
    t->arguments[m->argument_count + 1] = NULL;
    for (uint32_t i = 0; i < m->setting_count; i++) {
        t->settings[n++] = terminate(t, m->setting_keys[i]);
        t->settings[n++] = terminate(t, m->setting_values[i]);
    }
    for (size_t i = 0; i < supervisor.options->setting_count; i++) {
        t->settings[n++] = supervisor.options->settings[2 * i];
        t->settings[n++] = supervisor.options->settings[2 * i + 1];
    }
    char version[16];
    (void)fmt_print(version, sizeof(version), "%u", s->version);
    t->settings[n++] = "version";
    t->settings[n++] = terminate(t, text_of(version));
    t->settings[n] = NULL;
}

static int64_t spawn(struct supervised *s, struct grants *g) {
    static struct texts texts;
    struct program program;
    g->what = s->program;
    int64_t result = archive_program(supervisor.archive, s->program, &program);
    if (result < 0) return result;
    collect_texts(s, &texts);
    const struct process_spec spec = {.name = s->manifest.name, .job = s->job, .program = &program, .grants = g->list,
                                      .grant_count = g->count, .arguments = texts.arguments, .settings = texts.settings};
    return process_spawn(&spec, &g->what);
}

int64_t service_start(struct supervised *s) {
    struct grants g = {.what = ""};
    struct kpio_process_info info = {0};
    int64_t result = collect(s, &g);
    if (result >= 0) result = spawn(s, &g);
    if (result < 0) {
        if (result != -ENODEV) print("init: %s: cannot start: %s: %s\n", s->manifest.name, g.what, error_name(result));
        for (uint32_t i = 0; i < g.opened_count; i++) (void)kpio_handle_close((uint64_t)g.opened[i]);
        return result;
    }
    s->process = (kpio_handle)result;
    s->started = time_now();
    s->state = s->manifest.serves ? SERVICE_STARTING : SERVICE_RUNNING;
    s->replacing = s->hung = s->stop_wanted = false;
    if (kpio_process_info(s->process, &info) == 0) s->pid = info.id;
    result = kpio_port_bind(supervisor.port, s->process, KPIO_SIGNAL_TERMINATED, supervisor_index(s), 0);
    if (result < 0) print("init: %s: cannot watch it: %s\n", s->manifest.name, error_name(result));
    return 0;
}

void service_kill(struct supervised *s) {
    if (s->process > 0) (void)kpio_process_kill(s->process, (uint64_t)(int64_t)-ECANCELED);
}

int64_t service_hand_over(struct supervised *s) {
    int64_t header = kpio_ipc_call(s->endpoint, KPIO_MESSAGE(SERVICE_RETIRE, 0, 0), time_now() + HAND_OVER_NS);
    if (header < 0) return header;
    if (KPIO_MESSAGE_HANDLES(header) > 0) {
        if (s->saved > 0) (void)kpio_handle_close((uint64_t)s->saved);
        s->saved = message_handle_taken(0, KPIO_KIND_VMO);
    }
    return 0;
}
