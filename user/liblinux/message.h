// What the calls that move messages share.
#pragma once
#include "user/liblinux/socket.h"

// What a socket says that has nobody to talk to.
int64_t lx_socket_unconnected(const struct lx_fd *fd);
// A send failed: SIGPIPE is raised where it is to be, a message larger than the pipe's ring makes that grow and goes again.
[[nodiscard]] int64_t lx_socket_send_failed(struct lx_thread *t, const struct lx_fd *fd, int64_t error, uint64_t buffer, uint64_t size,
                                            uint32_t flags);
[[nodiscard]] int64_t lx_socket_send_failed_vector(struct lx_thread *t, const struct lx_fd *fd, int64_t error, uint64_t parts,
                                                   uint64_t count, uint32_t flags);

struct lx_msghdr {
    uint64_t name;
    uint32_t name_size, pad0;
    uint64_t parts, count, control, control_size;
    uint32_t flags, pad1;
};
_Static_assert(sizeof(struct lx_msghdr) == 56, "ABI");
// sendmsg, and recvmsg without the copy of the header back: *m is changed.
[[nodiscard]] int64_t lx_message_send(struct lx_thread *t, uint64_t number, const struct lx_msghdr *m, uint32_t flags);
[[nodiscard]] int64_t lx_message_receive(struct lx_thread *t, uint64_t number, struct lx_msghdr *m, uint32_t flags);
