// What goes beside a message of a socket: who sent it, from which name, and descriptors. It travels as the note of what is
// written to the pipe (pipe_send), with the handles of the descriptors.
#pragma once
#include "user/liblinux/socket.h"

#define LX_NOTE_FDS_MAX 253u  // descriptors of a message, as on Linux
struct lx_note_fd {
    uint8_t kind, flags;  // LX_KIND_*, LX_FD_*
    uint16_t device;
    uint32_t extra;
    uint32_t handles;  // bit 0: there is a handle; bit 1: a second one
};
struct lx_note {
    struct lx_credentials who;
    uint16_t fds, name_size;
    char name[LX_SOCKET_PATH_MAX + 1];
    uint8_t pad[3];
};
// A note with its descriptors and handles; on the heap (lx_beside_begin, lx_beside_end).
struct lx_beside {
    struct lx_note note;
    struct lx_note_fd fd[LX_NOTE_FDS_MAX];
    struct kpio_message_handle handles[2 * LX_NOTE_FDS_MAX];
    uint32_t handle_count;
};
_Static_assert(offsetof(struct lx_beside, fd) == sizeof(struct lx_note), "they are one note");
_Static_assert(offsetof(struct lx_beside, handles) <= KPIO_PIPE_NOTE_MAX + 4, "a note");
_Static_assert(2 * LX_NOTE_FDS_MAX <= KPIO_PIPE_HANDLES_MAX, "its handles");

[[nodiscard]] struct lx_beside *lx_beside_begin(struct lx_thread *t);  // NULL: no memory
void lx_beside_end(struct lx_thread *t, struct lx_beside *b);
// Adds descriptors by their numbers: 0, -EBADF, -EOPNOTSUPP (a kind that cannot travel).
[[nodiscard]] int64_t lx_beside_add(struct lx_thread *t, struct lx_beside *b, const int32_t *numbers, uint32_t count);
// Makes descriptors of what came: how many; at most `room`. What has none is closed, and then *cut.
uint32_t lx_beside_take(struct lx_thread *t, const struct lx_beside *b, int32_t *numbers, uint32_t room, bool cloexec, bool *cut);

// The name that a note of so many bytes tells; size 0: none.
void lx_note_name(const struct lx_note *note, uint64_t size, struct lx_socket_name *out);
// Sends what the parts hold with a note that says who `who` is (NULL: the caller), and with what b holds (may be NULL). Bytes,
// or what pipe_send said.
[[nodiscard]] int64_t lx_note_send(struct lx_thread *t, const struct lx_fd *fd, kpio_handle to, uint64_t parts, uint64_t count,
                                   const struct lx_credentials *who, struct lx_beside *b, uint32_t flags);
