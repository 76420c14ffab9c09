// Build-time settings. Each is defined to 0 or 1 (or a number) so that code says `if (CONFIG_X)` and the
// compiler sees every branch in every build. The Makefile sets those that a build kind changes.
#pragma once

#ifndef CONFIG_DEBUG
#define CONFIG_DEBUG 0  // assertions, poison, red zones
#endif
#ifndef CONFIG_KASAN
#define CONFIG_KASAN 0  // shadow-checked memory accesses
#endif
#ifndef CONFIG_LOCKDEP
#define CONFIG_LOCKDEP 0  // lock-order checker
#endif
#ifndef CONFIG_COV
#define CONFIG_COV 0  // line coverage of the kernel
#endif

#define CONFIG_MAX_CPUS 64           // CPU sets are one 64-bit word
#define CONFIG_KERNEL_STACK_ORDER 2  // kernel stack: 4 pages, and a guard page below
