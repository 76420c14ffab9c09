// /proc: the machine, and the processes of the session under their numbers; the calling one as "self" too, with more than is told of
// others. Links lead on by a path where there is one; an open descriptor that has none is opened by a copy of it.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/node.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/proc.h"

#define INODE_PROCESS 1000u
#define INODE_FD 2000u

// ---- links ------------------------------------------------------------------------------------------------------------------

// Puts what the link at a path's end leads to in its place: 0, or a negative errno when it is none.
static int64_t through_link(const struct lx_process *p, char *path, uint64_t size) {
    char to[1024];
    int64_t bytes = kpio_path_readlink(p->root, path, (uint8_t *)to, sizeof to - 1);
    if (bytes < 0) return bytes;
    to[bytes] = 0;
    char *last = path;
    for (char *c = path; *c != 0; c++)
        if (*c == '/') last = c + 1;
    if (*to == '/') last = path;
    if ((uint64_t)(last - path) + (uint64_t)bytes >= size) return -ENAMETOOLONG;
    memcpy(last, to, (size_t)bytes + 1);
    return 0;
}

// The folder of a path by its own name.
static void name_folder(const struct lx_process *p, char *path, uint64_t size) {
    char name[256];
    char *last = path;
    for (char *c = path; *c != 0; c++)
        if (*c == '/') last = c + 1;
    if (last <= path + 1 || strlen(last) >= sizeof name) return;
    memcpy(name, last, strlen(last) + 1);
    last[-1] = 0;
    int64_t opened = kpio_path_open(p->root, path, KPIO_OPEN_DIRECTORY, 0, 0);
    last[-1] = '/';
    if (opened < 0) return;
    int64_t bytes = kpio_directory_path((kpio_handle)(uint32_t)opened, path, size - sizeof name - 1);
    (void)kpio_handle_close((uint32_t)opened);
    if (bytes < 0) return;
    if (path[bytes - 1] != '/') path[bytes++] = '/';
    memcpy(path + bytes, name, strlen(name) + 1);
}

#define LINKS_MAX 40u
int64_t lx_proc_executable(const struct lx_process *p, const char *path, char *out, uint64_t size) {
    if (path == NULL) return -ENOENT;
    uint64_t bytes = strlen(path);
    if (bytes >= size) return -ENAMETOOLONG;
    memcpy(out, path, bytes + 1);
    for (unsigned i = 0; i < LINKS_MAX && through_link(p, out, size) == 0; i++) {
    }
    name_folder(p, out, size);
    return (int64_t)strlen(out);
}

static int64_t cwd_text(const struct lx_process *p, char *out, uint64_t size) {
    if (p->cwd_local.kind != LX_KIND_LOCAL) return kpio_directory_path(p->cwd, out, size);
    char text[KPIO_PATH_MAX];
    int64_t error = lx_local_path(&p->cwd_local, text);
    if (error != 0) return error;
    return (int64_t)fmt_print(out, size, "%s", text);
}

static bool is_directory(const struct lx_fd *fd) {
    return fd->kind == LX_KIND_DIRECTORY || fd->kind == LX_KIND_LOCAL ||
           (fd->kind == LX_KIND_PATH && fd->device == LX_TYPE_DIRECTORY);
}

