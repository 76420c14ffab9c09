// What the files of /proc and /sys say. A file's text is made when it is opened, and is a file in memory from then on: it stays as
// it was, however often it is read.
#pragma once
#include "user/liblinux/local.h"

struct lx_about {                    // what a file is about; 0: none
    uint32_t pid, tid, fd;           // a process, one of its threads, one of its descriptors
};
struct lx_text {
    kpio_handle file;
    struct lx_about about;
    uint64_t written;                // to the file
    int64_t error;                   // the first one; nothing is written behind it
    size_t used;
    char buffer[1024];
};
__attribute__((format(printf, 2, 3))) void lx_text_add(struct lx_text *text, const char *format, ...);
void lx_text_bytes(struct lx_text *text, const void *bytes, uint64_t count);

// A file or (make NULL) a directory. Components of a path that are numbers are "#" here.
struct lx_text_node {
    const char *path;
    void (*make)(struct lx_thread *t, struct lx_text *text);
    uint16_t mode;                   // 0: the usual one
};
struct lx_text_tree {
    const struct lx_text_node *nodes;
    unsigned count;
};
extern const struct lx_text_tree lx_proc_machine, lx_proc_process, lx_proc_other, lx_sys_tree;

// The node at a path; NULL: there is none.
const struct lx_text_node *lx_text_find(const struct lx_text_tree *tree, const char *path);
// Entry number *index of a directory; *index becomes what is left of it. NULL: fewer are in the tree.
const struct lx_text_node *lx_text_child(const struct lx_text_tree *tree, const char *path, uint64_t *index, const char **name);
// A descriptor for the text of a file: 0, -EACCES (there is no file system in memory, or it is to be written) or what went wrong.
[[nodiscard]] int64_t lx_text_open(struct lx_thread *t, const struct lx_text_node *node, struct lx_about about, uint64_t flags,
                                   struct lx_fd *out);
static inline uint32_t lx_text_mode(const struct lx_text_node *node) {
    const uint32_t usual = node->make == NULL ? 0555 : 0444;
    return (node->make == NULL ? LX_S_IFDIR : LX_S_IFREG) | (node->mode != 0 ? node->mode : usual);
}

// The path of a program as it was called (or NULL) by its own name, absolute: bytes, or a negative errno.
[[nodiscard]] int64_t lx_proc_executable(const struct lx_process *p, const char *path, char *out, uint64_t size);

// ---- what is told of any process of the session (proc_about.c) -----------------------------------------------------------------
// 0, -ESRCH.
[[nodiscard]] int64_t lx_proc_exists(struct lx_thread *t, uint32_t pid, uint32_t *uid, uint32_t *gid);
// The path of its program, as lx_proc_executable.
[[nodiscard]] int64_t lx_proc_executable_of(struct lx_thread *t, uint32_t pid, char *out, uint64_t size);
// Of the process's memory, in pages: what is mapped.
[[nodiscard]] uint64_t lx_proc_mapped_pages(const struct lx_space *space);
// ---- /proc/self/mem (proc_memory.c): not a text
void lx_proc_memory(struct lx_thread *t, struct lx_text *text);
[[nodiscard]] int64_t lx_proc_memory_open(struct lx_thread *t, struct lx_fd *out);
// ---- mounts (proc_mounts.c)
void lx_proc_mounts(struct lx_thread *t, struct lx_text *text);
void lx_proc_mountinfo(struct lx_thread *t, struct lx_text *text);
void lx_proc_fuse_mounts(struct lx_thread *t, struct lx_text *text);
void lx_proc_signals(struct lx_thread *t, struct lx_text *text);
void lx_proc_cmdline(struct lx_thread *t, struct lx_text *text);
void lx_proc_comm(struct lx_thread *t, struct lx_text *text);
void lx_proc_stat(struct lx_thread *t, struct lx_text *text);
void lx_proc_statm(struct lx_thread *t, struct lx_text *text);
void lx_proc_status(struct lx_thread *t, struct lx_text *text);
