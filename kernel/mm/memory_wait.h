// Memory that is on its way back: what dying processes hold, what the reaper has yet to free, what waits for a grace period. Who
// finds none may wait for it before he says ENOMEM, as all of the machine's may be there.
//
// Only who holds nothing waits: no spin lock, and no mutex either, for a process that ends may need it to close its files. So
// waits are at the borders of the kernel: a fault of user code, and a system call that has failed with nothing changed and is
// made again (`waits` in abi/syscalls.def). A fault in a copy from or to user memory does not wait, its call does. Nobody who
// frees memory waits: neither a thread that was killed, nor the reaper, nor write-back.
//
// A process that ends may still wait for one that waits here (for a driver's answer). So a wait without progress is given up.
#pragma once
#include "lib/list.h"

// Of a process: memory that it will give back.
struct memory_debt {
    struct list_node node;
    uint64_t number;
};
// The owner has begun to end, and later has given back what it had (part of it perhaps to the reaper). Any lock may be held.
void memory_owe(struct memory_debt *debt);
void memory_pay(struct memory_debt *debt);

// The state of one wait; zeroed at its beginning.
struct memory_wait {
    uint64_t debts_before, items_before;  // whose end the round waits for
    uint64_t seen, since;                 // progress, and when it was made
    uint32_t rounds;
    bool in_round;
};
// For who found no memory: true when it is worth another try, after a piece of what is on its way has come back. False: nothing is,
// or that was waited for in vain. Nothing is held (see above); preemptible, sleeps.
[[nodiscard]] bool memory_wait(struct memory_wait *wait);
