// Names of kernel functions, from the table that the second link adds (mk/symbols.py).
#pragma once
#include <stdint.h>

// The function that holds `address` and the distance from its start; NULL when there is none.
const char *symbol_find(uint64_t address, uint64_t *offset);
