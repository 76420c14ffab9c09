// Requests that take their time are answered by threads of their own, so that the service itself always hears a ping.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum work_queue { WORK_QUICK, WORK_SLOW, WORK_QUEUES };  // slow: what may compile

// Answers one request, a copy of the caller's message: the reply's header, its content in the thread's message page.
// `error` is not 0 where there is no room for it: then it only closes the request's handles.
typedef uint64_t work_fn(const void *request, int64_t error);

[[nodiscard]] int64_t work_begin(void);
// For a server's function: KPIO_REPLY_LATER, or a negative errno.
int64_t work_defer(enum work_queue queue, work_fn *run, const void *request, size_t size);
