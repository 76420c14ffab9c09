// Names of sockets: in the file system (the file that bind made stands for the name, by its number) and abstract ones. Who has
// one puts the writing end of its pipe under its name with posixd; who connects or sends finds it there.
//
// What a socket is called, and whom it talks to, is in the labels of its ends (pipe_label): the own name in that of the end to
// read, the peer's in that of the end to write. So all duplicates know it, after fork and exec too.
#pragma once
#include "user/liblinux/socket.h"

// What a name leads to.
struct lx_socket_key {
    uint64_t fs, inode;  // of a file; abstract: 0
    struct lx_socket_name name;
};

// Reads an address: 0, -EINVAL, -EFAULT; -LX_NO_FAMILY: AF_UNSPEC. Another family that is not AF_UNIX: -EINVAL.
#define LX_NO_FAMILY 602
[[nodiscard]] int64_t lx_socket_name_in(uint64_t at, uint64_t size, struct lx_socket_name *out);
// Writes one, cut to *size, which becomes its whole size.
[[nodiscard]] int64_t lx_socket_name_put(const struct lx_socket_name *name, uint64_t at, uint32_t *size);
// The same, with the size in the program's memory.
[[nodiscard]] int64_t lx_socket_name_out(const struct lx_socket_name *name, uint64_t at, uint64_t size_at);

// The name in the label of an end; size 0: none.
void lx_socket_label(kpio_handle end, struct lx_socket_name *out);
void lx_socket_set_label(kpio_handle end, const struct lx_socket_name *name);

// Makes the socket file of that name, if it is not abstract, and the key.
[[nodiscard]] int64_t lx_socket_key_make(struct lx_thread *t, const struct lx_socket_name *name, struct lx_socket_key *key);
// The key of a name that somebody else has.
[[nodiscard]] int64_t lx_socket_key_find(struct lx_thread *t, const struct lx_socket_name *name, struct lx_socket_key *key);

// ---- with posixd --------------------------------------------------------------------------------------------------------
// `writer` stays the caller's. An id above 0, or -EADDRINUSE: somebody lives there; -EOPNOTSUPP: there is no posixd.
[[nodiscard]] int64_t lx_socket_bind(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type, kpio_handle writer);
[[nodiscard]] int64_t lx_socket_listen(struct lx_thread *t, uint32_t id);
// The datagram socket of this id has that one as its peer, or 0: none.
[[nodiscard]] int64_t lx_socket_tell_peer(struct lx_thread *t, uint32_t id, uint32_t peer);
// The id of a datagram socket's name; 0: it has none. And of that which this way leads to.
uint32_t lx_socket_own_id(const struct lx_fd *fd);
uint32_t lx_socket_id_of_way(kpio_handle way);
// Whether a datagram socket may send there: -EPERM when that one has another as its peer.
[[nodiscard]] int64_t lx_socket_may_send(const struct lx_fd *fd, kpio_handle way);
// What a key leads to.
struct lx_socket_found {
    kpio_handle pipe;  // the caller's own
    struct lx_credentials owner;
    struct lx_socket_name name;  // as it was bound
};
// -ECONNREFUSED, -EPROTOTYPE (another type), -EMFILE and its like.
[[nodiscard]] int64_t lx_socket_find(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type,
                                     struct lx_socket_found *out);
