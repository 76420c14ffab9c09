// Handles on their way through a pipe: a parcel goes with the first byte of a write, or with a message. Internal to
// kernel/ipc.
//
// A handle on its way keeps its object, so a pipe that holds one of its own ends, directly or through other pipes, would
// never end. Therefore an end of a pipe may go into another pipe only while its own pipe holds no such end, and while that
// other pipe is not on its way itself: chains have one link.
// Locks: pipe->lock guards pipe->parcels; the carry lock, a leaf, guards pipe->carries and pipe->carried.
#pragma once
#include "kernel/ipc/pipe.h"

struct pipe_parcel;

void pipe_parcel_init(void);
// For the first `count` handles of the running thread's block, which are checked and stay where they are. 0 or -EBADF,
// -EACCES, -EINVAL (a mode, rights), -EBUSY (see above), -ENFILE, -ENOMEM.
[[nodiscard]] int pipe_parcel_make(struct pipe *pipe, unsigned count, struct pipe_parcel **out);
// Takes the handles and queues the parcel, which is the pipe's then, at a position of the ring. A handle that cannot be had
// any more arrives as 0. Where nobody can read any more they go as if the reader had closed right after.
void pipe_parcel_send(struct pipe_parcel *parcel, uint32_t position);
// How far it is from `position` to the next parcel behind it, UINT32_MAX if there is none.
uint32_t pipe_parcel_distance(struct pipe *pipe, uint32_t position);
// The parcel at this position, off the queue, or NULL.
struct pipe_parcel *pipe_parcel_take(struct pipe *pipe, uint32_t position);
// Puts the handles into the running process's table and tells it in its thread block; NULL: there are none. Those that find
// no room, or were revoked on the way, arrive as 0.
void pipe_parcel_deliver(struct pipe_parcel *parcel);
// With what is still in it.
void pipe_parcel_free(struct pipe_parcel *parcel);
// Frees all that wait. No lock held.
void pipe_parcels_drop(struct pipe *pipe);
