#include "tests/guest/kt/driver.h"

#include "protocols/gen/init.h"

#define FUNCTIONS_MAX 64
#define MAPPED_MAX 32

int64_t kt_device_find(uint32_t device, unsigned nth) {
    uint64_t functions[FUNCTIONS_MAX];
    int64_t count = kpio_pci_list(startup_handle("system"), functions, FUNCTIONS_MAX);
    for (int64_t i = 0; i < count && i < FUNCTIONS_MAX; i++)
        if ((uint32_t)(functions[i] >> 16) == device && nth-- == 0) return (int64_t)(functions[i] & 0xffff);
    return count < 0 ? count : -ENODEV;
}

// A virtio device, which PCI numbers 1af4:1040 + type, behind memory-mapped registers.
struct mapped {
    uint64_t base, size, gsi, type;
};
static bool mapped_find(uint32_t device, unsigned nth, struct mapped *found) {
    struct mapped all[MAPPED_MAX];
    int64_t bytes = kpio_system_boot_info(startup_handle("system"), 2, all, sizeof(all));
    if ((device & 0xffff) != 0x1af4) return false;
    for (int64_t i = 0; i < bytes / (int64_t)sizeof(all[0]) && i < MAPPED_MAX; i++) {
        if (all[i].type != (device >> 16) - 0x1040 || nth-- != 0) continue;
        *found = all[i];
        return true;
    }
    return false;
}

bool kt_device_exists(uint32_t device, unsigned nth) {
    struct mapped mapped;
    return kt_device_find(device, nth) >= 0 || mapped_find(device, nth, &mapped);
}

