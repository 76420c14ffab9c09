// Files of /proc that tell of any process of the session: the calling one tells what it knows, of others posixd does.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "protocols/gen/posix.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/proc.h"

#define PAGE 4096ull
#define TICK 10000000ull

struct about {
    uint32_t pid, tid, parent, group, session, tty, foreground, threads, umask, files;
    uint32_t uid[3], gid[3];             // real, effective, saved
    uint64_t started, cpu_ns, children_cpu, pages, mapped_pages;
    const struct lx_process *own;        // the calling one, or NULL
    char state;
    char name[17];
};

static void take(struct about *about, const struct posix_look_reply *reply) {
    about->state = (char)reply->state;
    about->parent = reply->parent;
    about->group = reply->group;
    about->session = reply->session;
    about->tty = reply->tty;
    about->foreground = reply->foreground;
    about->threads = reply->threads;
    about->uid[0] = reply->uid;
    about->uid[1] = about->uid[2] = reply->euid;
    about->gid[0] = reply->gid;
    about->gid[1] = about->gid[2] = reply->egid;
    about->started = reply->started;
    about->cpu_ns = reply->cpu_ns;
    about->pages = about->mapped_pages = reply->pages;
    memcpy(about->name, reply->name, sizeof reply->name);
}

static int64_t take_own(struct about *about, const struct lx_process *p) {
    struct kpio_process_info info;
    int64_t error = kpio_process_info(p->handle, &info);
    if (error < 0) return error;
    about->own = p;
    about->state = 'R';
    if (about->group == 0) about->parent = p->ppid;
    if (about->group == 0) about->group = about->session = p->pid;
    about->threads = p->thread_count;
    about->umask = p->umask;
    memcpy(about->uid, (const uint32_t[]){p->uid, p->euid, p->suid}, sizeof about->uid);
    memcpy(about->gid, (const uint32_t[]){p->gid, p->egid, p->sgid}, sizeof about->gid);
    about->cpu_ns = info.cpu_ns;
    about->children_cpu = p->children_cpu;
    about->pages = info.pages;
    about->mapped_pages = lx_proc_mapped_pages(p->space);
    memcpy(about->name, p->name, sizeof p->name);
    return 0;
}

// What one of the caller's threads has of its own.
static int64_t take_thread(struct about *about, struct lx_process *p, uint32_t tid) {
    struct kpio_thread_info info;
    int64_t error = -ESRCH;
    lx_lock(&p->signal_lock);
    list_for_each(node, &p->threads) {
        const struct lx_thread *thread = container_of(node, struct lx_thread, node);
        if (thread->tid != tid) continue;
        error = kpio_thread_info(thread->handle != 0 ? thread->handle : p->thread, &info);
        memcpy(about->name, thread->name, sizeof thread->name);
    }
    lx_unlock(&p->signal_lock);
    if (error < 0) return error;
    about->cpu_ns = info.cpu_ns;
    about->state = info.state == KPIO_THREAD_BLOCKED ? 'S' : 'R';
    return 0;
}

// Of a process, or of a thread when it has a tid. One that has ended meanwhile: -ESRCH.
static int64_t look(struct lx_thread *t, const struct lx_text *text, struct about *about) {
    struct lx_process *p = lx_process(t);
    const struct posix_look_reply *reply = lx_posix_look(t, text->about.pid);
    *about = (struct about){.pid = text->about.pid, .tid = text->about.tid != 0 ? text->about.tid : text->about.pid};
    if (reply != NULL) take(about, reply);
    if (text->about.pid != p->pid) return reply == NULL ? -ESRCH : 0;
    const int64_t error = take_own(about, p);
    return error < 0 || text->about.tid == 0 ? error : take_thread(about, p, text->about.tid);
}

