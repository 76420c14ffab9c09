#include "user/liblinux/exec.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/at.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/memory.h"
#include "user/liblinux/program.h"

#define PATH_BYTES 4096u
#define LINE_BYTES 256u

// ---- the block ------------------------------------------------------------------------------------------------------------

// Room at the end of what is used: NULL when the block is full.
static char *room(struct lx_exec *e, uint64_t bytes) {
    if (bytes > LX_LAUNCH_MAX - e->used) return NULL;
    char *at = (char *)e->launch + e->used;
    e->used += bytes;
    return at;
}

static int64_t add_text(struct lx_exec *e, const char *text) {
    uint64_t bytes = strlen(text) + 1;
    char *at = room(e, bytes);
    if (at == NULL) return -E2BIG;
    memcpy(at, text, bytes);
    return 0;
}

// A vector of the program's, from its entry `from` on.
static int64_t add_vector(struct lx_exec *e, uint64_t vector, uint64_t from, uint32_t *count) {
    for (uint64_t i = from; vector != 0; i++) {
        uint64_t address, left = LX_LAUNCH_MAX - e->used;
        int64_t bytes = lx_copy_in(&address, vector + i * 8, 8);
        if (bytes < 0) return bytes;
        if (address == 0) break;
        bytes = lx_copy_string((char *)e->launch + e->used, address, left);
        if (bytes < 0) return bytes;
        if ((uint64_t)bytes >= left) return -E2BIG;
        e->used += (uint64_t)bytes + 1;
        ++*count;
    }
    return 0;
}

// ---- what is to run -------------------------------------------------------------------------------------------------------

struct script {
    char text[LX_SCRIPTS_MAX][2][LINE_BYTES];  // interpreter and its argument; the innermost first
    unsigned depth;
};

