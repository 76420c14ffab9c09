// Files of /proc about the process itself and its threads; what is told of others too is in proc_about.c.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/fcntl.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/proc.h"
#include "user/liblinux/signal.h"

#define PAGE 4096ull

// ---- memory ---------------------------------------------------------------------------------------------------------------

struct range {
    uint64_t start, size, flags, vmo, offset, committed;
};

static bool next_range(const struct lx_space *space, uint64_t from, struct range *range) {
    return kpio_aspace_query(space->aspace, from, (uint64_t *)range, sizeof *range / 8) >= 0;
}

static uint64_t program_vmo(const struct lx_process *p) {
    struct kpio_vmo_info info = {.id = 0};
    int64_t vmo = p->program > 0 ? kpio_file_vmo(p->program, KPIO_RIGHT_READ) : -ENOENT;
    if (vmo < 0) return 0;
    if (kpio_vmo_info((kpio_handle)vmo, &info) != 0) info.id = 0;
    (void)kpio_handle_close((uint64_t)vmo);
    return info.id;
}

static bool inside(const struct range *r, uint64_t address) { return address >= r->start && address - r->start < r->size; }

// What a mapping is called; the program's own path is `executable`.
static const char *name_of(const struct lx_space *space, const struct range *r, uint64_t vmo, const char *executable) {
    if (vmo != 0 && r->vmo == vmo) return executable;
    if (inside(r, space->auxv)) return "[stack]";
    if (space->vdso != 0 && inside(r, space->vdso)) return "[vdso]";
    if (r->start >= space->liblinux && r->start < space->liblinux + space->liblinux_size) return "[liblinux]";
    if (space->brk_end != 0 && r->start >= space->brk_start && r->start < space->brk_end) return "[heap]";
    return "";
}

#define NAME_COLUMN 73u  // of a name in a line
static void maps(struct lx_thread *t, struct lx_text *text) {
    char executable[KPIO_PATH_MAX], line[128];
    struct kpio_stat stat = {.inode = 0};
    const struct lx_process *p = lx_process(t);
    const struct lx_space *space = lx_space(t);
    struct range r;
    const uint64_t vmo = program_vmo(p);
    if (p->program > 0) (void)kpio_path_stat(p->program, NULL, 0, &stat);
    if (lx_proc_executable(p, p->executable, executable, sizeof executable) < 0) executable[0] = 0;
    for (uint64_t at = 0; next_range(space, at, &r) && r.start >= at; at = r.start + r.size) {
        const char *name = name_of(space, &r, vmo, executable);
        const bool file = *name == '/';
        uint64_t size = r.size;
        if (strcmp(name, "[heap]") == 0) {
            size = align_up(space->brk, PAGE) - r.start; // the mapping is all that the break may ever be
            if ((int64_t)size <= 0) continue;
        }
        size_t used = fmt_print(line, sizeof line, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", (unsigned long)r.start,
                                (unsigned long)(r.start + size), r.flags & KPIO_MAP_READ ? 'r' : '-', r.flags & KPIO_MAP_WRITE ? 'w' : '-',
                                r.flags & KPIO_MAP_EXECUTE ? 'x' : '-', r.flags & KPIO_MAP_LOCAL_SHARE ? 's' : 'p',
                                (unsigned long)(file ? r.offset : 0), file ? (unsigned)(stat.fs >> 32) : 0,
                                file ? (unsigned)stat.fs : 0, (unsigned long)(file ? stat.inode : 0));
        lx_text_bytes(text, line, used);
        if (*name != 0) lx_text_add(text, "%*s%s", used < NAME_COLUMN ? (int)(NAME_COLUMN - used) : 0, "", name);
        lx_text_add(text, "\n");
    }
}

uint64_t lx_proc_mapped_pages(const struct lx_space *space) {
    struct range r;
    uint64_t pages = 0;
    for (uint64_t at = 0; next_range(space, at, &r) && r.start >= at; at = r.start + r.size)
        if (r.flags & (KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_EXECUTE)) pages += r.size / PAGE;
    if (space->brk_end != 0) pages -= (space->brk_end - space->brk) / PAGE;
    return pages;
}

// ---- texts that are in the program's memory -------------------------------------------------------------------------------

static void program_bytes(struct lx_text *text, uint64_t at, uint64_t size) {
    if (size > 0 && text->error == 0) {
        int64_t done = kpio_file_write(text->file, (const uint8_t *)at, size, 0, 0);
        if (done < 0 && done != -EFAULT) text->error = done;
    }
}
static void environ(struct lx_thread *t, struct lx_text *text) {
    program_bytes(text, lx_space(t)->environment, lx_space(t)->environment_size);
}
static void auxv(struct lx_thread *t, struct lx_text *text) { program_bytes(text, lx_space(t)->auxv, lx_space(t)->auxv_size); }
// ---- signals ----------------------------------------------------------------------------------------------------------------

