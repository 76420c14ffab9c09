// The messages of protocols/appd.def.
#pragma once
#include <stdbool.h>

#include "abi/types.h"

// What the service serves: see struct service.
uint64_t requests_dispatch(void *context, uint64_t header, uint64_t badge);
// Where directories that are granted lie. Before the first message.
void requests_open(kpio_handle root);
// From what is told of the cache: all that was there at the start has been looked at.
void requests_checked(bool key_lost);
