// Telling each Linux call with its arguments and its result, and the native calls that it becomes. Whoever has
//
//     KPIO_TRACE=LEVEL[,pid=PID][,native][,file=PATH]
//
// in the environment that it is started with is traced, and what it forks: 1 tells a call when it has ended, 2 when it begins too
// (for what never ends). pid: this process alone. native: its native calls before each line. The lines go to the end of the file;
// without one, or an empty path, to the console if whoever started the first program gave it the right (linux_spec.system), else to
// descriptor 2 as it is when the program starts. ktrace (host/kpio/rootfs/ktrace) is the program that people use.
#pragma once
#include "user/liblinux/context.h"

enum { LX_TRACE_NONE, LX_TRACE_RESULTS, LX_TRACE_ALL, LX_TRACE_LEVEL = 3, LX_TRACE_NATIVE };

// Looks at the environment, which is in place.
void lx_trace_begin(struct lx_thread *t);
// The process is the child of a traced one, perhaps: whether it is traced itself.
void lx_trace_forked(struct lx_thread *t);
// Serves the call t->call (lx_entry_traced) and tells it.
int64_t lx_trace_call(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
// Tells text that ends with a newline.
void lx_trace_tell(struct lx_thread *t, const char *text, size_t bytes);

// ---- trace_native.c -----------------------------------------------------------------------------------------------------------
// Between the two the thread's native calls are noted; the second one tells them.
void lx_trace_native_begin(struct lx_thread *t);
void lx_trace_native_end(struct lx_thread *t);
// An exception of the thread was one step of that: true, and the frame is what it goes on with.
struct kpio_exception_frame;
[[nodiscard]] bool lx_trace_native_step(struct lx_thread *t, struct kpio_exception_frame *frame);
// A number as a result, with the name of its error.
size_t lx_trace_result(char *to, size_t room, int64_t result);
