// What goes through a pipe beside its bytes: handles, and a note of the writer's. A parcel goes with the first byte of a write,
// or with a message. Internal to kernel/ipc.
//
// A handle on its way keeps its object, so a pipe that holds one of its own ends, directly or through other pipes, would
// never end. Therefore pipes that go through each other have levels: what goes into a pipe is of a lower level than that
// pipe. A pipe gets its level when it first goes into another, or another into it, and loses it when neither is so any more.
// There are few levels, which bounds how deep one end makes another one end.
// Locks: pipe->lock guards pipe->parcels and pipe->noted; the carry lock, a leaf, guards pipe->carries, carried and level.
#pragma once
#include "kernel/ipc/pipe.h"

struct pipe_parcel;

// For the cargo, whose handles are checked and stay where they are. 0 or -EBADF, -EACCES, -EINVAL (a mode, rights), -EBUSY (see
// above), -EINTR (the thread is to end), -ENFILE, -ENOMEM.
[[nodiscard]] int pipe_parcel_make(struct pipe *pipe, const struct pipe_cargo *cargo, struct pipe_parcel **out);
uint32_t pipe_parcel_handles(const struct pipe_parcel *parcel);
// Takes the handles and queues the parcel, which is the pipe's then, at a position of the ring. A handle that cannot be had
// any more arrives as 0. Where nobody can read any more they go as if the reader had closed right after.
void pipe_parcel_send(struct pipe_parcel *parcel, uint32_t position);
// How far it is from `position` to the next parcel behind it, UINT32_MAX if there is none.
uint32_t pipe_parcel_distance(struct pipe *pipe, uint32_t position);
// The parcel at this position, off the queue, or NULL.
struct pipe_parcel *pipe_parcel_take(struct pipe *pipe, uint32_t position);
// The note of the parcel at this position; of a stream, else the last one before. Copies it, at most `room` bytes: its size.
uint32_t pipe_parcel_note(struct pipe *pipe, uint32_t position, uint8_t *note, uint32_t room);
// Puts handle i into the running process's table: 0 as its value where it finds no room, or was revoked on the way.
struct kpio_message_handle pipe_parcel_arrive(struct pipe_parcel *parcel, uint32_t i);
// Puts copies of the handles of the parcel at this position, at most `room`, into the running process's table, as pipe_parcel_arrive
// does; how many handles it has. The reading side is the caller's.
uint32_t pipe_parcel_show(struct pipe *pipe, uint32_t position, struct kpio_message_handle *handles, uint32_t room);
// With what is still in it.
void pipe_parcel_free(struct pipe_parcel *parcel);
// The reader is done with one that it took; a stream keeps its note until the next.
void pipe_parcel_done(struct pipe *pipe, struct pipe_parcel *parcel);
// Frees all that wait. No lock held.
void pipe_parcels_drop(struct pipe *pipe);
