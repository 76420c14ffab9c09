// Nodes of /dev that a process serves (protocols/node.def): terminals. A descriptor of kind LX_KIND_NODE has the event of its open
// as its handle and the open's endpoint as its second.
#pragma once
#include "user/liblinux/fd.h"

// One message to a server: the header of the reply, which is in the message page, or a negative errno, the server's too. It is
// sent until it has been answered: an interrupt, or a server that another one takes over from, makes it go again.
[[nodiscard]] int64_t lx_node_call(struct lx_thread *t, kpio_handle endpoint, uint32_t label, const void *request, uint64_t size,
                                   const kpio_handle *handles, uint32_t count);
// Whether so many handles came with that reply. Where it are others, all are closed: nobody knows what they are.
[[nodiscard]] bool lx_node_handles(struct lx_thread *t, int64_t header, uint32_t count);
// How requests that must not be done twice begin.
#define LX_NODE_WHO(t) .pid = lx_process(t)->pid, .tid = (t)->tid, .serial = ++(t)->serial

// A node by its path below /dev. flags: LX_O_*.
[[nodiscard]] int64_t lx_node_open(struct lx_thread *t, const char *path, uint64_t flags, struct lx_fd *out);
// What is known of it: -ENOENT without a server.
[[nodiscard]] int64_t lx_node_stat(struct lx_thread *t, const char *path, struct kpio_stat *out);
[[nodiscard]] int64_t lx_node_list(struct lx_thread *t, const char *path, uint64_t index, char name[256], uint64_t *inode, uint8_t *type);
// The path of an open one below /dev: 0 or a negative errno.
[[nodiscard]] int64_t lx_node_path(struct lx_thread *t, const struct lx_fd *fd, char out[64]);

// What a node's server offers to be mapped; the handle is the caller's to close.
struct lx_node_memory {
    kpio_handle vmo;
    uint64_t offset;
};
// 0, or a negative errno: the server's (-ENODEV), or -EIO, -EMFILE.
[[nodiscard]] int64_t lx_node_memory(struct lx_thread *t, const struct lx_fd *fd, uint64_t offset, uint64_t size, bool write, bool shared,
                                     struct lx_node_memory *out);
// As lx_map_file.
[[nodiscard]] int64_t lx_node_map(struct lx_space *space, const struct lx_node_memory *memory, uint64_t size, uint32_t flags,
                                  uint64_t address);
extern const struct lx_fd_ops lx_node_ops;
