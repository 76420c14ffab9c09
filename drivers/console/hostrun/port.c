#include "drivers/console/hostrun/port.h"

#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/kpio.h"

#define F_MULTIPORT (1ull << 1)
#define PATIENCE_MS 60000u
#define NUMBER 1u            // of the port
#define CONTROLS 16u
#define CONTROL_BYTES 64u    // a message, and the name that may follow it

enum { QUEUE_CONTROL_RECEIVE = 2, QUEUE_CONTROL_SEND = 3, QUEUE_RECEIVE = 4, QUEUE_SEND = 5 };
enum { EVENT_DEVICE_READY = 0, EVENT_PORT_ADD = 1, EVENT_PORT_READY = 3, EVENT_PORT_OPEN = 6 };

struct control {
    uint32_t port;
    uint16_t event, value;
};

struct port_memory {
    uint8_t send[PORT_SENDS][PORT_SEND_BYTES];
    uint8_t receive[PORT_RECEIVES][PORT_RECEIVE_BYTES];
    uint8_t control_receive[CONTROLS][CONTROL_BYTES];
    struct control control_send[CONTROLS];
};

static uint64_t address_of(const struct port *p, const void *at) {
    return p->address + (uint64_t)((const uint8_t *)at - (const uint8_t *)p->memory);
}

static int give(struct port *p, struct virtq *q, unsigned queue, void *at, uint32_t bytes, bool device_writes, uint32_t cookie) {
    const struct virtq_buffer buffer = {address_of(p, at), bytes, device_writes};
    int error = virtq_add(q, &buffer, 1, cookie);
    if (error != 0) return -EIO;
    if (virtq_publish(q)) virtio_notify(&p->device, queue);
    return 0;
}

// ---- opening ----------------------------------------------------------------------------------------------------------------------

static int tell(struct port *p, uint16_t event, uint32_t port) {
    uint32_t cookie, written;
    while (virtq_take(&p->control_send, &cookie, &written) > 0) {}
    struct control *c = &p->memory->control_send[p->control_next];
    *c = (struct control){port, event, 1};
    int error = give(p, &p->control_send, QUEUE_CONTROL_SEND, c, sizeof *c, false, 0);
    p->control_next = (p->control_next + 1) % CONTROLS;
    return error;
}

static int give_control(struct port *p, uint32_t i) {
    return give(p, &p->control_receive, QUEUE_CONTROL_RECEIVE, p->memory->control_receive[i], CONTROL_BYTES, true, i);
}

static int hear(struct port *p, uint32_t i, uint32_t written) {
    struct control c;
    int error = 0;
    memcpy(&c, p->memory->control_receive[i], sizeof c);
    if (written >= sizeof c && c.event == EVENT_PORT_ADD && c.port == NUMBER && !p->is_open) {
        error = tell(p, EVENT_PORT_READY, NUMBER);
        if (error == 0) error = tell(p, EVENT_PORT_OPEN, NUMBER);
        p->is_open = error == 0;
    }
    return error != 0 ? error : give_control(p, i);
}

static int start(struct port *p) {
    int error = 0;
    virtq_interrupts(&p->control_send, false);  // looked at with each message, and so are pieces, unless all are away
    virtq_interrupts(&p->send, false);
    virtio_start(&p->device);
    for (uint32_t i = 0; i < CONTROLS && error == 0; i++) error = give_control(p, i);
    for (uint32_t i = 0; i < PORT_RECEIVES && error == 0; i++)
        error = give(p, &p->receive, QUEUE_RECEIVE, p->memory->receive[i], PORT_RECEIVE_BYTES, true, i);
    return error != 0 ? error : tell(p, EVENT_DEVICE_READY, UINT32_MAX);
}

static int wait_until_open(struct port *p) {
    const uint64_t deadline = time_after_ms(PATIENCE_MS);
    int error = 0;
    while (!p->is_open && error == 0) error = time_now() < deadline ? port_wait(p, deadline) : -ETIMEDOUT;
    return error;
}

