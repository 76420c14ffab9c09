#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/heap.h"
#include "user/libkpio/linux.h"

struct spawning {
    const struct linux_spec *spec;
    struct lx_image image;
    struct lx_launch *launch;
    kpio_handle process, aspace, thread, program;
    const char *what;
};

// What liblinux itself serves, where the root lets it be attached; it may be there already. Without it, the program finds in these
// places what the file system has.
static int64_t attach_local(kpio_handle root, const char *path, uint64_t key) {
    (void)kpio_path_make(root, path, 0040755, 0, 0);
    int64_t result = kpio_mount_attach(root, path, 0, KPIO_MOUNT_LOCAL, key);
    return result == -ENOMEM || result == -ENFILE ? result : 0;
}

// What programs share by name (shm_open) is a folder of the file system in memory. liblinux shows it as /dev/shm.
static int64_t attach_shared(const struct linux_spec *spec) {
    const uint32_t rights = spec->options & 1 ? KPIO_RIGHTS_SAME : KPIO_RIGHT_READ | KPIO_RIGHT_WRITE;
    if (spec->memory_fs == KPIO_HANDLE_NONE) return 0;
    (void)kpio_path_make(spec->memory_fs, LX_SHARED_FOLDER, 0041777, 0, 0);
    int64_t opened = kpio_path_open(spec->memory_fs, LX_SHARED_FOLDER, KPIO_OPEN_DIRECTORY, 0, rights);
    if (opened < 0) return opened;
    (void)kpio_path_make(spec->root, "/run", 0040755, 0, 0);
    (void)kpio_path_make(spec->root, LX_SHARED_POINT, 0041777, 0, 0);
    int64_t result = kpio_mount_attach(spec->root, LX_SHARED_POINT, (kpio_handle)(uint32_t)opened, 0, 0);
    (void)kpio_handle_close((uint32_t)opened);
    return result == -ENOMEM || result == -ENFILE ? result : 0;
}