int64_t lx_proc_exists(struct lx_thread *t, uint32_t pid, uint32_t *uid, uint32_t *gid) {
    const struct lx_process *p = lx_process(t);
    *uid = p->euid;
    *gid = p->egid;
    if (pid == p->pid) return 0;
    const struct posix_look_reply *reply = lx_posix_look(t, pid);
    if (reply == NULL) return -ESRCH;
    *uid = reply->euid;
    *gid = reply->egid;
    return 0;
}

// ---- what a process has said of its program -----------------------------------------------------------------------------------

int64_t lx_proc_executable_of(struct lx_thread *t, uint32_t pid, char *out, uint64_t size) {
    char path[sizeof((const struct posix_look_reply *)0)->about + 1];
    if (pid == lx_process(t)->pid) return lx_proc_executable(lx_process(t), lx_process(t)->executable, out, size);
    const struct posix_look_reply *reply = lx_posix_look(t, pid);
    if (reply == NULL) return -ESRCH;
    const size_t bytes = strnlen((const char *)reply->about, reply->about_size);
    memcpy(path, reply->about, bytes);
    path[bytes] = 0;
    return lx_proc_executable(lx_process(t), bytes > 0 ? path : NULL, out, size);
}

void lx_proc_cmdline(struct lx_thread *t, struct lx_text *text) {
    const struct lx_space *space = lx_space(t);
    if (text->about.pid == lx_process(t)->pid) {
        const uint64_t size = space->arguments_size;
        int64_t done = size == 0 ? 0 : kpio_file_write(text->file, (const uint8_t *)space->arguments, size, 0, 0);
        if (done < 0 && done != -EFAULT) text->error = done;
        return;
    }
    const struct posix_look_reply *reply = lx_posix_look(t, text->about.pid);
    text->error = reply == NULL ? -ESRCH : 0;
    if (reply == NULL || reply->about_size == 0) return;
    const uint32_t path = (uint32_t)strnlen((const char *)reply->about, reply->about_size);
    if (path < reply->about_size) lx_text_bytes(text, reply->about + path + 1, reply->about_size - path - 1);
}

// ---- state --------------------------------------------------------------------------------------------------------------------

void lx_proc_comm(struct lx_thread *t, struct lx_text *text) {
    struct about about;
    text->error = look(t, text, &about);
    if (text->error == 0) lx_text_add(text, "%s\n", about.name);
}

void lx_proc_stat(struct lx_thread *t, struct lx_text *text) {
    struct about a;
    text->error = look(t, text, &a);
    if (text->error != 0) return;
    lx_text_add(text, "%u (%.15s) %c %u %u %u %u %d 4194304 0 0 0 0 ", a.tid, a.name, a.state, a.parent, a.group, a.session, a.tty,
                a.tty != 0 ? (int)a.foreground : -1);
    lx_text_add(text, "%lu 0 %lu 0 20 0 %u 0 %lu %lu %lu 18446744073709551615 ", (unsigned long)(a.cpu_ns / TICK),
                (unsigned long)(a.children_cpu / TICK), a.threads, (unsigned long)(a.started / TICK),
                (unsigned long)(a.mapped_pages * PAGE), (unsigned long)a.pages);
    const struct lx_space none = {0}, *s = a.own != NULL ? a.own->space : &none;
    lx_text_add(text, "0 0 0 0 0 0 %lu 0 0 0 0 0 17 0 0 0 0 0 0 0 0 %lu %lu %lu %lu %lu 0\n",
                (unsigned long)(a.own != NULL ? t->blocked : 0), (unsigned long)s->brk_start, (unsigned long)s->arguments,
                (unsigned long)(s->arguments + s->arguments_size), (unsigned long)s->environment,
                (unsigned long)(s->environment + s->environment_size));
}

void lx_proc_statm(struct lx_thread *t, struct lx_text *text) {
    struct about a;
    text->error = look(t, text, &a);
    if (text->error == 0)
        lx_text_add(text, "%lu %lu 0 1 0 %lu 0\n", (unsigned long)a.mapped_pages, (unsigned long)a.pages, (unsigned long)a.mapped_pages);
}

