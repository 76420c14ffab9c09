// From the boot archive's /etc/init/* to the table of services.
#include "lib/cpio.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "user/init/run.h"
#include "user/init/supervisor.h"

#define FOLDER "etc/init/"

static void report(void *context, const char *name, const struct manifest_error *error) {
    print("init: /etc/init/%s:%u:%u: %s\n", name, error->line, error->column, error->reason);
}

// A program that cannot be loaded is found out now, not when it is needed.
static bool program_is_good(struct supervised *s) {
    const struct service_manifest *m = &s->manifest;
    struct program program;
    bool fits = text_copy(s->program, sizeof(s->program), m->program);
    int error = fits ? archive_program(supervisor.archive, s->program, &program) : -E2BIG;
    if (error == 0) return program_can_load(&program, s->program);
    print("init: /etc/init/%s: program %.*s: %s\n", m->name, TEXT_ARG(m->program),
          error == -ENOENT ? "not in the boot archive" : fits ? "the boot archive is damaged" : "its path is too long");
    return false;
}

bool supervisor_may_mount(const struct supervised *s, const char *tag) {
    for (uint32_t i = 0; i < s->manifest.grant_count; i++)
        if (s->manifest.grants[i].kind == GRANT_MOUNT) return text_starts_with(text_of(tag), s->manifest.grants[i].prefix);
    return false;
}

size_t supervisor_mounts_of(const struct supervised *s) {
    size_t count = 0;
    for (size_t i = 0; i < supervisor.options->mount_count; i++) count += supervisor_may_mount(s, supervisor.options->mounts[i].tag);
    return count;
}

// NAME2, NAME3 and so on: one for each mount.
static void load_more(const struct supervised *first) {
    const size_t mounts = supervisor_mounts_of(first);
    for (size_t number = 2; number <= mounts && supervisor.count < SERVICES_MAX; number++) {
        struct supervised *s = &supervisor.services[supervisor.count++];
        *s = *first;
        (void)fmt_print(s->manifest.name, sizeof(s->manifest.name), "%s%zu", first->manifest.name, number);
    }
}

static void load_one(const struct cpio_entry *entry) {
    const char *name = entry->name + strlen(FOLDER);
    struct supervised *s = &supervisor.services[supervisor.count];

    if (strlen(name) > SERVICE_NAME_MAX || strchr(name, '/') != NULL) {
        print("init: /%s: the name of a service is at most %u characters\n", entry->name, SERVICE_NAME_MAX);
        return;
    }
    if (supervisor.count == SERVICES_MAX) {
        print("init: /%s: more than %u services\n", entry->name, SERVICES_MAX);
        return;
    }
    memset(s, 0, sizeof(*s));
    struct text content = {(const char *)entry->data, entry->size};
    if (service_manifest_parse(&s->manifest, name, content, report, NULL) > 0 || !program_is_good(s))
        s->state = SERVICE_REFUSED;
    s->backoff = (struct backoff){.first = s->manifest.backoff_first, .longest = s->manifest.backoff_longest};
    supervisor.count++;
    if (s->state != SERVICE_REFUSED && service_is_granted(&s->manifest, GRANT_MOUNT)) load_more(s);
}

static void plan(void) {
    static struct service_manifest manifests[SERVICES_MAX];
    bool refused[SERVICES_MAX];
    const char *wrong[SERVICES_MAX];
    for (size_t i = 0; i < supervisor.count; i++) {
        manifests[i] = supervisor.services[i].manifest;
        refused[i] = supervisor.services[i].state == SERVICE_REFUSED;
    }
    supervisor.ordered = plan_order(manifests, supervisor.count, refused, supervisor.order, wrong);
    for (size_t i = 0; i < supervisor.count; i++) {
        struct supervised *s = &supervisor.services[i];
        s->wrong = wrong[i];
        if (wrong[i] == NULL) continue;
        if (s->state != SERVICE_REFUSED) print("init: /etc/init/%s: %s\n", s->manifest.name, wrong[i]);
        s->state = SERVICE_REFUSED;
    }
}

void supervisor_load(const struct archive *archive, const struct options *options) {
    supervisor.archive = archive;
    supervisor.options = options;
    size_t position = 0;
    struct cpio_entry entry;
    const char *what = "";
    int result;
    while ((result = cpio_next(supervisor.archive->data, supervisor.archive->size, &position, &entry, &what)) > 0)
        if (cpio_is_file(&entry) && strncmp(entry.name, FOLDER, strlen(FOLDER)) == 0 && entry.name[strlen(FOLDER)] != 0)
            load_one(&entry);
    if (result < 0) print("init: initrd: at offset %zu: %s; what comes after it is missing\n", position, what);
    plan();
}
