// Offsets that entry.S knows. context.h asserts each of them.
#pragma once

#define TB_FOREIGN_RIP    32   // struct kpio_thread_block
#define TB_FOREIGN_RSP    40
#define TB_FOREIGN_RFLAGS 48
#define TB_THREAD         56   // user_data[0]

#define LX_THREAD_STACK   0    // struct lx_thread
#define LX_THREAD_PENDING 8
#define LX_THREAD_CALL    16

#define REGS_R15    0          // struct lx_registers
#define REGS_R11    48
#define REGS_RAX    80
#define REGS_RCX    88
#define REGS_RDI    112
#define REGS_RIP    120
#define REGS_RFLAGS 128
#define REGS_RSP    136
#define REGS_SIZE   144
