// Who is traced, and where the lines go.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/local.h"
#include "user/liblinux/trace.h"

#define VARIABLE "KPIO_TRACE="

// ---- lines --------------------------------------------------------------------------------------------------------------------

static bool can_log(const struct lx_process *p) {
    struct kpio_handle_info info;
    return p->system > 0 && kpio_handle_info(p->system, &info) == 0 && info.rights & KPIO_RIGHT_LOG;
}

static void write_all(struct lx_thread *t, const struct lx_fd *fd, const char *text, size_t bytes) {
    while (bytes > 0) {
        int64_t done = lx_fd_ops(fd->kind)->write(t, fd, (uint64_t)text, bytes, KPIO_OFFSET_CURRENT);
        if (done <= 0) return;
        text += done;
        bytes -= (size_t)done;
    }
}

void lx_trace_tell(struct lx_thread *t, const char *text, size_t bytes) {
    struct lx_process *p = lx_process(t);
    struct lx_fd fd = p->trace_output;
    if (fd.kind == LX_KIND_NONE && can_log(p)) (void)kpio_console_write(p->system, (const uint8_t *)text, bytes);
    else if ((fd.kind != LX_KIND_NONE || lx_fd_get(p, 2, &fd) == 0) && lx_fd_ops(fd.kind)->write != NULL) write_all(t, &fd, text, bytes);
}

static int64_t open_file(struct lx_thread *t, const char *path, struct lx_fd *out) {
    char below[KPIO_PATH_MAX];
    const size_t bytes = strlen(path);
    if (*path != '/' || bytes >= sizeof below) return -EINVAL;
    memcpy(below, path, bytes + 1);
    const struct lx_local_mount *mount = lx_local_of(below);
    if (mount != NULL) return mount->open == NULL ? -ENOENT : mount->open(t, below, LX_O_WRONLY | LX_O_NOCTTY, out);
    const uint32_t mode = 0666 & ~lx_process(t)->umask;
    int64_t opened = kpio_path_open(lx_process(t)->root, path, KPIO_OPEN_CREATE | KPIO_OPEN_APPEND, mode, KPIO_RIGHT_WRITE);
    if (opened >= 0) *out = (struct lx_fd){.handle = (kpio_handle)(uint32_t)opened, .kind = LX_KIND_FILE};
    return opened < 0 ? opened : 0;
}

static void choose_output(struct lx_thread *t, const char *path) {
    struct lx_process *p = lx_process(t);
    struct lx_fd fd, *out = &p->trace_output;
    int64_t error = *path != 0                     ? open_file(t, path, out)
                    : lx_fd_get(p, 2, &fd) == 0 ? lx_fd_duplicate(&fd, out)
                                                  : -EBADF;
    if (error != 0) *out = (struct lx_fd){.kind = LX_KIND_NONE};
    else out->flags = LX_FD_WRITE;
}

// ---- who ----------------------------------------------------------------------------------------------------------------------

static const char *find_variable(const struct lx_space *space) {
    const char *at = (const char *)space->environment, *last = at + space->environment_size;
    const size_t bytes = strlen(VARIABLE);
    for (; at < last; at += strlen(at) + 1)
        if (memcmp(at, VARIABLE, MIN(bytes, (size_t)(last - at))) == 0) break;
    return at < last && (size_t)(last - at) > bytes ? at + bytes : NULL;
}

static uint32_t number_of(const char *text) {
    uint32_t number = 0;
    for (; *text >= '0' && *text <= '9' && number < UINT32_MAX / 10; text++) number = number * 10 + (uint32_t)(*text - '0');
    return number;
}

// Behind a word that the text begins with; NULL: it begins with another.
static const char *behind(const char *text, const char *word) {
    return strncmp(text, word, strlen(word)) == 0 ? text + strlen(word) : NULL;
}

void lx_trace_begin(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    const char *at = find_variable(p->space), *file = NULL, *more;
    if (at == NULL || *at < '1' || *at > '2') return;
    uint32_t trace = (uint32_t)(*at - '0');
    while (file == NULL && (at = strchr(at, ',')) != NULL) {
        at++;
        if ((more = behind(at, "pid=")) != NULL) p->trace_pid = number_of(more);
        else if (behind(at, "native") != NULL) trace |= LX_TRACE_NATIVE;
        else file = behind(at, "file=");
    }
    if (p->trace_pid != 0 && p->trace_pid != p->pid) return;
    p->trace = trace;
    if (file != NULL) choose_output(t, file);
    (void)kpio_process_set_foreign_entry((uint64_t)lx_entry_traced);
}

void lx_trace_forked(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    t->native = NULL;
    if (p->trace == LX_TRACE_NONE || p->trace_pid == 0) return;
    p->trace = LX_TRACE_NONE;
    lx_fd_close_handles(&p->trace_output);
    p->trace_output = (struct lx_fd){.kind = LX_KIND_NONE};
    (void)kpio_process_set_foreign_entry((uint64_t)lx_entry);
}
