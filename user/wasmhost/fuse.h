// File systems that are WebAssembly programs: the module `kpio_fuse` that they import, over the driver's end of a FUSE channel and the
// disk that this process was given (KPIO_AT_FUSE, KPIO_AT_DISK). Messages go from the kernel right to linear memory and back:
// what a program says of its memory is checked here, what it says of files in the kernel.
//
//     receive(parts: i32, count: i32, buffer: i32, size: i32) -> i32    the reply, if count is not 0, and then the next request: its bytes
//     reply(parts: i32, count: i32) -> i32                             a reply or a notice alone
//     disk_size() -> i64                                               bytes
//     disk_read(offset: i64, to: i32, size: i32) -> i32                0; offset and size are any
//     disk_write(offset: i64, from: i32, size: i32) -> i32             0; offset and size are multiples of 512
//     disk_flush() -> i32
//
// Parts are pairs of u32: where, and how many bytes. All return a negative errno of KPIO's (Linux's numbers) on failure.
#pragma once
#include <stdbool.h>
#include <wasmtime.h>

// Whether this process has a channel to serve.
bool fuse_has_channel(void);
// Defines the module. NULL, or an error that is the caller's.
wasmtime_error_t *fuse_define(wasmtime_linker_t *linker);
// The instance that calls it from now on, by its memory. False: it exports none.
bool fuse_begin(wasmtime_context_t *context, const wasmtime_instance_t *instance);
