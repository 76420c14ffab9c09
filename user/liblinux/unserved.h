// Calls that are not there: ENOSYS, and counted.
#pragma once
#include "user/liblinux/context.h"

// The number is in t->call.
int64_t lx_unserved(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
int64_t lx_unknown(struct lx_thread *t, uint64_t number);  // beyond the table
