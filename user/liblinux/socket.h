// Unix sockets, which are made of kernel pipes: lx_fd.handle is the end that a socket reads from, lx_fd.second the one it writes to.
//
//     stream, seqpacket   connected: a pipe for each direction. Bound or listening: `handle` reads from a pipe in which those
//                         arrive who connect, each with the server's ends of two fresh pipes. Else: no handles.
//     datagram            a mailbox of its own, and the way into that of the peer, which all have in common who send there
//                         (SHARED); without a peer, a way that leads nowhere (ALONE).
//
// lx_fd.device: the type and the bits below. Whom the peer is, and what else duplicates share, is in the flags of the ends
// (object_flags.h); names are in their labels (socket_names.h). What goes beside a message is in its note (socket_note.h).
#pragma once
#include "user/liblinux/fd.h"

enum { LX_SOCK_STREAM = 1, LX_SOCK_DGRAM = 2, LX_SOCK_SEQPACKET = 5 };
#define LX_SOCKET_TYPES       0xfu
#define LX_SOCKET_BOUND       0x10u
#define LX_SOCKET_LISTENS     0x20u
#define LX_SOCKET_CREDENTIALS 0x40u  // SO_PASSCRED, of one that has no handles yet
#define LX_SOCKET_ALONE       0x80u
#define LX_SOCKET_SHARED      0x100u

enum {
    LX_MSG_OOB = 1, LX_MSG_PEEK = 2, LX_MSG_CTRUNC = 8, LX_MSG_TRUNC = 0x20, LX_MSG_DONTWAIT = 0x40, LX_MSG_EOR = 0x80,
    LX_MSG_WAITALL = 0x100, LX_MSG_ERRQUEUE = 0x2000, LX_MSG_NOSIGNAL = 0x4000, LX_MSG_MORE = 0x8000, LX_MSG_WAITFORONE = 0x10000,
    LX_MSG_CMSG_CLOEXEC = 0x40000000,
};

struct lx_credentials {
    uint32_t pid, uid, gid;
};

#define LX_SOCKET_PATH_MAX 108u
struct lx_socket_name {
    uint16_t size;                      // of path, 0: none; as the program gave it
    char path[LX_SOCKET_PATH_MAX + 1];  // terminated; abstract: begins with 0
};

// The two ends of one side: kinds SOCKET, without flags. 0 or a negative errno.
struct lx_socket_pair {
    struct lx_fd side[2];
};
// Two connected sockets; each side is told that the other one is `who`[the other].
[[nodiscard]] int64_t lx_socket_make_pair(uint32_t type, const struct lx_credentials who[2], struct lx_socket_pair *out);
// A way that leads nowhere: what a datagram socket without a peer has, which may always be asked whether it can send.
[[nodiscard]] int64_t lx_socket_make_blind(kpio_handle *writer);
// A datagram socket's handles, without a peer.
[[nodiscard]] int64_t lx_socket_make_alone(struct lx_fd *fd);
struct lx_credentials lx_socket_self(const struct lx_process *p);
struct lx_credentials lx_socket_peer(const struct lx_fd *fd);
// The entry of a socket: 0, -EBADF, -ENOTSOCK.
[[nodiscard]] int64_t lx_socket_get(struct lx_thread *t, uint64_t number, struct lx_fd *out);
// Whether messages are to come with credentials (SO_PASSCRED), and turning that on or off for one with handles.
[[nodiscard]] bool lx_socket_wants_credentials(const struct lx_fd *fd);
void lx_socket_want_credentials(const struct lx_fd *fd, bool on);
// SOCK_CLOEXEC and SOCK_NONBLOCK, the bits beside a type.
#define LX_SOCK_FLAGS (LX_O_CLOEXEC | LX_O_NONBLOCK)

static inline bool lx_socket_is(const struct lx_fd *fd, uint32_t type) { return (fd->device & LX_SOCKET_TYPES) == type; }
static inline bool lx_socket_connected(const struct lx_fd *fd) { return fd->second > 0 && !(fd->device & LX_SOCKET_ALONE); }
