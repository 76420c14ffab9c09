// The driver of virtio's network device: raw Ethernet frames for one client at a time (protocols/net.def).
//
// Two threads share it: messages (service_run) and interrupts. Interrupts are asked for only while a client waits for a
// frame; all other work is done in the client's own doorbell message. A device that lies ends the driver: init has it reset
// and starts another, clients connect again.
//
// Settings: hang_after=N  for tests: stops answering after N doorbells.
#include "drivers/net/virtio_net/driver.h"
#include "lib/string.h"
#include "protocols/gen/net.h"
#include "user/libkpio/kpio.h"

#define STATE_VERSION 1

struct state {  // handed to the next version
    uint64_t version;
    struct counters counters;
};

static struct driver driver;

[[gnu::noreturn]] static void give_up(const char *what, int64_t error) {
    print("net: %s: %s\n", what, error_name(error));
    process_exit(1);
}

static void work(void) {
    int error = device_work(&driver);
    if (error < 0) give_up("the device makes no sense", error);
    driver.doorbells++;
    while (driver.hang_after && driver.doorbells >= driver.hang_after) time_sleep_ms(1000);
}

// Answers the client that waits, with `result` 0 or an errno. Lock held.
static void waiter_answer(int64_t result) {
    struct net_wait_reply reply = {(uint32_t)driver.counters.sent, driver.shared ? device_received(&driver) : 0};
    kpio_handle waiter = driver.waiter;
    if (waiter <= 0) return;
    driver.waiter = KPIO_HANDLE_NONE;
    (void)kpio_timer_set(driver.timer, KPIO_TIME_NEVER, 0);
    virtq_interrupts(&driver.receive, false);
    uint64_t header = result ? KPIO_MESSAGE(-result, 0, 0) : net_wait_reply_encode(0, &reply);
    (void)kpio_reply_send(waiter, header);  // the client may have gone: nobody's business
}

// ---- messages ----------------------------------------------------------------------------------------------------------

static int64_t serve_open(void *context, uint64_t badge, const struct net_open_request *request,
                          struct net_open_reply *reply) {
    mutex_lock(&driver.lock);
    waiter_answer(-EBUSY);
    int error = device_restart(&driver);
    if (error) give_up("the device does not start", error);
    driver.counters.opens++;
    reply->mac = driver.mac;
    reply->session = ++driver.session;
    reply->shared = driver.shared_memory;
    mutex_unlock(&driver.lock);
    return 0;
}

static int64_t serve_kick(void *context, uint64_t badge, const struct net_kick_request *request,
                          struct net_kick_reply *reply) {
    mutex_lock(&driver.lock);
    int64_t error = driver.shared == NULL || request->session != driver.session ? -EBUSY : 0;
    if (!error) {
        work();
        reply->sent = (uint32_t)driver.counters.sent;
        reply->received = device_received(&driver);
    }
    mutex_unlock(&driver.lock);
    return error;
}

static int64_t serve_wait(void *context, uint64_t badge, const struct net_wait_request *request,
                          struct net_wait_reply *reply) {
    int64_t result = 0;
    mutex_lock(&driver.lock);
    waiter_answer(-EBUSY);
    if (driver.shared == NULL || request->session != driver.session) {
        result = -EBUSY;
    } else {
        virtq_interrupts(&driver.receive, true);  // before the last look, so that no frame slips between
        work();
        reply->received = device_received(&driver);
        reply->sent = (uint32_t)driver.counters.sent;
        if (reply->received == 0) {
            int64_t saved = kpio_reply_save();
            if (saved > 0) {
                driver.waiter = (kpio_handle)saved;
                driver.waiter_deadline = time_now() + request->timeout_ns;
                (void)kpio_timer_set(driver.timer, driver.waiter_deadline, 0);
                result = KPIO_REPLY_LATER;
            } else {
                result = saved;
            }
        }
        if (result != KPIO_REPLY_LATER) virtq_interrupts(&driver.receive, false);
    }
    mutex_unlock(&driver.lock);
    return result;
}

static int64_t serve_stats(void *context, uint64_t badge, const struct net_stats_request *request,
                           struct net_stats_reply *reply) {
    const struct counters *c = &driver.counters;
    *reply = (struct net_stats_reply){.sent = c->sent, .received = c->received, .dropped = c->dropped, .opens = c->opens};
    return 0;
}

static const struct net_server server = {
    .open = serve_open,
    .kick = serve_kick,
    .wait = serve_wait,
    .stats = serve_stats,
};

static uint64_t dispatch(void *context, uint64_t header, uint64_t badge) {
    return net_dispatch(&server, context, header, badge);
}

// ---- interrupts, and the waiting client's deadline -----------------------------------------------------------------------

enum { KEY_IRQ, KEY_TIMER };

static void interrupt_take(void) {
    (void)kpio_irq_wait(driver.device.irq, 0);
    if (driver.device.transport->interrupt_ack) driver.device.transport->interrupt_ack(&driver.device);
}

static int64_t interrupts_main(void *arg) {
    struct kpio_port_packet packets[2];
    for (;;) {
        int64_t count = kpio_port_wait(driver.port, packets, 2, KPIO_TIME_NEVER);
        if (count < 0 && count != -EINTR) return count;
        mutex_lock(&driver.lock);
        for (int64_t i = 0; i < count; i++) {
            if (packets[i].key == KEY_IRQ) interrupt_take();
            else (void)kpio_timer_read(driver.timer, 1, 0);
        }
        if (driver.waiter > 0) {
            work();
            if (device_received(&driver) > 0) waiter_answer(0);
            else if (time_now() >= driver.waiter_deadline) waiter_answer(-ETIMEDOUT);
        }
        mutex_unlock(&driver.lock);
    }
}

static int interrupts_start(void) {
    static struct thread thread;
    int64_t port = kpio_port_create(), timer = kpio_timer_create();
    if (port < 0 || timer < 0) return (int)(port < 0 ? port : timer);
    driver.port = (kpio_handle)port;
    driver.timer = (kpio_handle)timer;
    int64_t error = kpio_port_bind(driver.port, driver.device.irq, KPIO_SIGNAL_FIRED, KEY_IRQ, 1);
    if (!error) error = kpio_port_bind(driver.port, driver.timer, KPIO_SIGNAL_FIRED, KEY_TIMER, 1);
    return error ? (int)error : thread_spawn(&thread, "interrupts", interrupts_main, NULL, NULL, 0);
}

// ---- life ----------------------------------------------------------------------------------------------------------------

static kpio_handle retire(void *context) {
    struct state state = {STATE_VERSION, driver.counters};
    mutex_lock(&driver.lock);
    waiter_answer(-EPIPE);
    mutex_unlock(&driver.lock);
    int64_t vmo = kpio_vmo_create(4096, 0);
    if (vmo > 0 && kpio_vmo_write((kpio_handle)vmo, 0, &state, sizeof(state)) > 0) return (kpio_handle)vmo;
    return KPIO_HANDLE_NONE;
}

static void state_take(void) {
    struct state old;
    kpio_handle vmo = startup_handle("state");
    if (vmo <= 0 || kpio_vmo_read(vmo, 0, &old, sizeof(old)) != sizeof(old)) return;
    if (old.version == STATE_VERSION) driver.counters = old.counters;
}

int main(int argc, char **argv) {
    const struct service service = {.dispatch = dispatch, .retire = retire};
    driver.hang_after = startup_number("hang_after", 0);
    state_take();
    int error = device_open(&driver);
    if (error) give_up("no device", error);
    error = interrupts_start();
    if (error) give_up("no interrupts", error);
    return service_run(&service) == 0 ? 0 : 1;
}
