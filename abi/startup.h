// What a new process finds in memory: one page with its arguments and its handles by name. The address is in rdi when its
// first thread starts, the thread block's in rsi. The kernel writes it for init, libkpio (process_spawn) for the rest.
//
// init gets: "system" (all rights), "job" (the root job), "process", "aspace", "thread" (its own), and "initrd", a VMO of
// the whole boot archive with READ, EXECUTE, MAP, DUPLICATE, TRANSFER, INSPECT; and
// "framebuffer", an mmio handle, where the boot loader set one up (system_boot_info tells its mode). Its argv is {"init"};
// the kernel's command line is read with system_boot_info. Its ELF file is /sbin/init in the archive (newc, lib/cpio.h).
// Everybody else gets "process", "aspace", "thread" (its own) and what its manifest or parent grants.
#pragma once
#include "abi/types.h"

#define KPIO_STARTUP_MAGIC 0x74726174736b706bull  // "kpkstart"
#define KPIO_STARTUP_VERSION 1u
#define KPIO_STARTUP_NAME_MAX 23u
#define KPIO_STARTUP_HANDLES_MAX 64u
#define KPIO_STARTUP_TEXT_MAX 2016u
#define KPIO_STARTUP_STACK_BYTES 65536u  // of init; mapped with the startup page above it or apart

struct kpio_startup_handle {
    char name[KPIO_STARTUP_NAME_MAX + 1];  // NUL-terminated
    kpio_handle handle;
    uint32_t reserved;
};

struct kpio_startup {
    uint64_t magic;
    uint32_t version;
    uint32_t handle_count;   // entries of handles[] in use
    uint32_t argc;           // strings in text[]
    uint32_t text_bytes;     // bytes of text[] in use, terminators included
    uint64_t reserved;
    struct kpio_startup_handle handles[KPIO_STARTUP_HANDLES_MAX];
    char text[KPIO_STARTUP_TEXT_MAX];  // argc strings one after the other, each NUL-terminated; then key=value settings
};
_Static_assert(sizeof(struct kpio_startup_handle) == 32, "ABI");
_Static_assert(offsetof(struct kpio_startup, handles) == 32, "ABI");
_Static_assert(sizeof(struct kpio_startup) == 4096, "one page");