// What an open descriptor's link says: a path where there is one.
static int64_t fd_text(struct lx_thread *t, uint64_t number, char *out, uint64_t size) {
    static const char devices[][14] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"};
    struct lx_process *p = lx_process(t);
    char path[64];
    struct lx_fd fd;
    struct kpio_handle_info info = {.object_id = 0};
    if (lx_fd_get(p, number, &fd) != 0) return -ENOENT;
    if (fd.kind != LX_KIND_LOCAL && is_directory(&fd)) return kpio_directory_path(fd.handle, out, size);
    if (fd.kind == LX_KIND_CONSOLE) return (int64_t)fmt_print(out, size, "/dev/console");
    if (fd.kind == LX_KIND_FUSE) return (int64_t)fmt_print(out, size, "/dev/fuse");
    if (fd.kind == LX_KIND_DEVICE && fd.extra == 8) return (int64_t)fmt_print(out, size, "/dev/random");
    if (fd.kind == LX_KIND_DEVICE) return (int64_t)fmt_print(out, size, "%s", devices[fd.device]);
    if (fd.kind == LX_KIND_LOCAL) {
        char text[KPIO_PATH_MAX];
        int64_t error = lx_local_path(&fd, text);
        return error != 0 ? error : (int64_t)fmt_print(out, size, "%s", text);
    }
    if (fd.kind == LX_KIND_NODE && lx_node_path(t, &fd, path) == 0) return (int64_t)fmt_print(out, size, "/dev/%s", path);
    struct kpio_pipe_info pipe;
    if (fd.kind == LX_KIND_PIPE && kpio_pipe_info(fd.handle, &pipe) == 0)
        return (int64_t)fmt_print(out, size, "pipe:[%lu]", (unsigned long)pipe.id);
    if (fd.handle > 0) (void)kpio_handle_info(fd.handle, &info);
    const char *what = fd.kind == LX_KIND_SOCKET ? "socket" : fd.kind == LX_KIND_FILE ? "file" : "anon_inode";
    return (int64_t)fmt_print(out, size, "%s:[%lu]", what, (unsigned long)info.object_id);
}

static bool is_number(const char *text) {
    if (*text == 0) return false;
    for (; *text != 0 && *text != '/'; text++)
        if (*text < '0' || *text > '9') return false;
    return true;
}

static uint64_t number_of(const char *text) {
    uint64_t number = 0;
    for (; *text >= '0' && *text <= '9' && number < UINT32_MAX; text++) number = number * 10 + (uint64_t)(*text - '0');
    return number;
}

static bool names_fd(const char *below) { return strlen(below) > 3 && memcmp(below, "fd/", 3) == 0 && is_number(below + 3); }

// Behind the number of a process in a path; NULL: the path is elsewhere.
static const char *below_process(const char *path, uint64_t *pid) {
    if (!is_number(path)) return NULL;
    const char *slash = strchr(path, '/');
    *pid = number_of(path);
    return slash == NULL ? path + strlen(path) : slash + 1;
}

static bool has_thread(struct lx_process *p, uint64_t tid) {
    bool found = false;
    lx_lock(&p->signal_lock);
    list_for_each(node, &p->threads) found = found || container_of(node, struct lx_thread, node)->tid == tid;
    lx_unlock(&p->signal_lock);
    return found;
}

// What a thread of the caller's has is what its process has, but for its threads: the path of that in `space`, and its id. Other
// paths stay.
#define SHORT 64u
static const char *of_process(struct lx_process *p, const char *path, char space[SHORT], uint32_t *tid) {
    uint64_t pid;
    const char *below = below_process(path, &pid);
    *tid = 0;
    if (below == NULL || pid != p->pid || strncmp(below, "task/", 5) != 0 || !is_number(below + 5)) return path;
    const char *rest = strchr(below + 5, '/');
    if (rest != NULL && (strcmp(rest, "/task") == 0 || strncmp(rest, "/task/", 6) == 0 || strlen(rest) + 12 > SHORT)) return path;
    if (!has_thread(p, number_of(below + 5))) return path;
    *tid = (uint32_t)number_of(below + 5);
    (void)fmt_print(space, SHORT, "%lu%s", (unsigned long)pid, rest != NULL ? rest : "");
    return space;
}

// Of another process: what it has open and where it is stays its own.
static int64_t other_link_text(struct lx_thread *t, uint64_t pid, const char *below, char *out, uint64_t size) {
    int64_t result = strcmp(below, "exe") == 0                                 ? lx_proc_executable_of(t, (uint32_t)pid, out, size)
                     : strcmp(below, "cwd") == 0 || strcmp(below, "root") == 0 ? -EACCES
                                                                               : -EINVAL;
    return result == -ESRCH ? -ENOENT : result;
}

