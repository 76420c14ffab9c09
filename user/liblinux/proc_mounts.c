// What is mounted, as a process sees it from its root: mounts and mountinfo as Linux writes them, and what goes through FUSE.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/proc.h"

struct seen {
    struct kpio_mount_info info;
    char point[KPIO_PATH_MAX];        // from the root
    bool root;
};

// The one behind `after`, of those with a place: false, there is none.
static bool next_mount(const struct lx_process *p, struct seen *s) {
    for (uint64_t after = s->info.id;;) {
        int64_t bytes = kpio_mount_list(p->root, after, &s->info, (uint8_t *)s->point, sizeof s->point);
        if (bytes < 0) return false;
        after = s->info.id;
        if (bytes == 0) continue;
        s->root = strcmp(s->point, "/") == 0;
        if (strcmp(s->point, LX_SHARED_POINT) == 0) memcpy(s->point, "/dev/shm", sizeof "/dev/shm");
        return true;
    }
}

// Names in these files: white space and what else would mislead a reader stands as an octal number.
static void add_name(struct lx_text *text, const char *name) {
    for (; *name != 0; name++)
        lx_text_add(text, strchr(" \t\n\\#", *name) != NULL ? "\\%03o" : "%c", (unsigned char)*name);
}

static void add_type(struct lx_text *text, const struct kpio_mount_info *info) {
    static const char *const local[] = {[LX_LOCAL_DEV] = "devtmpfs", [LX_LOCAL_PROC] = "proc", [LX_LOCAL_SYS] = "sysfs"};
    if (info->flags & KPIO_MOUNT_LOCAL) {
        const bool known = info->key < ARRAY_SIZE(local) && local[info->key] != NULL;
        lx_text_add(text, "%s", known ? local[info->key] : "local");
    } else {
        lx_text_add(text, "%s%s%s", strcmp(info->type, "fat32") == 0 ? "vfat" : info->type, *info->subtype != 0 ? "." : "", info->subtype);
    }
}

static void add_source(struct lx_text *text, const struct seen *s) {
    if (*s->info.source != 0) lx_text_add(text, "%s", s->info.source);
    else if (s->root) lx_text_add(text, "/dev/root");
    else if (*s->info.device != 0) lx_text_add(text, "/dev/%s", s->info.device);
    else add_type(text, &s->info);
}

static const char *access_of(const struct kpio_mount_info *info) {
    return info->flags & KPIO_MOUNT_READ_ONLY || info->key == LX_LOCAL_SYS ? "ro" : "rw";
}

// Everybody who sees a mount may use it.
static const char *options_of(const struct kpio_mount_info *info) {
    return strcmp(info->type, "fuse") == 0 ? ",user_id=0,group_id=0,allow_other" : "";
}

void lx_proc_mounts(struct lx_thread *t, struct lx_text *text) {
    struct seen s = {.info.id = 0};
    while (next_mount(lx_process(t), &s)) {
        add_source(text, &s);
        lx_text_add(text, " ");
        add_name(text, s.point);
        lx_text_add(text, " ");
        add_type(text, &s.info);
        lx_text_add(text, " %s%s 0 0\n", access_of(&s.info), options_of(&s.info));
    }
}

void lx_proc_mountinfo(struct lx_thread *t, struct lx_text *text) {
    struct seen s = {.info.id = 0};
    while (next_mount(lx_process(t), &s)) {
        const uint64_t fs = s.info.flags & KPIO_MOUNT_LOCAL ? s.info.key << 8 : s.info.fs;
        lx_text_add(text, "%lu %lu %u:%u / ", (unsigned long)s.info.id, (unsigned long)s.info.parent, (unsigned)(fs >> 32), (unsigned)fs);
        add_name(text, s.point);
        lx_text_add(text, " %s - ", access_of(&s.info));
        add_type(text, &s.info);
        lx_text_add(text, " ");
        add_source(text, &s);
        lx_text_add(text, " %s%s\n", access_of(&s.info), options_of(&s.info));
    }
}

// A line for each FUSE mount, in the order of the names in the first line; times in microseconds.
void lx_proc_fuse_mounts(struct lx_thread *t, struct lx_text *text) {
    static const char *const states[] = {"starting", "ready", "gone", "ended"};
    struct seen s = {.info.id = 0};
    lx_text_add(text, "point type source state driver waiting answering requests failed timeouts latency longest reads asked\n");
    while (next_mount(lx_process(t), &s)) {
        const struct kpio_fuse_info *f = &s.info.fuse;
        if (strcmp(s.info.type, "fuse") != 0) continue;
        add_name(text, s.point);
        lx_text_add(text, " ");
        add_type(text, &s.info);
        lx_text_add(text, " ");
        add_source(text, &s);
        lx_text_add(text, " %s %lu %u %u", f->state < ARRAY_SIZE(states) ? states[f->state] : "?", (unsigned long)f->driver, f->queued,
                    f->sent);
        const uint64_t latency = f->replies != 0 ? f->latency_ns / f->replies : 0;
        lx_text_add(text, " %lu %lu %lu %lu %lu %lu %lu\n", (unsigned long)f->requests, (unsigned long)f->failed,
                    (unsigned long)f->timeouts, (unsigned long)(latency / 1000), (unsigned long)(f->longest_ns / 1000),
                    (unsigned long)f->reads, (unsigned long)f->reads_asked);
    }
}