void lx_proc_signals(struct lx_thread *t, struct lx_text *text) {
    struct lx_process *p = lx_process(t);
    uint64_t ignored = 0, caught = 0;
    lx_lock(&p->signal_lock);
    for (unsigned i = 1; i <= LX_SIGNALS; i++) {
        const uint64_t handler = p->signals->actions[i].handler;
        if (handler == LX_SIG_IGN) ignored |= LX_SIGNAL_BIT(i);
        else if (handler != LX_SIG_DFL) caught |= LX_SIGNAL_BIT(i);
    }
    const uint64_t own = t->pending_signals.set, shared = p->pending_signals.set;
    lx_unlock(&p->signal_lock);
    lx_text_add(text, "SigQ:\t%u/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
                p->queued_signals, (unsigned long)p->limits[LX_RLIMIT_SIGPENDING].current, (unsigned long)own, (unsigned long)shared,
                (unsigned long)t->blocked, (unsigned long)ignored, (unsigned long)caught);
}

static void add_limit(struct lx_text *text, uint64_t value) {
    if (value == UINT64_MAX) lx_text_add(text, "%-21s", "unlimited");
    else lx_text_add(text, "%-21lu", (unsigned long)value);
}

static void limits(struct lx_thread *t, struct lx_text *text) {
    static const char names[LX_LIMITS][2][24] = {
        {"Max cpu time", "seconds"},    {"Max file size", "bytes"},      {"Max data size", "bytes"},
        {"Max stack size", "bytes"},    {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
        {"Max processes", "processes"}, {"Max open files", "files"},     {"Max locked memory", "bytes"},
        {"Max address space", "bytes"}, {"Max file locks", "locks"},     {"Max pending signals", "signals"},
        {"Max msgqueue size", "bytes"}, {"Max nice priority", ""},       {"Max realtime priority", ""},
        {"Max realtime timeout", "us"}};
    lx_text_add(text, "%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < LX_LIMITS; i++) {
        const struct lx_limit limit = lx_limit_get(lx_process(t), i);
        lx_text_add(text, "%-26s", names[i][0]);
        add_limit(text, limit.current);
        add_limit(text, limit.most);
        lx_text_add(text, "%-10s\n", names[i][1]);
    }
}

// An open descriptor, as its first lines on Linux.
static void fdinfo(struct lx_thread *t, struct lx_text *text) {
    struct kpio_stat stat = {.inode = 0};
    struct lx_fd fd;
    text->error = lx_fd_get(lx_process(t), text->about.fd, &fd);
    if (text->error != 0) return;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    const int64_t at = lx_fd_seek(&fd, 0, KPIO_SEEK_CURRENT), flags = lx_fcntl_get_flags(&fd);
    if (ops->stat != NULL) (void)ops->stat(t, &fd, &stat);
    lx_text_add(text, "pos:\t%ld\nflags:\t0%lo\nmnt_id:\t%u\nino:\t%lu\n", (long)MAX(at, (int64_t)0),
                (unsigned long)flags | (fd.flags & LX_FD_CLOEXEC ? LX_O_CLOEXEC : 0), (unsigned)stat.mount, (unsigned long)stat.inode);
}

static void zero(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "0\n"); }
static void cgroup(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "0::/\n"); }

static const struct lx_text_node nodes[] = {
    {"#", NULL, 0},
    {"#/auxv", auxv, 0400},
    {"#/cgroup", cgroup, 0},
    {"#/cmdline", lx_proc_cmdline, 0},
    {"#/comm", lx_proc_comm, 0644},
    {"#/environ", environ, 0400},
    {"#/fd", NULL, 0500},
    {"#/fdinfo", NULL, 0},
    {"#/fdinfo/#", fdinfo, 0},
    {"#/limits", limits, 0},
    {"#/maps", maps, 0},
    {"#/mem", lx_proc_memory, 0600},
    {"#/mountinfo", lx_proc_mountinfo, 0},
    {"#/mounts", lx_proc_mounts, 0},
    {"#/oom_score", zero, 0},
    {"#/oom_score_adj", zero, 0644},
    {"#/stat", lx_proc_stat, 0},
    {"#/statm", lx_proc_statm, 0},
    {"#/status", lx_proc_status, 0},
    {"#/task", NULL, 0},
};
const struct lx_text_tree lx_proc_process = {nodes, ARRAY_SIZE(nodes)};
