// The wall time and the CPU time that a program has.
#pragma once
#include "user/wasmhost/options.h"

// From now on the process ends, with a message and STATUS_TIMEOUT, when its time is over. False: no thread to watch it.
bool deadline_start(const struct options *options);
