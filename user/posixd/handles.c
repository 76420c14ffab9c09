// The handles of this posixd. They are none of the state, where another one would find numbers that mean nothing to it.
#include "user/posixd/posixd.h"

static kpio_handle processes[PROCESSES_MAX], threads[PROCESSES_MAX], events[OPENS_MAX], pipes[SOCKETS_MAX];

static void set(kpio_handle *at, kpio_handle handle) {
    if (*at > 0) (void)kpio_handle_close((uint64_t)*at);
    *at = handle;
}

kpio_handle process_handle(const struct process *p) { return processes[p - state->processes]; }
kpio_handle thread_handle(const struct process *p) { return threads[p - state->processes]; }
kpio_handle event_handle(const struct open *o) { return events[o - state->opens]; }
kpio_handle pipe_handle(const struct socket *s) { return pipes[s - state->sockets]; }
void process_set_handle(const struct process *p, kpio_handle handle) { set(&processes[p - state->processes], handle); }
void thread_set_handle(const struct process *p, kpio_handle handle) { set(&threads[p - state->processes], handle); }
void event_set_handle(const struct open *o, kpio_handle handle) { set(&events[o - state->opens], handle); }
void pipe_set_handle(const struct socket *s, kpio_handle handle) { set(&pipes[s - state->sockets], handle); }
