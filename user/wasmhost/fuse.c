#define _GNU_SOURCE
#include "user/wasmhost/fuse.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "abi/gen/stubs.h"

#define PARTS_MAX 512u
#define SECTOR 512u
#define BOUNCE_BYTES 65536u  // the largest block

static struct {
    kpio_handle channel, disk;
    uint64_t block;      // the disk's, in bytes
    wasmtime_memory_t memory;
    bool begun;
} fuse;

bool fuse_has_channel(void) {
    fuse.channel = (kpio_handle)getauxval(KPIO_AT_FUSE);
    fuse.disk = (kpio_handle)getauxval(KPIO_AT_DISK);
    struct kpio_disk_info info;
    if (fuse.disk > 0 && kpio_disk_info(fuse.disk, &info) == 0) fuse.block = info.block_size;
    if (fuse.block == 0 || fuse.block > BOUNCE_BYTES) fuse.disk = KPIO_HANDLE_NONE;
    return fuse.channel > 0;
}

bool fuse_begin(wasmtime_context_t *context, const wasmtime_instance_t *instance) {
    wasmtime_extern_t memory;
    if (!wasmtime_instance_export_get(context, instance, "memory", 6, &memory)) return false;
    fuse.begun = memory.kind == WASMTIME_EXTERN_MEMORY;
    if (fuse.begun) fuse.memory = memory.of.memory;
    return fuse.begun;
}

// ---- the program's memory -----------------------------------------------------------------------------------------------------

// It grows and moves between calls, but not within one: there is one thread.
struct linear {
    uint8_t *data;
    uint64_t size;
};

static struct linear memory_of(wasmtime_caller_t *caller) {
    if (!fuse.begun) return (struct linear){0};
    wasmtime_context_t *context = wasmtime_caller_context(caller);
    return (struct linear){wasmtime_memory_data(context, &fuse.memory), wasmtime_memory_data_size(context, &fuse.memory)};
}

// NULL: not all of it is there.
static uint8_t *place(struct linear m, uint64_t at, uint64_t bytes) {
    return at <= m.size && bytes <= m.size - at ? m.data + at : NULL;
}

static int64_t parts_of(struct linear m, uint32_t at, uint32_t count, struct kpio_io_vector *out) {
    if (count > PARTS_MAX) return -EINVAL;
    const uint8_t *from = place(m, at, (uint64_t)count * 8);
    if (from == NULL) return -EFAULT;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t part[2];
        memcpy(part, from + (size_t)i * 8, 8);
        const uint8_t *data = place(m, part[0], part[1]);
        if (data == NULL) return -EFAULT;
        out[i] = (struct kpio_io_vector){(uint64_t)(uintptr_t)data, part[1]};
    }
    return 0;
}

// ---- the channel --------------------------------------------------------------------------------------------------------------

static int64_t receive(struct linear m, const wasmtime_val_raw_t *args) {
    struct kpio_io_vector parts[PARTS_MAX];
    const uint32_t count = (uint32_t)args[1].i32, size = (uint32_t)args[3].i32;
    uint8_t *buffer = place(m, (uint32_t)args[2].i32, size);
    int64_t error = parts_of(m, (uint32_t)args[0].i32, count, parts);
    if (error != 0 || buffer == NULL) return error != 0 ? error : -EFAULT;
    return kpio_fuse_receive(fuse.channel, parts, count, buffer, size, KPIO_TIME_NEVER);
}

static int64_t reply(struct linear m, const wasmtime_val_raw_t *args) {
    struct kpio_io_vector parts[PARTS_MAX];
    const uint32_t count = (uint32_t)args[1].i32;
    int64_t error = parts_of(m, (uint32_t)args[0].i32, count, parts);
    return error != 0 ? error : kpio_fuse_reply(fuse.channel, parts, count);
}

// ---- the disk -----------------------------------------------------------------------------------------------------------------

static int64_t disk_size(struct linear m, const wasmtime_val_raw_t *args) {
    struct kpio_disk_info info;
    if (fuse.disk <= 0) return -ENODEV;
    int64_t error = kpio_disk_info(fuse.disk, &info);
    return error < 0 ? error : (int64_t)(info.sectors * SECTOR);
}

