// Helpers around messages: what the protocol bindings are made of.
#pragma once
#include "abi/gen/stubs.h"
#include "user/libkpio/thread.h"

// Puts a handle into place `index` of the next message.
static inline void message_handle(uint32_t index, kpio_handle handle, uint32_t rights, uint16_t mode) {
    thread_self()->handles[index] = (struct kpio_message_handle){.handle = handle, .rights = rights, .mode = mode};
}

// The handle that came at place `index`; 0 when it is of another kind (then it is closed) or could not be taken in.
kpio_handle message_handle_taken(uint32_t index, uint16_t kind);

// Closes what handles came with a message that is not understood; the header of an answer with that errno.
uint64_t message_error(uint64_t header, uint32_t error);

// A server function returns this after reply_save: the answer comes later.
#define KPIO_REPLY_LATER 1
#define KPIO_REPLY_NONE UINT64_MAX  // as a header: nothing to send now

// Two messages of every service. retire: hand over your state (a VMO, or nothing) and end.
enum { SERVICE_PING = 1, SERVICE_RETIRE = 2 };
