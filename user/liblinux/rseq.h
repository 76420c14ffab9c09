// Restartable sequences (rseq(2)): the kernel's restart areas (struct kpio_restart_area) have the layout of struct rseq, so it does
// all of it but to say who may register what.
#pragma once
#include "user/liblinux/context.h"

#define LX_RSEQ_SIZE 32u  // least size, and alignment of an area
#define LX_RSEQ_USED 28u  // up to mm_cid, which is the CPU's number

// The thread ends: its area, if it has one, may be unmapped from now on.
void lx_rseq_end(struct lx_thread *t);
