// Robust mutexes: a thread that ends marks those it holds, so that the next owner knows.
#pragma once
#include "user/liblinux/context.h"

#define LX_FUTEX_WAITERS 0x80000000u
#define LX_FUTEX_OWNER_DIED 0x40000000u
#define LX_FUTEX_TID_MASK 0x3fffffffu

// Walks the list that set_robust_list named.
void lx_robust_walk(struct lx_thread *t);