static int64_t open_files(struct spawning *s) {
    struct program library;
    s->what = "/lib/liblinux.so of the boot archive";
    int64_t result = archive_program(s->spec->archive, "/lib/liblinux.so", &library);
    if (result < 0) return result;
    s->image = (struct lx_image){.vmo = library.vmo, .offset = library.vmo_offset, .size = library.size, .file = library.file};
    result = lx_image_open(&s->image, &s->what);
    if (result < 0) return result;
    s->what = "the program";
    if (s->spec->program > 0) {
        result = kpio_handle_dup(s->spec->program, KPIO_RIGHTS_SAME);
        if (result > 0) s->program = (kpio_handle)result;
        return result;
    }
    result = kpio_path_open(s->spec->root, s->spec->path, 0, 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    if (result < 0) return result;
    s->program = (kpio_handle)(uint32_t)result;
    return (result >> 32 & 0170000) == 0100000 ? 0 : -EACCES;
}

static uint64_t text_bytes(const char *const *texts, uint32_t *count) {
    uint64_t bytes = 0;
    *count = 0;
    for (; texts != NULL && texts[*count] != NULL; (*count)++) bytes += strlen(texts[*count]) + 1;
    return bytes;
}

static char *append(char *to, const char *text) {
    size_t bytes = strlen(text) + 1;
    memcpy(to, text, bytes);
    return to + bytes;
}

// The job's quotas are limits that the program can ask for. A job that cannot be looked at tells none.
static void set_quotas(struct lx_launch *l, kpio_handle job) {
    struct kpio_job_info info;
    if (kpio_job_info(job, &info) != 0) return;
    l->limits[LX_LIMIT_RESIDENT][1] = info.limit.pages > UINT64_MAX / 4096 ? UINT64_MAX : info.limit.pages * 4096;
    l->limits[LX_LIMIT_PROCESSES][1] = MIN(info.limit.processes, info.limit.threads);
    l->limits[LX_LIMIT_DESCRIPTORS][1] = info.limit.handles;
}

static int64_t make_block(struct spawning *s) {
    const struct linux_spec *spec = s->spec;
    uint32_t argc, envc;
    uint64_t fds = spec->fd_count * sizeof(struct lx_launch_fd), path = strlen(spec->path) + 1;
    uint64_t texts = text_bytes(spec->arguments, &argc) + text_bytes(spec->environment, &envc);
    uint64_t bytes = sizeof(struct lx_launch) + fds + path + texts;
    s->what = "its arguments";
    if (bytes > LX_LAUNCH_MAX) return -E2BIG;
    struct lx_launch *l = s->launch = heap_alloc(bytes);
    if (l == NULL) return -ENOMEM;
    l->bytes = bytes;
    l->argc = argc;
    l->envc = envc;
    l->fd_count = spec->fd_count;
    l->fds_at = sizeof *l;
    l->executable_at = l->given_at = (uint32_t)(l->fds_at + fds);
    l->text_at = (uint32_t)(l->executable_at + path);
    l->text_bytes = (uint32_t)texts;
    l->umask = 022;
    set_quotas(l, spec->job);
    char *at = append((char *)l + l->executable_at, spec->path);
    for (uint32_t i = 0; i < argc; i++) at = append(at, spec->arguments[i]);
    for (uint32_t i = 0; i < envc; i++) at = append(at, spec->environment[i]);
    const char *name = spec->path;
    for (const char *slash; (slash = strchr(name, '/')) != NULL;) name = slash + 1;
    memcpy(l->name, name, strnlen(name, sizeof l->name - 1));
    return 0;
}

static int64_t create(struct spawning *s) {
    s->what = "creating the process";
    int64_t result = kpio_process_create(s->spec->job, s->spec->options, s->launch->name, strlen(s->launch->name), &s->aspace);
    if (result < 0) return result;
    s->process = (kpio_handle)result;
    s->what = "creating its thread";
    result = kpio_thread_create(s->process, s->launch->name, strlen(s->launch->name));
    if (result > 0) s->thread = (kpio_handle)result;
    return result;
}

// Copies a handle into the process; none stays none.
static int64_t give(struct spawning *s, kpio_handle from, kpio_handle *to) {
    if (from == KPIO_HANDLE_NONE) return 0;
    int64_t result = kpio_handle_give(s->process, from, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    if (result > 0) *to = (kpio_handle)result;
    return result;
}

// Files in memory that a process writes are no way around the right to make code: executable only with that.
static int64_t give_memory_fs(struct spawning *s) {
    struct kpio_handle_info info;
    if (s->spec->memory_fs == KPIO_HANDLE_NONE) return 0;
    int64_t result = kpio_handle_info(s->spec->memory_fs, &info);
    if (result < 0) return result;
    uint32_t rights = s->spec->options & 1 ? info.rights : info.rights & ~(uint32_t)KPIO_RIGHT_EXECUTE;
    result = kpio_handle_give(s->process, s->spec->memory_fs, rights, KPIO_SEND_COPY);
    if (result > 0) s->launch->memory_fs = (kpio_handle)result;
    return result;
}

static int64_t give_image(struct spawning *s) {
    const uint32_t rights = KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE | KPIO_RIGHT_MAP | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    int64_t result = kpio_handle_give(s->process, s->image.vmo, rights, KPIO_SEND_COPY);
    if (result > 0) s->launch->image = (kpio_handle)result;
    return result;
}

// Its environment asks that its calls are told (user/liblinux/trace.h).
static bool is_traced(const struct linux_spec *spec) {
    static const char name[] = "KPIO_TRACE=";
    for (const char *const *text = spec->environment; text != NULL && *text != NULL; text++)
        if (strncmp(*text, name, sizeof name - 1) == 0) return true;
    return false;
}

// A descriptor's. The console's handle is one on the whole system: only to write and read there.
static int64_t give_fd(struct spawning *s, struct lx_launch_fd *fd) {
    const struct lx_launch_fd from = *fd;
    if (from.kind != LX_KIND_CONSOLE) {
        int64_t result = give(s, from.handle, &fd->handle);
        return result < 0 ? result : give(s, from.second, &fd->second);
    }
    const uint32_t rights = KPIO_RIGHT_LOG | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    int64_t result = kpio_handle_give(s->process, from.handle, rights, KPIO_SEND_COPY);
    if (result > 0) fd->handle = (kpio_handle)result;
    return result;
}

// With the right to look at it; if it is traced, to write to the console too. At most what the caller has.
static int64_t give_system(struct spawning *s) {
    struct kpio_handle_info info;
    if (s->spec->system == KPIO_HANDLE_NONE) return 0;
    int64_t result = kpio_handle_info(s->spec->system, &info);
    if (result < 0) return result;
    uint32_t rights = KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    if (is_traced(s->spec)) rights |= KPIO_RIGHT_LOG;
    result = kpio_handle_give(s->process, s->spec->system, rights & info.rights, KPIO_SEND_COPY);
    if (result > 0) s->launch->system = (kpio_handle)result;
    return result;
}

static int64_t give_handles(struct spawning *s) {
    const struct linux_spec *spec = s->spec;
    struct lx_launch *l = s->launch;
    const struct {
        kpio_handle from;
        kpio_handle *to;
    } all[] = {{s->process, &l->process}, {s->thread, &l->thread}, {s->aspace, &l->aspace}, {s->program, &l->program},
               {spec->root, &l->root}, {spec->cwd > 0 ? spec->cwd : spec->root, &l->cwd}, {spec->posixd, &l->posixd},
               {spec->fuse, &l->fuse}, {spec->disk, &l->disk}};
    s->what = "giving it handles";
    int64_t result = give_image(s);
    if (result >= 0) result = give_memory_fs(s);
    for (unsigned i = 0; i < ARRAY_SIZE(all) && result >= 0; i++) result = give(s, all[i].from, all[i].to);
    if (result >= 0) result = give_system(s);
    struct lx_launch_fd *fds = (struct lx_launch_fd *)((char *)l + l->fds_at);
    for (uint32_t i = 0; i < spec->fd_count && result >= 0; i++) {
        fds[i] = spec->fds[i];
        result = give_fd(s, &fds[i]);
    }
    return result;
}

static int64_t build(struct spawning *s) {
    struct lx_place place;
    int64_t result = open_files(s);
    s->what = result < 0 ? s->what : "/dev, /proc and /sys";
    if (result >= 0) result = attach_local(s->spec->root, "/dev", LX_LOCAL_DEV);
    if (result >= 0) result = attach_local(s->spec->root, "/proc", LX_LOCAL_PROC);
    if (result >= 0) result = attach_local(s->spec->root, "/sys", LX_LOCAL_SYS);
    if (result >= 0) result = attach_shared(s->spec);
    if (result >= 0) result = make_block(s);
    if (result >= 0) result = create(s);
    if (result >= 0) result = give_handles(s);
    if (result < 0) return result;
    s->what = "mapping liblinux";
    result = lx_launch_map(s->aspace, &s->image, s->launch, &place);
    if (result < 0) return result;
    s->what = "starting it";
    return kpio_process_start(s->process, s->thread, place.entry, place.stack, place.launch);
}

static void close_if(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

int64_t linux_spawn(const struct linux_spec *spec, const char **what) {
    struct spawning s = {.spec = spec};
    int64_t result = build(&s);
    heap_free(s.launch);
    close_if(s.program);
    close_if(s.thread);
    close_if(s.aspace);
    if (result >= 0) return s.process;
    if (s.process > 0) {
        (void)kpio_process_kill(s.process, 0);
        close_if(s.process);
    }
    *what = s.what;
    return result;
}