// A path through a local mount (/proc/self/exe) becomes the one that it leads to.
static int64_t open_program(struct lx_thread *t, struct lx_exec *e, kpio_handle directory, char path[PATH_BYTES]) {
    struct lx_at at = {.handle = directory, .path = path};
    int64_t file;
    do file = kpio_path_open(at.handle, at.path, 0, 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    while (lx_at_again(t, &at, file));
    if (file == -EISDIR || file == -EREMOTE) return -EACCES;
    if (file < 0) return file;
    if (at.path != path) memcpy(path, at.path, strlen(at.path) + 1);
    e->program = (kpio_handle)(uint32_t)file;
    return (file >> 32 & 0170000) == 0100000 && file >> 32 & 0111 ? 0 : -EACCES;
}

// The line behind "#!": an interpreter, and all that follows as one argument.
static int64_t parse_line(char *line, char out[2][LINE_BYTES]) {
    char *end = line, *at = line;
    while (*end != 0 && *end != '\n') end++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t')) end--;
    *end = 0;
    for (unsigned i = 0; i < 2; i++) {
        while (*at == ' ' || *at == '\t') at++;
        size_t bytes = i == 0 ? 0 : strlen(at);
        while (i == 0 && at[bytes] != 0 && at[bytes] != ' ' && at[bytes] != '\t') bytes++;
        memcpy(out[i], at, bytes);
        out[i][bytes] = 0;
        at += bytes;
    }
    return out[0][0] == 0 ? -ENOEXEC : 0;
}

// Follows "#!" lines to a program that is an ELF file.
static int64_t resolve(struct lx_thread *t, struct lx_exec *e, kpio_handle directory, char path[PATH_BYTES], struct script *script) {
    char line[LINE_BYTES + 1], interpreter[LINE_BYTES];
    for (script->depth = 0;; script->depth++) {
        int64_t result = open_program(t, e, directory, path);
        if (result < 0) return result;
        int64_t got = kpio_file_read(e->program, (uint8_t *)line, LINE_BYTES, 0);
        if (got < 0) return got;
        line[got] = 0;
        if (got < 2 || line[0] != '#' || line[1] != '!') break;
        if (script->depth == LX_SCRIPTS_MAX) return -ELOOP;
        result = parse_line(line + 2, script->text[script->depth]);
        if (result < 0) return result;
        (void)kpio_handle_close((uint32_t)e->program);
        e->program = KPIO_HANDLE_NONE;
        memcpy(path, script->text[script->depth][0], LINE_BYTES);
        directory = lx_process(t)->root;
    }
    int64_t result = lx_program_check(e->program, interpreter, sizeof interpreter);
    if (result < 0 || interpreter[0] == 0) return result;
    int64_t loader = kpio_path_open(lx_process(t)->root, interpreter, 0, 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    if (loader < 0) return loader;
    (void)kpio_handle_close((uint32_t)loader);
    return 0;
}

// Arguments: those of the interpreters, outermost first, the script's path, then the caller's without its first.
static int64_t add_arguments(struct lx_exec *e, const struct script *script, const char *path, uint64_t arguments) {
    struct lx_launch *l = e->launch;
    int64_t result = 0;
    for (unsigned i = script->depth; i-- > 0 && result == 0;) {
        result = add_text(e, script->text[i][0]);
        l->argc++;
        if (result < 0 || script->text[i][1][0] == 0) continue;
        result = add_text(e, script->text[i][1]);
        l->argc++;
    }
    if (script->depth > 0 && result == 0) {
        result = add_text(e, path);
        l->argc++;
    }
    if (result == 0) result = add_vector(e, arguments, script->depth > 0, &l->argc);
    if (result == 0 && l->argc == 0) {  // Linux gives a program its name at least
        result = add_text(e, "");
        l->argc = 1;
    }
    return result;
}

// ---- descriptors ----------------------------------------------------------------------------------------------------------

// What stays open, and, as kind NONE, the handles that the new program has to close.
static int64_t add_descriptors(struct lx_process *p, struct lx_exec *e) {
    int64_t result = 0;
    e->launch->fds_at = (uint32_t)e->used;
    lx_lock(&p->files_lock);
    for (uint32_t i = 0; i < p->files->capacity && result == 0; i++) {
        const struct lx_fd *fd = &p->files->entries[i];
        if (fd->kind == LX_KIND_NONE) continue;
        struct lx_launch_fd *out = (struct lx_launch_fd *)room(e, sizeof *out);
        if (out == NULL) result = -E2BIG;
        else lx_fd_describe(fd, (int32_t)i, out);
        if (out != NULL && fd->flags & LX_FD_CLOEXEC) out->kind = LX_KIND_NONE;
        if (out != NULL) e->launch->fd_count++;
    }
    lx_unlock(&p->files_lock);
    e->used = align_up(e->used, 8);
    return result;
}

// The path of what runs, made absolute.
static int64_t add_executable(struct lx_exec *e, kpio_handle directory, const char *path) {
    char *at = (char *)e->launch + e->used;
    e->launch->executable_at = (uint32_t)e->used;
    if (*path == '/') return add_text(e, path);
    if (LX_LAUNCH_MAX - e->used < PATH_BYTES) return -E2BIG;
    int64_t bytes = kpio_directory_path(directory, at, PATH_BYTES);
    if (bytes < 0) return bytes;
    if (at[bytes - 1] != '/') at[bytes++] = '/';
    e->used += (uint64_t)bytes;
    return add_text(e, path);
}

static int64_t add_own(struct lx_exec *e, kpio_handle handle) {
    if (handle <= 0) return 0;
    struct lx_launch_fd *out = (struct lx_launch_fd *)room(e, sizeof *out);
    if (out == NULL) return -E2BIG;
    *out = (struct lx_launch_fd){.handle = handle, .kind = LX_KIND_NONE};
    e->launch->fd_count++;
    return 0;
}

// ---- all of it ------------------------------------------------------------------------------------------------------------

static void set_name(struct lx_launch *l, const char *path) {
    const char *name = path;
    for (const char *slash; (slash = strchr(name, '/')) != NULL;) name = slash + 1;
    memcpy(l->name, name, strnlen(name, sizeof l->name - 1));
}

int64_t lx_exec_prepare(struct lx_thread *t, struct lx_exec *e, kpio_handle directory, uint64_t path, uint64_t arguments,
                        uint64_t environment) {
    struct lx_process *p = lx_process(t);
    struct script script;
    char text[PATH_BYTES];
    *e = (struct lx_exec){.used = sizeof(struct lx_launch)};
    int64_t result = lx_copy_string(text, path, sizeof text);
    if (result < 0) return result;
    if (result == 0) return -ENOENT;
    if ((uint64_t)result >= sizeof text) return -ENAMETOOLONG;
    int64_t scratch = lx_map_own(p->space, LX_LAUNCH_MAX);
    if (scratch < 0) return -ENOMEM;
    e->launch = (struct lx_launch *)scratch;
    result = resolve(t, e, directory, text, &script);
    if (result == 0) result = add_descriptors(p, e);
    if (result == 0) result = add_own(e, p->program);
    if (result == 0) result = add_own(e, p->space->aspace);
    if (result == 0) result = add_own(e, p->children_port);
    if (result == 0) result = add_executable(e, directory, script.depth > 0 ? script.text[script.depth - 1][0] : text);
    set_name(e->launch, text);
    e->launch->text_at = (uint32_t)e->used;
    if (result == 0) result = add_arguments(e, &script, text, arguments);
    if (result == 0) result = add_vector(e, environment, 0, &e->launch->envc);
    e->launch->bytes = e->used;
    return result;
}

void lx_exec_end(struct lx_thread *t, struct lx_exec *e) {
    if (e->launch != NULL) (void)kpio_aspace_unmap(lx_space(t)->aspace, (uint64_t)e->launch, LX_LAUNCH_MAX);
    if (e->program > 0) (void)kpio_handle_close((uint32_t)e->program);
}
