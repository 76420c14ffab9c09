// What waits in a port. Internal to kernel/ipc; pure but for waking. port->waiters.lock is held everywhere.
#pragma once
#include "kernel/ipc/port.h"

// Queues a binding's packet. Returns true when the port had nothing before: its own watchers are to be told.
bool port_queue_binding(struct port *port, struct port_binding *b);
void port_dequeue_binding(struct port *port, struct port_binding *b);
// 0, or -ENOSPC. *was_empty as above.
[[nodiscard]] int port_queue_posted(struct port *port, uint64_t key, uint64_t value, bool *was_empty);
// Takes up to count packets. Bindings that ended with their packet go to *ended, by ready_node: to be freed.
uint32_t port_take(struct port *port, struct kpio_port_packet *packets, uint32_t count, struct list *ended);
// Dequeues bindings that look afresh and have nothing to tell, up to the first that has. False: `most` were looked at.
bool port_queue_settle(struct port *port, uint32_t most);
void port_free_posted(struct port *port);