// The text of a link; -EINVAL: it is none, -ENOENT: nothing is there.
static int64_t link_text(struct lx_thread *t, const char *path, char *out, uint64_t size) {
    struct lx_process *p = lx_process(t);
    if (strcmp(path, "self") == 0) return (int64_t)fmt_print(out, size, "%u", p->pid);
    if (strcmp(path, "thread-self") == 0) return (int64_t)fmt_print(out, size, "%u/task/%u", p->pid, t->tid);
    if (strcmp(path, "mounts") == 0) return (int64_t)fmt_print(out, size, "self/mounts");
    uint64_t pid;
    uint32_t tid;
    char space[SHORT];
    const char *below = below_process(of_process(p, path, space, &tid), &pid);
    if (below == NULL) return -EINVAL;
    if (pid != p->pid) return other_link_text(t, pid, below, out, size);
    if (strcmp(below, "exe") == 0) return lx_proc_executable(p, p->executable, out, size);
    if (strcmp(below, "cwd") == 0) return cwd_text(p, out, size);
    if (strcmp(below, "root") == 0) return (int64_t)fmt_print(out, size, "/");
    if (names_fd(below) && strchr(below + 3, '/') == NULL) return fd_text(t, number_of(below + 3), out, size);
    return -EINVAL;
}

static bool fd_of(struct lx_process *p, const char *path, struct lx_fd *fd) {
    uint64_t pid;
    uint32_t tid;
    char space[SHORT];
    const char *below = below_process(of_process(p, path, space, &tid), &pid);
    if (below == NULL || pid != p->pid || !names_fd(below)) return false;
    return lx_fd_get(p, number_of(below + 3), fd) == 0;
}

// ---- the mount --------------------------------------------------------------------------------------------------------------

// The link is `bytes` long; what follows it goes behind where it leads, from the root.
static bool lead(struct lx_thread *t, struct lx_at *at, size_t bytes, const char *to) {
    char from[KPIO_PATH_MAX];
    const bool absolute = *to == '/';
    size_t length = strlen(to) + (absolute ? 0 : sizeof "/proc/" - 1), rest = strlen(at->text + bytes) + 1;
    if (length + rest > sizeof from) return false;
    (void)fmt_print(from, sizeof from, "%s%s%s", absolute ? "" : "/proc/", to, at->text + bytes);
    memcpy(at->text, from, length + rest);
    at->handle = lx_process(t)->root;
    at->path = at->text;
    return true;
}

static bool proc_follow(struct lx_thread *t, struct lx_at *at, bool last) {
    char part[KPIO_PATH_MAX], to[KPIO_PATH_MAX];
    struct lx_fd fd;
    for (size_t bytes = 0; lx_local_next_part(at->text, last, &bytes, part);) {
        int64_t length = link_text(t, part, to, sizeof to);
        if (length < 0 || length >= (int64_t)sizeof to) continue;
        if (fd_of(lx_process(t), part, &fd) && !is_directory(&fd)) return false; // opened by a copy
        const bool path = *to == '/' || strchr(part, '/') == NULL;
        return path && lead(t, at, bytes, to);
    }
    return false;
}

struct found {
    const struct lx_text_node *node;
    struct lx_about about;
    uint32_t uid, gid;
};

// The node of a path with contents: 0, -ENOENT, -EACCES (it is another process's own).
static int64_t find(struct lx_thread *t, const char *path, struct found *found) {
    uint64_t pid = 0;
    uint32_t tid;
    char space[SHORT];
    path = of_process(lx_process(t), path, space, &tid);
    const char *below = below_process(path, &pid);
    const bool own = pid == lx_process(t)->pid;
    *found = (struct found){.about = {.pid = (uint32_t)pid, .tid = tid}};
    found->node = lx_text_find(below == NULL ? &lx_proc_machine : own ? &lx_proc_process : &lx_proc_other, path);
    if (below == NULL) return found->node == NULL ? -ENOENT : 0;
    if (pid > INT32_MAX || lx_proc_exists(t, found->about.pid, &found->uid, &found->gid) != 0) return -ENOENT;
    if (found->node == NULL) return !own && lx_text_find(&lx_proc_process, path) != NULL ? -EACCES : -ENOENT;
    if (own && strncmp(below, "fdinfo/", 7) == 0) {
        struct lx_fd fd;
        found->about.fd = (uint32_t)number_of(below + 7);
        return lx_fd_get(lx_process(t), number_of(below + 7), &fd) == 0 ? 0 : -ENOENT;
    }
    if (strncmp(below, "task/", 5) != 0) return 0;
    found->about.tid = (uint32_t)number_of(below + 5);  // of others only the first is known
    return !own && found->about.tid == pid ? 0 : -ENOENT;
}