int port_open(struct port *p) {
    uint64_t features;
    void *memory;
    *p = (struct port){0};
    int error = virtio_open(&p->device, VIRTIO_CONSOLE);
    if (error == 0) error = virtio_negotiate(&p->device, F_MULTIPORT, &features);
    if (error == 0 && !(features & F_MULTIPORT)) error = -ENODEV;
    if (error == 0) error = virtio_queue(&p->device, QUEUE_CONTROL_RECEIVE, CONTROLS, &p->control_receive);
    if (error == 0) error = virtio_queue(&p->device, QUEUE_CONTROL_SEND, CONTROLS, &p->control_send);
    if (error == 0) error = virtio_queue(&p->device, QUEUE_RECEIVE, 8, &p->receive);
    if (error == 0) error = virtio_queue(&p->device, QUEUE_SEND, 8, &p->send);
    if (error != 0) return error;
    int64_t handle = virtio_memory(&p->device, sizeof *p->memory, &memory, &p->address);
    if (handle < 0) return (int)handle;
    p->memory = memory;
    error = start(p);
    return error != 0 ? error : wait_until_open(p);
}

// ---- pieces -----------------------------------------------------------------------------------------------------------------------

static int take_controls(struct port *p) {
    uint32_t i, written;
    int taken;
    while ((taken = virtq_take(&p->control_receive, &i, &written)) > 0) {
        int error = hear(p, i, written);
        if (error != 0) return error;
    }
    return taken;
}

static int take_sent(struct port *p) {
    uint32_t i, written;
    int taken;
    while ((taken = virtq_take(&p->send, &i, &written)) > 0) p->sending &= ~(1u << i);
    return taken;
}

static int take_received(struct port *p) {
    uint32_t i, written;
    int taken;
    while ((taken = virtq_take(&p->receive, &i, &written)) > 0) {
        p->received[p->received_count].piece = i;
        p->received[p->received_count++].bytes = written;
    }
    return taken;
}

int port_take(struct port *p) {
    (void)kpio_irq_wait(p->device.irq, 0);
    if (p->device.transport->interrupt_ack != NULL) p->device.transport->interrupt_ack(&p->device);
    int error = take_controls(p);
    if (error == 0) error = take_sent(p);
    return error != 0 ? error : take_received(p);
}

int port_wait(struct port *p, uint64_t deadline) {
    struct kpio_wait_item item = {.handle = p->device.irq, .signals = KPIO_SIGNAL_FIRED};
    int64_t ready = kpio_handle_wait_many(&item, 1, deadline);
    return ready < 0 && ready != -EINTR ? (int)ready : port_take(p);
}

int port_flush(struct port *p) {
    virtq_interrupts(&p->send, true);
    int error = take_sent(p);
    while (error == 0 && p->sending != 0) error = port_wait(p, KPIO_TIME_NEVER);
    virtq_interrupts(&p->send, false);
    return error;
}

uint8_t *port_room(struct port *p) {
    const uint32_t all = (1u << PORT_SENDS) - 1;
    if (p->sending != 0 && take_sent(p) != 0) return NULL;
    if (p->sending == all) {
        virtq_interrupts(&p->send, true);  // before the last look, so that none slips between
        if (take_sent(p) != 0 || p->sending == all) return NULL;
    }
    virtq_interrupts(&p->send, false);
    return p->memory->send[__builtin_ctz(~p->sending)];
}

int port_send(struct port *p, const uint8_t *piece, uint32_t bytes) {
    uint32_t i = (uint32_t)((size_t)(piece - p->memory->send[0]) / PORT_SEND_BYTES);
    p->sending |= 1u << i;
    return give(p, &p->send, QUEUE_SEND, p->memory->send[i], bytes, false, i);
}

const uint8_t *port_received(const struct port *p, uint32_t *bytes) {
    if (p->received_count == 0) return NULL;
    *bytes = p->received[0].bytes;
    return p->memory->receive[p->received[0].piece];
}

int port_release(struct port *p) {
    uint32_t i = p->received[0].piece;
    memmove(&p->received[0], &p->received[1], --p->received_count * sizeof p->received[0]);
    return give(p, &p->receive, QUEUE_RECEIVE, p->memory->receive[i], PORT_RECEIVE_BYTES, true, i);
}
