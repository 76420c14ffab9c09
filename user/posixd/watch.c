// Hears of processes that end and of opens that nobody holds any more. What has happened before a message was sent is heard
// before it is served: packets are taken from the port under the lock only.
#include "lib/util.h"
#include "user/posixd/posixd.h"

#define KEY(type, number) ((uint64_t)(type) << 48 | (number))

static kpio_handle port;
static struct thread thread;

int64_t watch_process(const struct process *p) {
    return kpio_port_bind(port, process_handle(p), KPIO_SIGNAL_TERMINATED, KEY(WATCH_PROCESS, p->pid), 0);
}

int64_t watch_open(uint32_t index) {
    const struct open *o = &state->opens[index];
    return kpio_port_bind(port, event_handle(o), KPIO_SIGNAL_PEER_GONE, KEY(WATCH_OPEN, (uint64_t)o->generation << 16 | index), 0);
}

int64_t watch_socket(const struct socket *s) {
    return kpio_port_bind(port, pipe_handle(s), KPIO_SIGNAL_PEER_GONE, KEY(WATCH_SOCKET, s->id), 0);
}

static void hear(const struct kpio_port_packet *packet) {
    if (packet->key >> 48 == WATCH_PROCESS) {
        const struct process *p = process_find((uint32_t)packet->key);
        if (p != NULL) process_ended(p);
        return;
    }
    if (packet->key >> 48 == WATCH_SOCKET) {
        const struct socket *s = socket_find((uint32_t)packet->key);
        if (s != NULL) socket_gone(s);
        return;
    }
    const struct open *o = &state->opens[packet->key & 0xffff];
    if (o->used && o->generation == (uint32_t)(packet->key >> 16)) open_gone(o);
}

kpio_handle watch_port(void) { return port; }

void watch_hear(void) {
    struct kpio_port_packet packets[16];
    int64_t count;
    do {
        count = kpio_port_wait(port, packets, ARRAY_SIZE(packets), 0);
        for (int64_t i = 0; i < count; i++) {
            hear(&packets[i]);
            settle();
        }
    } while (count == ARRAY_SIZE(packets));
}

static int64_t run(void *arg) {
    for (;;) {
        struct kpio_wait_item item = {.handle = port, .signals = KPIO_SIGNAL_READABLE};
        (void)kpio_handle_wait_many(&item, 1, KPIO_TIME_NEVER);
        mutex_lock(&state_lock);
        watch_hear();
        mutex_unlock(&state_lock);
    }
    return 0;
}

int watch_start(void) {
    int64_t result = kpio_port_create();
    if (result < 0) return (int)result;
    port = (kpio_handle)result;
    return thread_spawn(&thread, "watch", run, NULL, NULL, 0);
}