static int64_t proc_stat(struct lx_thread *t, const char *path, bool follow, struct kpio_stat *out) {
    char text[KPIO_PATH_MAX];
    struct lx_fd fd;
    out->inode = INODE_PROCESS;
    if (follow && fd_of(lx_process(t), path, &fd))
        return lx_fd_ops(fd.kind)->stat == NULL ? -EBADF : lx_fd_ops(fd.kind)->stat(t, &fd, out);
    int64_t length = link_text(t, path, text, sizeof text);
    if (length >= 0) {
        const bool open = fd_of(lx_process(t), path, &fd);  // what it may do is what its link allows
        const uint32_t may = (fd.flags & LX_FD_READ ? 0500 : 0) | (fd.flags & LX_FD_WRITE ? 0300 : 0);
        out->mode = LX_S_IFLNK | (open ? may : 0777u);
        out->size = open ? 64 : 0;
        return 0;
    }
    if (length != -EINVAL) return length;
    struct found found;
    int64_t error = find(t, path, &found);
    if (error != 0) return error;
    out->inode = *path == 0 ? 1 : INODE_PROCESS + ((uint64_t)found.about.pid << 16) + (uint64_t)strlen(path);
    out->mode = lx_text_mode(found.node);
    out->uid = found.uid;
    out->gid = found.gid;
    return 0;
}

// Whether an open with these flags asks for more than the descriptor may do.
static bool asks_for_more(const struct lx_fd *fd, uint64_t flags) {
    static const uint8_t access[] = {LX_FD_READ, LX_FD_WRITE, LX_FD_READ | LX_FD_WRITE, 0};
    return (fd->kind == LX_KIND_FILE || fd->kind == LX_KIND_PIPE) && !(flags & LX_O_PATH) && access[flags & LX_O_ACCMODE] & ~fd->flags;
}

static int64_t proc_open(struct lx_thread *t, const char *path, uint64_t flags, struct lx_fd *out) {
    struct lx_fd fd;
    if (fd_of(lx_process(t), path, &fd)) {
        int64_t error = asks_for_more(&fd, flags) ? -EACCES : 0;
        if (error == 0 && fd.kind == LX_KIND_PIPE && !(flags & LX_O_PATH)) return lx_pipe_reopen(t, &fd, flags, out);
        if (error == 0) error = lx_fd_duplicate(&fd, out);
        out->flags &= (uint8_t)~(LX_FD_READ | LX_FD_WRITE);
        return error;
    }
    struct found found;
    int64_t error = find(t, path, &found);
    if (error == 0 && found.node->make == lx_proc_memory) return lx_proc_memory_open(t, out);
    return error != 0 ? error : lx_text_open(t, found.node, found.about, flags, out);
}

static int64_t proc_readlink(struct lx_thread *t, const char *path, char *out, uint64_t size) {
    char text[KPIO_PATH_MAX];
    int64_t length = link_text(t, path, text, sizeof text);
    if (length < 0) return length;
    length = MIN(length, (int64_t)size);
    memcpy(out, text, (size_t)length);
    return length;
}

// ---- listing ------------------------------------------------------------------------------------------------------------------

static int64_t list_fds(struct lx_process *p, uint64_t index, char name[256]) {
    int64_t result = -ENOENT;
    lx_lock(&p->files_lock);
    for (uint32_t i = 0; i < p->files->capacity && result != 0; i++) {
        if (p->files->entries[i].kind == LX_KIND_NONE || index-- > 0) continue;
        (void)fmt_print(name, 256, "%u", i);
        result = 0;
    }
    lx_unlock(&p->files_lock);
    return result;
}

static int64_t list_threads(struct lx_process *p, uint64_t index, char name[256]) {
    int64_t result = -ENOENT;
    lx_lock(&p->signal_lock);
    list_for_each(node, &p->threads) {
        if (result == 0 || index-- > 0) continue;
        (void)fmt_print(name, 256, "%u", container_of(node, struct lx_thread, node)->tid);
        result = 0;
    }
    lx_unlock(&p->signal_lock);
    return result;
}

