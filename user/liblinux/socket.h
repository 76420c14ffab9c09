// Unix sockets. A connected one is two kernel pipes, one for each direction: lx_fd.handle is the end it reads from, lx_fd.second the
// one it writes to. A bound or listening one reads from a pipe of its own, in which those arrive who connect: each brings the
// server's ends of two fresh pipes and a struct lx_greeting. An unconnected one has no handles.
//
// lx_fd.device: the type and the bits below. lx_fd.extra: the names, an index into process->socket_names, 0: none.
// Whom the peer is, is in the flags of the ends (object_flags.h).
#pragma once
#include "user/liblinux/fd.h"

enum { LX_SOCK_STREAM = 1, LX_SOCK_DGRAM = 2, LX_SOCK_SEQPACKET = 5 };
#define LX_SOCKET_TYPES   0xfu
#define LX_SOCKET_BOUND   0x10u
#define LX_SOCKET_LISTENS 0x20u
#define LX_SOCKET_CREDENTIALS 0x40u  // SO_PASSCRED

enum {
    LX_MSG_OOB = 1, LX_MSG_PEEK = 2, LX_MSG_CTRUNC = 8, LX_MSG_TRUNC = 0x20, LX_MSG_DONTWAIT = 0x40, LX_MSG_EOR = 0x80,
    LX_MSG_WAITALL = 0x100, LX_MSG_ERRQUEUE = 0x2000, LX_MSG_NOSIGNAL = 0x4000, LX_MSG_MORE = 0x8000, LX_MSG_WAITFORONE = 0x10000,
    LX_MSG_CMSG_CLOEXEC = 0x40000000,
};

struct lx_credentials {
    uint32_t pid, uid, gid;
};

// The two ends of one side: kinds SOCKET, without flags. 0 or a negative errno.
struct lx_socket_pair {
    struct lx_fd side[2];
};
// Two connected sockets; each side is told that the other one is `who`[the other]. flags: LX_O_NONBLOCK for both.
[[nodiscard]] int64_t lx_socket_make_pair(uint32_t type, const struct lx_credentials who[2], struct lx_socket_pair *out);
struct lx_credentials lx_socket_self(const struct lx_process *p);
struct lx_credentials lx_socket_peer(const struct lx_fd *fd);
// The entry of a socket: 0, -EBADF, -ENOTSOCK.
[[nodiscard]] int64_t lx_socket_get(struct lx_thread *t, uint64_t number, struct lx_fd *out);
// Of LX_SOCK_*: KPIO_PIPE_*.
uint32_t lx_socket_mode(const struct lx_fd *fd);
// SOCK_CLOEXEC and SOCK_NONBLOCK, the bits beside a type.
#define LX_SOCK_FLAGS (LX_O_CLOEXEC | LX_O_NONBLOCK)

// ---- descriptors in messages (socket_rights.c) -------------------------------------------------------------------------
struct lx_rights {
    kpio_handle made[4];           // for the journey; lx_rights_end closes them
    uint32_t made_count, handles;  // of these; of all in the thread block
};
// Puts the handles of descriptors into the thread block, for the next pipe_write: 0, -EBADF, -ETOOMANYREFS (no room), -EOPNOTSUPP
// (a kind that cannot travel). lx_rights_end after the write.
[[nodiscard]] int64_t lx_rights_put(struct lx_thread *t, const int32_t *numbers, uint32_t count, struct lx_rights *out);
void lx_rights_end(struct lx_rights *rights);
// Makes descriptors of the handles that came: how many; at most `room`, what has none is closed (then *cut).
uint32_t lx_rights_take(struct lx_thread *t, int32_t *numbers, uint32_t room, bool cloexec, bool *cut);
