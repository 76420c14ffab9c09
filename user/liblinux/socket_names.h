// Names of sockets: in the file system (the file that bind made stands for the name, by its number) and abstract ones. Who listens
// puts the writing end of its pipe under its name; who connects finds it there.
//
// lx_socket_name_bind and lx_socket_name_find are the interface to the register. It is the process's own: children have a copy of
// what it held when they were forked. One register for a session takes a server.
#pragma once
#include "user/liblinux/socket.h"

#define LX_SOCKET_PATH_MAX 108u
struct lx_socket_name {
    uint16_t size;                      // of path, 0: none; as the program gave it
    char path[LX_SOCKET_PATH_MAX + 1];  // terminated; abstract: begins with 0
};

// What a name means to the register.
struct lx_socket_key {
    uint64_t fs, inode;                 // of a file; abstract: 0
    struct lx_socket_name name;
};

// Reads an address: 0, -EINVAL, -EFAULT. A family that is not AF_UNIX: -EINVAL.
[[nodiscard]] int64_t lx_socket_name_in(uint64_t at, uint64_t size, struct lx_socket_name *out);
// Writes one, cut to *size, which becomes its whole size.
[[nodiscard]] int64_t lx_socket_name_put(struct lx_thread *t, const struct lx_fd *fd, bool peer, uint64_t at, uint32_t *size);
// The same, with the size in the program's memory.
[[nodiscard]] int64_t lx_socket_name_out(struct lx_thread *t, const struct lx_fd *fd, bool peer, uint64_t at, uint64_t size_at);

// Records the names of a socket, for lx_fd.extra; 0 when there is no memory for it, or none has a name.
uint32_t lx_socket_names_add(struct lx_process *p, const struct lx_socket_name *own, const struct lx_socket_name *peer);
// What was recorded; sizes 0 where there is none.
void lx_socket_names_get(struct lx_process *p, uint32_t index, struct lx_socket_name *own, struct lx_socket_name *peer);

// ---- the register --------------------------------------------------------------------------------------------------------
// `writer` is taken over on success. -EADDRINUSE: somebody lives there.
[[nodiscard]] int64_t lx_socket_name_bind(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type, kpio_handle writer);
// It listens from now on. Who binds a name and never listens refuses those who come.
void lx_socket_name_listen(struct lx_thread *t, const struct lx_socket_key *key);
// A handle of the caller's own, and who listens there. -ECONNREFUSED, -EPROTOTYPE (another type), -EMFILE and its like.
[[nodiscard]] int64_t lx_socket_name_find(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type,
                                          struct lx_credentials *owner);
