// Which file execve runs.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/exec.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/local.h"
#include "user/liblinux/program.h"

#define RUN_RIGHTS (KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE)

// ---- opening --------------------------------------------------------------------------------------------------------------

// Nothing that a local mount holds can be executed.
static int64_t refuse_local(struct lx_thread *t, const struct lx_at *at, bool follow) {
    struct kpio_stat stat;
    int64_t error = lx_local_stat(t, at, follow, &stat);
    if (error == 0 && !follow && (stat.mode & LX_S_IFMT) == LX_S_IFLNK) return -ELOOP;
    return error != 0 ? error : -EACCES;
}

// Handle and mode as path_open tells them.
static int64_t open_path(struct lx_thread *t, struct lx_at *at, uint64_t flags) {
    int64_t file;
    bool follow = !(flags & LX_AT_SYMLINK_NOFOLLOW);
    do file = kpio_path_open(at->handle, at->path, follow ? 0 : KPIO_PATH_NO_FOLLOW, 0, RUN_RIGHTS);
    while (follow ? lx_at_again(t, at, file) : lx_at_again_nofollow(t, at, file));
    if (file == -EREMOTE) return refuse_local(t, at, follow);
    return file == -EISDIR || file == -ENXIO ? -EACCES : file;
}

// The file that a descriptor stands for. One that was opened for writing keeps others, and so this call, from executing it.
static int64_t open_own(const struct lx_at *at) {
    struct kpio_stat stat;
    struct kpio_handle_info info;
    int64_t error = kpio_path_stat(at->handle, NULL, 0, &stat);
    if (error == 0) error = kpio_handle_info((uint64_t)at->handle, &info);
    if (error != 0) return error;
    if ((stat.mode & LX_S_IFMT) != LX_S_IFREG) return -EACCES;
    if ((info.rights & RUN_RIGHTS) != RUN_RIGHTS) return info.rights & KPIO_RIGHT_WRITE ? -ETXTBSY : -EACCES;
    int64_t file = kpio_handle_dup((uint64_t)at->handle, KPIO_RIGHTS_SAME);
    return file < 0 ? file : file | (int64_t)stat.mode << 32;
}

// Keeps writers away from the file as long as it is open: 0 or -ETXTBSY and its like.
static int64_t pin(kpio_handle file, kpio_handle *out) {
    int64_t memory = kpio_file_vmo(file, RUN_RIGHTS);
    if (memory < 0) return memory;
    *out = (kpio_handle)memory;
    return 0;
}

static int64_t open_program(struct lx_thread *t, struct lx_at *at, uint64_t flags, kpio_handle *file, kpio_handle *pinned) {
    int64_t opened = at->path == NULL ? open_own(at) : open_path(t, at, flags);
    if (opened < 0) return opened;
    *file = (kpio_handle)(uint32_t)opened;
    uint32_t mode = (uint32_t)(opened >> 32);
    return (mode & LX_S_IFMT) == LX_S_IFREG && mode & 0111 ? pin(*file, pinned) : -EACCES;
}

static void let_go(kpio_handle *handle) {
    if (*handle > 0) (void)kpio_handle_close((uint64_t)*handle);
    *handle = KPIO_HANDLE_NONE;
}

// ---- paths ----------------------------------------------------------------------------------------------------------------

// Where a path or, when it is empty, a descriptor stands.
static int64_t begin(struct lx_thread *t, struct lx_at *at, const struct lx_exec_request *r, const char *path) {
    struct lx_fd fd;
    if (*path != 0) return lx_at_begin(t, at, r->dirfd, (uint64_t)path);
    if (!(r->flags & LX_AT_EMPTY_PATH)) return -ENOENT;
    int64_t result = lx_at_begin_empty(t, at, r->dirfd, (uint64_t)path, r->flags);
    return result == -EBADF && lx_fd_get(lx_process(t), r->dirfd, &fd) == 0 ? -EACCES : result;
}

// What the new program is told that it is called.
static void set_given(struct lx_exec *e, const struct lx_exec_request *r, const char *path) {
    char *given = e->paths->given;
    if (path[0] == '/' || (int32_t)r->dirfd == LX_AT_FDCWD) memcpy(given, path, strlen(path) + 1);
    else fmt_print(given, sizeof e->paths->given, "/dev/fd/%u%s%s", (uint32_t)r->dirfd, path[0] != 0 ? "/" : "", path);
}

// The path of what was opened, from the root.
static void set_found(struct lx_exec *e, const struct lx_at *at) {
    char *found = e->paths->found;
    int64_t bytes = 0;
    found[0] = 0;
    if (at->path == NULL) return;
    if (at->path[0] != '/') bytes = kpio_directory_path(at->handle, found, KPIO_PATH_MAX);
    if (bytes > 0 && found[bytes - 1] != '/') found[bytes++] = '/';
    if (bytes >= 0) memcpy(found + bytes, at->path, strlen(at->path) + 1);
    else found[0] = 0;
}