static const char *state_name(char state) {
    switch (state) {
    case 'R': return "running";
    case 'T': return "stopped";
    case 'Z': return "zombie";
    default: return "sleeping";
    }
}

// As a list of ranges.
static void add_bits(struct lx_text *text, uint64_t bits) {
    bool some = false;
    for (unsigned first = 0, last; first < 64; first = last + 1) {
        last = first;
        if (!(bits >> first & 1)) continue;
        while (last < 63 && bits >> (last + 1) & 1) last++;
        lx_text_add(text, some ? ",%u" : "%u", first);
        if (last > first) lx_text_add(text, "-%u", last);
        some = true;
    }
}

static void more_of_own(struct lx_thread *t, struct lx_text *text) {
    const struct lx_process *p = lx_process(t);
    struct kpio_thread_info thread;
    lx_proc_signals(t, text);
    const unsigned long capabilities = p->euid == 0 ? 0x1ffffffffff : 0;
    lx_text_add(text, "CapInh:\t%016x\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016x\nNoNewPrivs:\t%d\n", 0,
                capabilities, capabilities, 0x1fffffffffful, 0, p->no_new_privileges);
    lx_text_add(text, "Seccomp:\t0\nSeccomp_filters:\t0\n");
    text->error = kpio_thread_info(t->handle, &thread);
    if (text->error != 0) return;
    lx_text_add(text, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", (unsigned long)thread.affinity);
    add_bits(text, thread.affinity);
    lx_text_add(text, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

void lx_proc_status(struct lx_thread *t, struct lx_text *text) {
    struct about a;
    text->error = look(t, text, &a);
    if (text->error != 0) return;
    lx_text_add(text, "Name:\t%s\n", a.name);
    if (a.own != NULL) lx_text_add(text, "Umask:\t%04o\n", a.umask);
    lx_text_add(text, "State:\t%c (%s)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", a.state, state_name(a.state),
                a.pid, a.tid, a.parent);
    lx_text_add(text, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", a.uid[0], a.uid[1], a.uid[2], a.uid[1], a.gid[0], a.gid[1],
                a.gid[2], a.gid[1]);
    if (a.own != NULL) lx_text_add(text, "FDSize:\t%u\n", a.own->files->capacity);
    lx_text_add(text, "Groups:\t");
    for (unsigned i = 0; a.own != NULL && i < a.own->group_count; i++) lx_text_add(text, i > 0 ? " %u" : "%u", a.own->groups[i]);
    lx_text_add(text, " \nNStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", a.pid, a.tid, a.group, a.session);
    const unsigned long size = a.mapped_pages * 4, resident = a.pages * 4;
    lx_text_add(text, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8u kB\nVmPin:\t%8u kB\n", size, size, 0, 0);
    lx_text_add(text, "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n", resident, resident);
    lx_text_add(text, "VmSwap:\t%8u kB\nCoreDumping:\t0\nTHP_enabled:\t%d\nThreads:\t%u\n", 0,
                a.own == NULL || !a.own->no_huge_pages, a.threads);
    if (a.own != NULL) more_of_own(t, text);
}

static const struct lx_text_node nodes[] = {
    {"#", NULL, 0},
    {"#/cmdline", lx_proc_cmdline, 0},
    {"#/comm", lx_proc_comm, 0},
    {"#/stat", lx_proc_stat, 0},
    {"#/statm", lx_proc_statm, 0},
    {"#/status", lx_proc_status, 0},
    {"#/task", NULL, 0},
    {"#/task/#", NULL, 0},
    {"#/task/#/cmdline", lx_proc_cmdline, 0},
    {"#/task/#/comm", lx_proc_comm, 0},
    {"#/task/#/stat", lx_proc_stat, 0},
    {"#/task/#/statm", lx_proc_statm, 0},
    {"#/task/#/status", lx_proc_status, 0},
};
const struct lx_text_tree lx_proc_other = {nodes, ARRAY_SIZE(nodes)};
