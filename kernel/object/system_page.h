// What the kernel tells every process without a call: the parameters of the clock. One page, mapped for reading.
#pragma once
#include "kernel/mm/vmo.h"

void system_page_init(void);  // clock and CPUs are known
struct vmo *system_page_vmo(void);