static int64_t open_mapped(const struct mapped *mapped, struct process_grant grants[2]) {
    int64_t mmio = kpio_mmio_create(startup_handle("system"), mapped->base & ~4095ull, 4096);
    if (mmio < 0) return mmio;
    int64_t irq = kpio_irq_create(startup_handle("system"), (uint32_t)mapped->gsi, KPIO_IRQ_LEVEL);
    if (irq < 0) {
        (void)kpio_handle_close((uint64_t)mmio);
        return irq;
    }
    grants[0] = (struct process_grant){"mmio", (kpio_handle)mmio, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    grants[1] = (struct process_grant){"irq", (kpio_handle)irq, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    return 2;
}

int64_t kt_device_open(uint32_t id, unsigned nth, struct process_grant grants[2]) {
    struct mapped mapped;
    int64_t address = kt_device_find(id, nth);
    if (address < 0) return mapped_find(id, nth, &mapped) ? open_mapped(&mapped, grants) : -ENODEV;
    int64_t pci = kpio_pci_open(startup_handle("system"), (uint64_t)address);
    if (pci < 0) return pci;
    grants[0] = (struct process_grant){"pci", (kpio_handle)pci, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    return 1;
}

// ---- init's part -------------------------------------------------------------------------------------------------------

static struct {
    kpio_handle endpoint;
    struct thread thread;
    uint32_t ready;  // calls of `ready` so far
    uint32_t fresh;  // of `serve` that asked for a mount without a past
    kpio_handle channel, kept;
} fake_init;

enum { LABEL_STOP = 0x7f00 };

static int64_t serve_ready(void *context, uint64_t badge, const struct init_ready_request *request,
                           struct init_ready_reply *reply) {
    __atomic_fetch_add(&fake_init.ready, 1, __ATOMIC_RELEASE);
    (void)kpio_futex_wake((uint64_t)&fake_init.ready, 64, UINT32_MAX, 0);
    return 0;
}

static int64_t serve_log(void *context, uint64_t badge, const struct init_log_request *request,
                         struct init_log_reply *reply) {
    print("driver: %.*s", (int)request->text_size, (const char *)request->text);
    return 0;
}

static int64_t serve_keep(void *context, uint64_t badge, const struct init_keep_request *request, struct init_keep_reply *reply) {
    kpio_handle old = __atomic_exchange_n(&fake_init.kept, request->state, __ATOMIC_ACQ_REL);
    if (old > 0) (void)kpio_handle_close((uint64_t)old);
    return 0;
}

// The end is moved, or nobody would see that the driver is gone.
static int64_t serve_serve(void *context, uint64_t badge, const struct init_serve_request *request, struct init_serve_reply *reply) {
    int64_t end = kpio_fuse_serve(fake_init.channel), saved = end < 0 ? end : kpio_reply_save();
    if (saved < 0) return saved;
    if (request->fresh) __atomic_fetch_add(&fake_init.fresh, 1, __ATOMIC_RELEASE);
    message_handle(0, (kpio_handle)end, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    if (kpio_reply_send((kpio_handle)saved, KPIO_MESSAGE(0, 0, 1)) == 0) return KPIO_REPLY_LATER;
    (void)kpio_handle_close((uint64_t)saved);
    (void)kpio_handle_close((uint64_t)end);
    return KPIO_REPLY_LATER;
}

void kt_init_mount(kpio_handle channel) { fake_init.channel = channel; }
uint32_t kt_init_fresh(void) { return __atomic_load_n(&fake_init.fresh, __ATOMIC_ACQUIRE); }
kpio_handle kt_init_kept(void) { return __atomic_exchange_n(&fake_init.kept, KPIO_HANDLE_NONE, __ATOMIC_ACQ_REL); }

static int64_t init_main(void *arg) {
    static const struct init_server server = {.ready = serve_ready, .log = serve_log, .keep = serve_keep, .serve = serve_serve};
    int64_t header = kpio_ipc_receive(fake_init.endpoint, KPIO_TIME_NEVER);
    while (header >= 0 || header == -ECANCELED || header == -EINTR) {
        if (header >= 0 && KPIO_MESSAGE_LABEL(header) == LABEL_STOP) break;
        uint64_t reply = header < 0 ? KPIO_REPLY_NONE : init_dispatch(&server, NULL, (uint64_t)header, 0);
        header = reply == KPIO_REPLY_NONE ? kpio_ipc_receive(fake_init.endpoint, KPIO_TIME_NEVER)
                                          : kpio_ipc_reply_receive(fake_init.endpoint, reply, KPIO_TIME_NEVER);
    }
    (void)kpio_ipc_reply(KPIO_MESSAGE(0, 0, 0));
    return 0;
}

int64_t kt_init_start(void) {
    int64_t endpoint = kpio_endpoint_create();
    if (endpoint < 0) return endpoint;
    fake_init.endpoint = (kpio_handle)endpoint;
    fake_init.ready = fake_init.fresh = 0;
    return thread_spawn(&fake_init.thread, "init", init_main, NULL, NULL, 0);
}

int64_t kt_init_stop(void) {
    (void)kpio_ipc_call(fake_init.endpoint, KPIO_MESSAGE(LABEL_STOP, 0, 0), time_after_ms(KT_HANG_MS));
    int64_t error = thread_join(&fake_init.thread, NULL);
    return error ? error : kpio_handle_close((uint64_t)fake_init.endpoint);
}

// ---- a driver's life -----------------------------------------------------------------------------------------------------

kpio_handle kt_init_endpoint(void) { return fake_init.endpoint; }
uint32_t kt_init_readies(void) { return __atomic_load_n(&fake_init.ready, __ATOMIC_ACQUIRE); }

int64_t kt_init_wait(uint32_t before) {
    uint64_t deadline = time_after_ms(KT_HANG_MS);
    while (__atomic_load_n(&fake_init.ready, __ATOMIC_ACQUIRE) == before) {
        int64_t error = kpio_futex_wait((uint64_t)&fake_init.ready, before, UINT32_MAX, deadline, 0);
        if (error == -ETIMEDOUT) return error;
    }
    return 0;
}

static int64_t spawn(struct kt_driver *d, const struct process_grant *device, unsigned parts, kpio_handle endpoint) {
    static struct archive archive;
    struct program program;
    const char *arguments[] = {d->program, NULL}, *what = "";
    struct process_grant grants[6] = {
        {"console", startup_handle("system"), KPIO_RIGHT_LOG, KPIO_SEND_COPY},
        {"service", endpoint, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
        {"init", fake_init.endpoint, KPIO_RIGHT_CALL, KPIO_SEND_COPY},
    };
    unsigned count = 3;
    for (unsigned i = 0; i < parts; i++) grants[count++] = device[i];
    if (d->state > 0) grants[count++] = (struct process_grant){"state", d->state, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    int64_t error = archive.data ? 0 : archive_open(&archive);
    if (!error) error = archive_program(&archive, d->program, &program);
    if (error) return error;
    const struct process_spec spec = {.name = "driver", .job = startup_handle("job"), .program = &program, .grants = grants,
                                      .grant_count = count, .arguments = arguments,
                                      .settings = d->settings};
    int64_t process = process_spawn(&spec, &what);
    if (process < 0) print("%s: %s: %s\n", d->program, what, error_name(process));
    return process;
}

int64_t kt_driver_start(struct kt_driver *d) {
    const uint32_t calling = KPIO_RIGHT_CALL | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_WAIT;
    struct process_grant device[2];
    int64_t parts = kt_device_open(d->device, d->nth, device), endpoint = parts < 0 ? parts : kpio_endpoint_create(), process = endpoint;
    uint32_t before = kt_init_readies();
    if (endpoint > 0) {
        d->endpoint = (kpio_handle)kpio_handle_dup((kpio_handle)endpoint, calling);
        process = spawn(d, device, (unsigned)parts, (kpio_handle)endpoint);
    }
    if (process < 0) {
        for (int64_t i = 0; i < parts; i++) (void)kpio_handle_close((uint64_t)device[i].handle);
        if (endpoint > 0) (void)kpio_handle_close((uint64_t)endpoint);
        return process;
    }
    d->process = (kpio_handle)process;
    return kt_init_wait(before);
}

// The process is at its end: what is left of it here goes.
static int64_t driver_gone(struct kt_driver *d) {
    int64_t error = wait_terminated(d->process, time_after_ms(KT_HANG_MS), NULL);
    (void)kpio_handle_close((uint64_t)d->process);
    (void)kpio_handle_close((uint64_t)d->endpoint);
    d->process = d->endpoint = KPIO_HANDLE_NONE;
    return error;
}

int64_t kt_driver_kill(struct kt_driver *d) {
    if (d->process <= 0) return 0;
    (void)kpio_process_kill(d->process, 99);
    return driver_gone(d);
}

int64_t kt_driver_retire(struct kt_driver *d) {
    int64_t header = kpio_ipc_call(d->endpoint, KPIO_MESSAGE(SERVICE_RETIRE, 0, 0), time_after_ms(KT_HANG_MS));
    if (header < 0) return header;
    if (d->state > 0) (void)kpio_handle_close((uint64_t)d->state);
    d->state = KPIO_MESSAGE_HANDLES(header) > 0 ? message_handle_taken(0, KPIO_KIND_VMO) : KPIO_HANDLE_NONE;
    return driver_gone(d);
}
