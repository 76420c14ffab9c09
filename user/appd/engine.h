// What runs apps and compiles them: Linux programs of the boot archive, below /lib/kpio, and what engine they are made with.
#pragma once
#include "user/appd/verify.h"
#include "user/libkpio/process.h"

// ENGINE_FULL_HOST has compilers inside: it runs what is not compiled before.
enum engine_program { ENGINE_HOST, ENGINE_COMPILER, ENGINE_FULL_HOST, ENGINE_PROGRAMS };

// Reads /lib/kpio/engine and looks at the processor. 0, or a negative errno and *what; -ENOENT: there is none. Once, before the others.
[[nodiscard]] int64_t engine_open(const struct archive *archive, kpio_handle memory, const char **what);
#define ENGINE_BYTE_CODE "pulley"  // in place of a processor's level: code for the engine's interpreter
// The engine, its settings, and the processor's level, as code is made now; or as byte code is.
const struct engine_identity *engine_now(bool byte_code);
const struct archive *engine_archive(void);
// The program's file, to read and execute, which stays appd's; -ENOENT: the archive has none. It is copied out of the archive when
// it is first asked for. Any thread.
[[nodiscard]] int64_t engine_program(enum engine_program program);
// An empty directory to be read only, with /dev, /proc and /sys as Linux programs want them: a root for who gets no files.
kpio_handle engine_empty_root(void);