// ---- scripts --------------------------------------------------------------------------------------------------------------

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

// The line behind "#!": an interpreter, and all that follows as one argument. Of a line that does not end in what was read the
// last byte only says whether the interpreter's name ends there. An empty name is told from none as Linux does.
static int64_t parse_line(char line[LX_SCRIPT_LINE - 1], char out[2][LX_SCRIPT_LINE]) {
    char *end = line, *at = line, *const last = line + LX_SCRIPT_LINE - 3;
    while (*end != 0 && *end != '\n') end++;
    bool whole = end <= last, empty = *end == 0 && whole;
    if (!whole) end = last;
    bool cut = !whole && !is_blank(*end);
    while (end > at && is_blank(end[-1])) end--;
    cut = cut && end == last;
    *end = 0;
    for (unsigned i = 0; i < 2; i++) {
        while (is_blank(*at)) at++;
        size_t bytes = i == 0 ? 0 : strlen(at);
        while (i == 0 && at[bytes] != 0 && !is_blank(at[bytes])) bytes++;
        if (i == 0 && cut && at + bytes == end) return -ENOEXEC;
        memcpy(out[i], at, bytes);
        out[i][bytes] = 0;
        at += bytes;
    }
    return out[0][0] != 0 ? 0 : empty ? -EACCES : -ENOEXEC;
}

// Whether the script's own path leads to it in the new program too.
static bool is_lost(struct lx_thread *t, const struct lx_exec_request *r, const char *path) {
    struct lx_fd fd;
    if (path[0] == '/' || (int32_t)r->dirfd == LX_AT_FDCWD) return false;
    return lx_fd_get(lx_process(t), r->dirfd, &fd) == 0 && fd.flags & LX_FD_CLOEXEC;
}

// Opens what `at` means, and what its "#!" lines ask for instead.
static int64_t follow(struct lx_thread *t, struct lx_exec *e, struct lx_at *at, uint64_t flags, bool lost, struct lx_script *script) {
    char line[LX_SCRIPT_LINE + 1];
    for (script->depth = 0;; script->depth++) {
        int64_t result = open_program(t, at, flags, &e->program, &e->pins[0]);
        if (result < 0) return result;
        int64_t got = kpio_file_read(e->program, (uint8_t *)line, LX_SCRIPT_LINE, 0);
        if (got < 0) return got;
        line[got] = 0;
        if (got < 2 || line[0] != '#' || line[1] != '!') return 0;
        if (script->depth == LX_SCRIPTS_MAX) return -ELOOP;
        char (*text)[LX_SCRIPT_LINE] = script->text[script->depth];
        result = parse_line(line + 2, text);
        if (result == 0 && lost) result = -ENOENT;
        if (result == 0) result = lx_at_begin(t, at, (uint64_t)LX_AT_FDCWD, (uint64_t)text[0]);
        if (result < 0) return result;
        let_go(&e->pins[0]);
        let_go(&e->program);
        flags = 0;
    }
}

// The dynamic loader that the program names is there and can be executed.
static int64_t find_loader(struct lx_thread *t, struct lx_exec *e, struct lx_at *at) {
    char interpreter[LX_SCRIPT_LINE], none[LX_SCRIPT_LINE];
    kpio_handle file = KPIO_HANDLE_NONE;
    int64_t result = lx_program_check(lx_space(t), e->program, interpreter, sizeof interpreter);
    if (result < 0 || interpreter[0] == 0) return result;
    result = lx_at_begin(t, at, (uint64_t)LX_AT_FDCWD, (uint64_t)interpreter);
    if (result == 0) result = open_program(t, at, 0, &file, &e->pins[1]);
    if (result == 0 && lx_program_check(lx_space(t), file, none, sizeof none) == -ENOEXEC) result = -ELIBBAD;
    let_go(&file);
    return result;
}

int64_t lx_exec_find(struct lx_thread *t, struct lx_exec *e, const struct lx_exec_request *r, struct lx_script *script) {
    struct lx_at at;
    char *path = e->paths->found; // until something is found
    int64_t result = lx_copy_string(path, r->path, KPIO_PATH_MAX);
    if (result < 0) return result;
    if (result >= (int64_t)KPIO_PATH_MAX) return -ENAMETOOLONG;
    bool lost = is_lost(t, r, path);
    set_given(e, r, path);
    result = begin(t, &at, r, path);
    if (result == 0) result = follow(t, e, &at, r->flags, lost, script);
    if (result < 0) return result;
    if (script->depth == 0 && at.path == path) at.path = e->paths->given + strlen(e->paths->given) - strlen(path);
    set_found(e, &at);
    return find_loader(t, e, &at);
}
