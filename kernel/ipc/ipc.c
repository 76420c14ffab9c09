#include "kernel/ipc/ipc.h"

#include "kernel/ipc/endpoint.h"
#include "kernel/ipc/counter.h"
#include "kernel/ipc/event.h"
#include "kernel/ipc/futex.h"
#include "kernel/ipc/pipe.h"
#include "kernel/ipc/port.h"
#include "kernel/ipc/timer.h"

void ipc_init(void) {
    port_init();
    endpoint_init();
    event_init();
    counter_init();
    timer_init();
    futex_init();
    pipe_init();
}