static int64_t list_links(const char *const *names, unsigned count, uint64_t index, char name[256], uint8_t *type) {
    if (index >= count) return -ENOENT;
    (void)fmt_print(name, 256, "%s", names[index]);
    *type = LX_S_IFLNK >> 12;
    return 0;
}

// The processes behind the other entries of /proc, by ascending numbers: the cursor is LIST_PROCESSES and the last one's.
#define LIST_PROCESSES (1ull << 32)
static int64_t list_processes(struct lx_thread *t, uint64_t *cursor, char name[256], uint64_t *inode, uint8_t *type) {
    const struct lx_process *p = lx_process(t);
    const uint32_t after = *cursor > LIST_PROCESSES ? (uint32_t)*cursor - 1 : 0;  // proc_list has gone on by one
    uint32_t next = lx_posix_next(t, after);
    if (p->pid > after && (next == 0 || p->pid < next)) next = p->pid;  // it may be alone, or not known yet
    if (next == 0) return -ENOENT;
    *cursor = LIST_PROCESSES | next;
    *inode = INODE_PROCESS + ((uint64_t)next << 16);
    *type = LX_S_IFDIR >> 12;
    (void)fmt_print(name, 256, "%u", next);
    return 0;
}

static int64_t list_top(struct lx_thread *t, uint64_t index, uint64_t *cursor, char name[256], uint64_t *inode, uint8_t *type) {
    static const char *const links[] = {"mounts", "self", "thread-self"};
    if (*cursor <= LIST_PROCESSES && list_links(links, ARRAY_SIZE(links), index, name, type) == 0) return 0;
    return list_processes(t, cursor, name, inode, type);
}

static int64_t list_process(struct lx_thread *t, const char *below, uint64_t pid, uint64_t index, char name[256], uint8_t *type) {
    static const char *const links[] = {"exe", "cwd", "root"};
    struct lx_process *p = lx_process(t);
    const bool own = pid == p->pid;
    if (*below == 0) return list_links(links, own ? ARRAY_SIZE(links) : 1, index, name, type);
    if (strcmp(below, "task") == 0 && own) return list_threads(p, index, name);
    if (strcmp(below, "task") == 0 && index == 0) return (void)fmt_print(name, 256, "%lu", (unsigned long)pid), 0;
    const bool info = strcmp(below, "fdinfo") == 0;
    if ((strcmp(below, "fd") != 0 && !info) || !own) return -ENOENT;
    *type = (info ? LX_S_IFREG : LX_S_IFLNK) >> 12;
    return list_fds(p, index, name);
}

static int64_t proc_list(struct lx_thread *t, const char *path, uint64_t *cursor, char name[256], uint64_t *inode, uint8_t *type) {
    const char *text;
    uint64_t pid = 0, index;
    uint32_t tid;
    char space[SHORT];
    path = of_process(lx_process(t), path, space, &tid);
    const char *below = below_process(path, &pid);
    const struct lx_text_tree *tree = below == NULL ? &lx_proc_machine : pid == lx_process(t)->pid ? &lx_proc_process : &lx_proc_other;
    const struct lx_text_node *node;
    do {
        index = (*cursor)++;
        *inode = (below == NULL || strcmp(below, "fd") != 0 ? INODE_PROCESS : INODE_FD) + (pid << 16) + index;
        node = index < LIST_PROCESSES ? lx_text_child(tree, path, &index, &text) : NULL;
    } while (node != NULL && tid != 0 && *below == 0 && strcmp(text, "task") == 0);
    *type = LX_S_IFDIR >> 12;
    if (node != NULL) {
        (void)fmt_print(name, 256, "%s", text);
        *type = (node->make == NULL ? LX_S_IFDIR : LX_S_IFREG) >> 12;
        return 0;
    }
    if (below != NULL) return list_process(t, below, pid, index, name, type);
    return *path == 0 ? list_top(t, index, cursor, name, inode, type) : -ENOENT;
}

const struct lx_local_mount lx_local_proc = {
    .key = LX_LOCAL_PROC,
    .point = "/proc",
    .follow = proc_follow,
    .stat = proc_stat,
    .open = proc_open,
    .readlink = proc_readlink,
    .list = proc_list,
};