// Bytes that were read, at least one, into the beginning of `to`; what is no whole sector goes through memory of our own.
static int64_t read_some(uint64_t offset, uint8_t *to, uint64_t bytes) {
    static uint8_t bounce[BOUNCE_BYTES];
    const uint64_t block = fuse.block, skip = offset % block;
    if (skip == 0 && bytes >= block) {
        int64_t n = kpio_disk_read(fuse.disk, offset / SECTOR, to, bytes - bytes % block);
        return n != 0 ? n : -EIO;
    }
    const uint64_t wanted = skip != 0 && bytes > block - skip ? block - skip : bytes < block ? bytes : block;
    int64_t n = kpio_disk_read(fuse.disk, (offset - skip) / SECTOR, bounce, block);
    if (n < 0) return n;
    if ((uint64_t)n <= skip) return -EIO;
    const uint64_t got = (uint64_t)n - skip < wanted ? (uint64_t)n - skip : wanted;
    memcpy(to, bounce + skip, got);
    return (int64_t)got;
}

static int64_t disk_read(struct linear m, const wasmtime_val_raw_t *args) {
    uint64_t offset = (uint64_t)args[0].i64, bytes = (uint32_t)args[2].i32;
    uint8_t *to = place(m, (uint32_t)args[1].i32, bytes);
    if (fuse.disk <= 0) return -ENODEV;
    if (to == NULL) return -EFAULT;
    for (int64_t n; bytes > 0; offset += (uint64_t)n, to += n, bytes -= (uint64_t)n) {
        n = read_some(offset, to, bytes);
        if (n < 0) return n;
    }
    return 0;
}

static int64_t disk_write(struct linear m, const wasmtime_val_raw_t *args) {
    uint64_t offset = (uint64_t)args[0].i64, bytes = (uint32_t)args[2].i32;
    const uint8_t *from = place(m, (uint32_t)args[1].i32, bytes);
    if (fuse.disk <= 0) return -ENODEV;
    if (from == NULL) return -EFAULT;
    if (offset % SECTOR != 0 || bytes % SECTOR != 0) return -EINVAL;
    for (int64_t n; bytes > 0; offset += (uint64_t)n, from += n, bytes -= (uint64_t)n) {
        n = kpio_disk_write(fuse.disk, offset / SECTOR, from, bytes);
        if (n <= 0) return n < 0 ? n : -EIO;
    }
    return 0;
}

static int64_t disk_flush(struct linear m, const wasmtime_val_raw_t *args) {
    return fuse.disk > 0 ? kpio_disk_flush(fuse.disk) : -ENODEV;
}

// ---- the module ---------------------------------------------------------------------------------------------------------------

static const struct import {
    const char *name;
    const char *parameters;  // a letter each: i32, I64
    bool long_result;
    int64_t (*call)(struct linear m, const wasmtime_val_raw_t *args);
} imports[] = {
    {"receive", "iiii", false, receive},     {"reply", "ii", false, reply},           {"disk_size", "", true, disk_size},
    {"disk_read", "Iii", false, disk_read},  {"disk_write", "Iii", false, disk_write}, {"disk_flush", "", false, disk_flush},
};
#define IMPORTS (sizeof imports / sizeof imports[0])

static wasm_trap_t *call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t count) {
    const struct import *import = env;
    const int64_t result = import->call(memory_of(caller), values);
    if (import->long_result) values[0].i64 = result;
    else values[0].i32 = (int32_t)result;
    return NULL;
}

static wasm_functype_t *type_of(const struct import *import) {
    wasm_valtype_t *parameters[4], *result[1] = {import->long_result ? wasm_valtype_new_i64() : wasm_valtype_new_i32()};
    const size_t count = strlen(import->parameters);
    wasm_valtype_vec_t in, out;
    for (size_t i = 0; i < count; i++) parameters[i] = import->parameters[i] == 'I' ? wasm_valtype_new_i64() : wasm_valtype_new_i32();
    wasm_valtype_vec_new(&in, count, parameters);
    wasm_valtype_vec_new(&out, 1, result);
    return wasm_functype_new(&in, &out);
}

wasmtime_error_t *fuse_define(wasmtime_linker_t *linker) {
    static const char module[] = "kpio_fuse";
    wasmtime_error_t *error = NULL;
    for (const struct import *i = imports; i < imports + IMPORTS && error == NULL; i++) {
        wasm_functype_t *type = type_of(i);
        error = wasmtime_linker_define_func_unchecked(linker, module, sizeof module - 1, i->name, strlen(i->name), type, call,
                                                      (void *)(uintptr_t)i, NULL);
        wasm_functype_delete(type);
    }
    return error;
}
