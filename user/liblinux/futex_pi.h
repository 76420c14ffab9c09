// Locks with priority inheritance: the word is the owner's tid, with LX_FUTEX_WAITERS when somebody waits and LX_FUTEX_OWNER_DIED
// when the owner ended (robust.h). Who gives a lock back hands it to the most urgent waiter. flags: of the kernel's futex calls.
#pragma once
#include "user/liblinux/context.h"

// timeout: address of an absolute time on CLOCK_REALTIME, or without `real` CLOCK_MONOTONIC; 0: none.
[[nodiscard]] int64_t lx_futex_lock_pi(struct lx_thread *t, uint64_t address, uint64_t timeout, bool real, uint32_t flags);
// deadline: of the kernel's clock.
[[nodiscard]] int64_t lx_futex_lock_pi_until(struct lx_thread *t, uint64_t address, uint64_t deadline, uint32_t flags);
[[nodiscard]] int64_t lx_futex_try_pi(struct lx_thread *t, uint64_t address, uint32_t flags);
[[nodiscard]] int64_t lx_futex_unlock_pi(struct lx_thread *t, uint64_t address, uint32_t flags);
