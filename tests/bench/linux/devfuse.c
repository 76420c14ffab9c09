// devfuse.c - a small libfuse program: a file system of one file "f", 1 MiB, of which nothing may be cached. Mounted at the folder that it
// is given, in one thread; built once, with Debian's libfuse3, for KPIO and for Linux.
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <string.h>

enum { NODE = 2, SIZE = 1 << 20 };
static char data[SIZE];

static struct stat attr_of(fuse_ino_t node) {
    return (struct stat){.st_ino = node, .st_mode = node == NODE ? S_IFREG | 0644 : S_IFDIR | 0755, .st_nlink = 1,
                         .st_size = node == NODE ? SIZE : 0};
}
static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    const struct fuse_entry_param e = {.ino = NODE, .attr = attr_of(NODE)};
    if (parent != FUSE_ROOT_ID || strcmp(name, "f") != 0) fuse_reply_err(req, ENOENT);
    else fuse_reply_entry(req, &e);
}
static void do_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file) {
    const struct stat attr = attr_of(node);
    (void)file;
    fuse_reply_attr(req, &attr, 0);
}
static void do_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file) {
    (void)node;
    file->direct_io = 1;
    fuse_reply_open(req, file);
}
static void do_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *file) {
    (void)node, (void)file;
    const size_t at = offset < SIZE ? (size_t)offset : SIZE;
    fuse_reply_buf(req, data + at, size < SIZE - at ? size : SIZE - at);
}

int main(int argc, char **argv) {
    static const struct fuse_lowlevel_ops ops = {.lookup = do_lookup, .getattr = do_getattr, .open = do_open, .read = do_read};
    char *words[] = {argv[0], NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, words);
    if (argc != 2) return 2;
    memset(data, 0x5a, sizeof data);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, NULL);
    if (session == NULL || fuse_session_mount(session, argv[1]) != 0) return 1;
    const int result = fuse_session_loop(session);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return result != 0;
}
