// VMOs and address spaces against a model (vm_model.c); driven by unit_random.
#pragma once
#include <stdbool.h>

// `rounds` random operations from an empty machine to an empty machine; with allocations failing at random.
void vm_model_run(unsigned rounds, bool failures);
// Provided by the program: false ends the run early.
bool vm_model_more(void);
