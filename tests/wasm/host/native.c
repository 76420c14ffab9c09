// The same with KPIO's own calls, past liblinux.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/fs.h"
#include "abi/gen/stubs.h"
#include "tests/wasm/host/hostile.h"

#define PAGE 4096ul
#define HANDLES_TRIED 512u

static int maps(kpio_handle aspace, int64_t memory, uint32_t flags) {
    return memory > 0 && kpio_aspace_map(aspace, (kpio_handle)memory, 0, PAGE, flags, 0) > 0;
}

// All that the process has, one after the other: each is tried as what it may be.
static void with_handle(kpio_handle h, kpio_handle aspace) {
    struct kpio_handle_info info;
    const uint32_t written = KPIO_MAP_READ | KPIO_MAP_WRITE, executed = KPIO_MAP_READ | KPIO_MAP_EXECUTE;
    kpio_handle other;
    if (kpio_handle_info(h, &info) != 0) return;
    int64_t both = kpio_file_vmo(h, KPIO_RIGHT_WRITE | KPIO_RIGHT_READ);
    try("memory of a file to write", maps(aspace, both, written) && (info.rights & KPIO_RIGHT_EXECUTE));
    int64_t clone = kpio_vmo_clone(h, 0, 0, PAGE);
    try("a clone of memory", maps(aspace, clone, executed));
    bool runs = info.kind == KPIO_KIND_VMO && info.rights & KPIO_RIGHT_EXECUTE;
    try("its memory, written", runs && kpio_vmo_write(h, 0, code, sizeof code) > 0);
    try("its memory, to write and execute", maps(aspace, h, written | KPIO_MAP_EXECUTE));
    try("a process that may make code", kpio_process_create(h, 1, "x", 1, &other) > 0);
    try("a process", kpio_process_create(h, 0, "x", 1, &other) > 0);
    int64_t more = kpio_handle_dup(h, info.rights | KPIO_RIGHT_WRITE | KPIO_RIGHT_EXECUTE | KPIO_RIGHT_JIT);
    try("more rights", more > 0 && (info.rights & (KPIO_RIGHT_WRITE | KPIO_RIGHT_EXECUTE)) != (KPIO_RIGHT_WRITE | KPIO_RIGHT_EXECUTE));
}

void try_native_calls(void) {
    kpio_handle aspace = 0;
    int64_t memory = kpio_vmo_create(PAGE, 0), fs = kpio_fs_mount("tmpfs", 0, 0, NULL), fresh = kpio_aspace_create();
    for (uint32_t i = 0; i < HANDLES_TRIED; i++) {
        for (uint32_t generation = 1; generation < 4; generation++) {
            struct kpio_handle_info info;
            kpio_handle h = (kpio_handle)(generation << 18 | i);
            if (kpio_handle_info(h, &info) == 0 && info.kind == KPIO_KIND_ASPACE && h != (kpio_handle)fresh) aspace = h;
        }
    }
    try("no address space at all", aspace == 0);
    try("memory of its own", maps(aspace, memory, KPIO_MAP_READ | KPIO_MAP_EXECUTE));
    try("memory without a handle", kpio_aspace_map(aspace, 0, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_EXECUTE | KPIO_MAP_ANONYMOUS, 0) > 0);
    try("in another address space", fresh > 0 && maps((kpio_handle)fresh, memory, KPIO_MAP_READ | KPIO_MAP_EXECUTE));
    if (fs > 0) {
        int64_t file = kpio_path_open((kpio_handle)fs, "code", KPIO_OPEN_CREATE, 0755, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE);
        (void)kpio_file_write((kpio_handle)(uint32_t)file, code, sizeof code, 0, 0);
        (void)kpio_handle_close((uint32_t)file);
        file = kpio_path_open((kpio_handle)fs, "code", 0, 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
        try("a file of its own", file > 0 && maps(aspace, kpio_file_vmo((kpio_handle)(uint32_t)file, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE),
                                                  KPIO_MAP_READ | KPIO_MAP_EXECUTE));
    }
    for (uint32_t i = 0; i < HANDLES_TRIED; i++)
        for (uint32_t generation = 1; generation < 4; generation++) with_handle((kpio_handle)(generation << 18 | i), aspace);
}
