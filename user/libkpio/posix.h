// What both sides of protocols/posix.def know.
#pragma once

#define POSIX_MAIL 0x6c69616dull  // cookie of thread_interrupt: signals wait
#define POSIX_BADGE 1u            // of the endpoint that all processes of the session have
enum { POSIX_EXECUTED = 1 << 0 }; // attach: by another program than the one that was forked
