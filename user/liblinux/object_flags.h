// What liblinux keeps in the flags of kernel objects (handle_flags), where all duplicates of a descriptor find it, after fork and
// exec too. Bit 0 is the kernel's: KPIO_OBJECT_NONBLOCK.
//
//     pipe, counter, port         the low bits below
//     timer                       ... and LX_TIMER_REAL
//     socket: the end to read     ... LX_SOCKET_*, and from bit LX_SOCKET_PEER on the peer's pid; of one that has a name and no
//                                 peer, or that takes datagrams, the id of the name
//     socket: the end to write    the peer's uid from bit 1, its gid from bit 32 on
//     mailbox with a name: the    the id of the name from bit 1, that of its peer from bit LX_SOCKET_PEER on: 0, it has none
//     end that all write to
//     event of a signalfd         LX_SIGNALFD: from bit 1 on the mask, without the two signals that it never has
#pragma once
#include "abi/gen/stubs.h"
#include "user/liblinux/context.h"

#define LX_OBJECT_ASYNC    (1ull << 1)
#define LX_OBJECT_PACKET   (1ull << 2)   // a pipe with O_DIRECT
#define LX_TIMER_REAL      (1ull << 3)   // CLOCK_REALTIME
#define LX_SOCKET_PASSCRED (1ull << 4)
#define LX_SOCKET_MUTE     (1ull << 5)   // sends no datagrams any more (shutdown)
#define LX_SOCKET_PEER     32u

static inline uint64_t lx_object_flags(kpio_handle handle, uint64_t clear, uint64_t set) {
    int64_t flags = kpio_handle_flags(handle, clear, set);
    return flags < 0 ? 0 : (uint64_t)flags;
}

// A signalfd's mask, packed and unpacked: SIGKILL (9) and SIGSTOP (19) are never in it.
static inline uint64_t lx_signalfd_pack(uint64_t mask) {
    return ((mask & 0xff) | (mask >> 1 & 0x1ff00) | (mask >> 2 & ~0x1ffffull)) << 1;
}
static inline uint64_t lx_signalfd_unpack(uint64_t flags) {
    const uint64_t bits = flags >> 1;
    return (bits & 0xff) | (bits & 0x1ff00) << 1 | (bits & 0x3ffffffffffe0000) << 2;
}
