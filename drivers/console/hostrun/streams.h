// A program's standard streams, carried between its pipes and the host's port (port.h) in frames, numbers little-endian:
//
//     to the host     kind:u32 size:u32 bytes    FRAME_OUTPUT, FRAME_ERROR: what the program wrote; FRAME_STATUS: its wait status, u32;
//                                                FRAME_FAILED: why it could not be started
//     from the host   size:u32 bytes             the program's input, size 0: its end
#pragma once
#include "drivers/console/hostrun/port.h"

enum { FRAME_OUTPUT = 1, FRAME_ERROR = 2, FRAME_STATUS = 3, FRAME_FAILED = 4 };

struct streams {
    struct port port;
    kpio_handle input, output, error;  // this side's ends; no `error` where what is written there goes to the output
    uint32_t used;                     // of the piece that came first: bytes that the program has
    uint32_t left, header, header_bytes;  // of the frame that is being read
    bool input_ended;                  // by the host, or nobody reads it any more
};

// Carries until the process has ended, and what it wrote is sent: its wait status. What it leaves behind it is not waited for.
// A negative errno: the host cannot be reached any more.
[[nodiscard]] int64_t streams_follow(struct streams *s, kpio_handle process);
// Sends one frame of at most 512 bytes, and waits until the host has all that was sent.
[[nodiscard]] int streams_tell(struct streams *s, uint32_t kind, const void *bytes, uint32_t size);
