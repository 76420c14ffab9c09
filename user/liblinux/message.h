// What the calls that move messages share.
#pragma once
#include "user/liblinux/socket_note.h"

// What a socket says that has nobody to talk to.
int64_t lx_socket_unconnected(const struct lx_fd *fd);

// Where a message goes, and what goes with it.
struct lx_outgoing {
    uint64_t parts, count;              // struct lx_iovec
    uint64_t size;                      // of all parts
    uint32_t flags;                     // LX_MSG_*
    const struct lx_credentials *who;   // NULL: the caller
    struct lx_beside *beside;           // NULL: no descriptors
};
// Sends to the peer, or where the address leads to (size 0: none). Bytes or a negative errno; SIGPIPE is raised where it is to be.
[[nodiscard]] int64_t lx_socket_send(struct lx_thread *t, const struct lx_fd *fd, const struct lx_outgoing *o, uint64_t name,
                                     uint32_t name_size);
// The short way, where nothing goes along, has failed like this: goes the long one, or says why not.
[[nodiscard]] int64_t lx_socket_send_again(struct lx_thread *t, const struct lx_fd *fd, int64_t error, const struct lx_outgoing *o);
// Whether a message may go the short way: to a peer, from a socket without a name of its own.
static inline bool lx_socket_is_plain(const struct lx_fd *fd) {
    return fd->second > 0 && !(fd->device & (LX_SOCKET_ALONE | LX_SOCKET_SHARED | LX_SOCKET_BOUND));
}

struct lx_msghdr {
    uint64_t name;
    uint32_t name_size, pad0;
    uint64_t parts, count, control, control_size;
    uint32_t flags, pad1;
};
_Static_assert(sizeof(struct lx_msghdr) == 56, "ABI");
// Bytes of its parts: 0, -EMSGSIZE (too many), -EFAULT.
[[nodiscard]] int64_t lx_message_size(const struct lx_msghdr *m, uint64_t *size);
// sendmsg, and recvmsg without the copy of the header back: *m is changed.
[[nodiscard]] int64_t lx_message_send(struct lx_thread *t, uint64_t number, const struct lx_msghdr *m, uint32_t flags);
[[nodiscard]] int64_t lx_message_receive(struct lx_thread *t, uint64_t number, struct lx_msghdr *m, uint32_t flags);
