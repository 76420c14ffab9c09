// init's own protocol: how services find each other, write to the log and ask for control.
#include "lib/fmt.h"
#include "lib/string.h"
#include "protocols/gen/init.h"
#include "user/init/mounts.h"
#include "user/init/run.h"
#include "user/init/supervisor.h"

#define WAITERS_MAX 64u
#define LATE_NS 600000000000ull

// Who waits for a service that is not ready: the reply is kept until it is. Guarded by the supervisor's lock.
static struct waiter {
    kpio_handle reply;  // 0: free
    uint32_t service;
    uint64_t deadline;
} waiters[WAITERS_MAX];

// Messages of init itself come without a badge; those of services with their number, from 1.
static struct supervised *sender(uint64_t badge) {
    return badge == 0 || badge > supervisor.count ? NULL : &supervisor.services[badge - 1];
}

static void answer(struct waiter *waiter, int64_t error) {
    struct init_connect_reply reply = {.endpoint = supervisor.services[waiter->service].endpoint};
    uint64_t header = error ? KPIO_MESSAGE(-error, 0, 0) : init_connect_reply_encode(0, &reply);
    if (kpio_reply_send(waiter->reply, header) < 0) (void)kpio_handle_close((uint64_t)waiter->reply);
    waiter->reply = KPIO_HANDLE_NONE;
}

// Whether it can be called. One whose end the supervisor has not heard of yet cannot: nobody receives from its endpoint any more.
static bool is_here(const struct supervised *s) {
    struct kpio_wait_item item = {.handle = s->endpoint, .signals = KPIO_SIGNAL_PEER_GONE};
    if (s->state != SERVICE_RUNNING || s->replacing || s->hung) return false;
    return kpio_handle_wait_many(&item, 1, 0) != 1;
}

void names_flush(uint64_t now) {
    for (struct waiter *waiter = waiters; waiter < waiters + WAITERS_MAX; waiter++) {
        if (waiter->reply == 0) continue;
        enum service_state state = supervisor.services[waiter->service].state;
        if (is_here(&supervisor.services[waiter->service]))
            answer(waiter, 0);
        else if (state == SERVICE_FAILED || state == SERVICE_REFUSED || state == SERVICE_STOPPED)
            answer(waiter, -ENOENT);
        else if (waiter->deadline <= now)
            answer(waiter, -ETIMEDOUT);
    }
}

uint64_t names_due(void) {
    uint64_t due = KPIO_TIME_NEVER;
    for (const struct waiter *waiter = waiters; waiter < waiters + WAITERS_MAX; waiter++)
        if (waiter->reply != 0 && waiter->deadline < due) due = waiter->deadline;
    return due;
}

static int64_t wait_for(struct supervised *s, uint64_t timeout_ns) {
    struct waiter *waiter = waiters;
    while (waiter < waiters + WAITERS_MAX && waiter->reply != 0) waiter++;
    if (waiter == waiters + WAITERS_MAX) return -EAGAIN;
    int64_t reply = kpio_reply_save();
    if (reply < 0) return reply;
    *waiter = (struct waiter){.reply = (kpio_handle)reply, .service = supervisor_index(s),
                              .deadline = time_now() + MIN(timeout_ns, LATE_NS)};
    // The supervisor sleeps until the times it knew of: any packet makes it look again.
    (void)kpio_port_post(supervisor.port, UINT32_MAX, 0);
    return KPIO_REPLY_LATER;
}

static int64_t do_connect(void *context, uint64_t badge, const struct init_connect_request *request,
                          struct init_connect_reply *reply) {
    struct supervised *s = supervisor_find(request->name);
    if (s == NULL || !s->manifest.serves) return -ENOENT;
    switch (s->state) {
    case SERVICE_RUNNING:
        if (!is_here(s)) return wait_for(s, request->timeout_ns);  // the one that ran is on its way out
        reply->endpoint = s->endpoint;
        return 0;
    case SERVICE_STARTING:
    case SERVICE_NEEDING:
    case SERVICE_WAITING: return wait_for(s, request->timeout_ns);
    default: return -ENOENT;
    }
}

static int64_t do_ready(void *context, uint64_t badge, const struct init_ready_request *request,
                        struct init_ready_reply *reply) {
    struct supervised *s = sender(badge);
    if (s == NULL) return -EACCES;
    if (s->state == SERVICE_STARTING) {
        s->state = SERVICE_RUNNING;
        trial_passed(s);
    }
    if (s->ended != 0)
        print("init: %s runs again (pid %lu), %lu us after its end\n", s->manifest.name, (unsigned long)s->pid,
              (unsigned long)((time_now() - s->ended) / 1000));
    names_flush(time_now());
    // Somebody may need it to start.
    (void)kpio_port_post(supervisor.port, UINT32_MAX, 0);
    return 0;
}

static int64_t do_log(void *context, uint64_t badge, const struct init_log_request *request,
                      struct init_log_reply *reply) {
    const struct supervised *s = sender(badge);
    print("%s: %.*s", s != NULL ? s->manifest.name : "?", (int)request->text_size, (const char *)request->text);
    return 0;
}

static int64_t do_list(void *context, uint64_t badge, const struct init_list_request *request,
                       struct init_list_reply *reply) {
    static const char *const states[] = {"stopped", "starting", "running", "waiting", "failed", "refused",
                                         "needing"};
    if (request->index >= supervisor.count) return -ENOENT;
    const struct supervised *s = &supervisor.services[request->index];
    memcpy(reply->name, s->manifest.name, sizeof(reply->name));
    (void)fmt_print(reply->state, sizeof(reply->state), "%s", states[s->state]);
    reply->pid = s->process > 0 ? s->pid : 0;
    reply->restarts = s->restarts;
    reply->version = s->version;
    reply->last_exit = s->last_exit;
    return 0;
}

static bool may(const struct supervised *s, enum grant_kind what) { return s != NULL && service_is_granted(&s->manifest, what); }

static int64_t do_control(void *context, uint64_t badge, const struct init_control_request *request,
                          struct init_control_reply *reply) {
    static const char *const names[] = {"start", "stop", "restart", "replace", "kill"};
    struct supervised *s = supervisor_find(request->name);
    if (!may(sender(badge), GRANT_CONTROL)) return -EACCES;
    if (s == NULL) return -ENOENT;
    if (request->program[0] != 0) {
        if (strcmp(request->command, "replace") != 0) return -EINVAL;
        struct program program;
        int error = archive_program(supervisor.archive, request->program, &program);
        if (error) return error;
        if (!program_can_load(&program, request->program)) return -ENOEXEC;
        memcpy(s->successor, request->program, sizeof(s->successor));
    }
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(request->command, names[i]) == 0) return supervisor_post(s, (enum command)i);
    return -EINVAL;
}

static int64_t do_keep(void *context, uint64_t badge, const struct init_keep_request *request,
                       struct init_keep_reply *reply) {
    struct supervised *s = sender(badge);
    if (s == NULL || request->state == 0) {
        if (request->state > 0) (void)kpio_handle_close((uint64_t)request->state);
        return s == NULL ? -EACCES : -EINVAL;
    }
    if (s->saved > 0) (void)kpio_handle_close((uint64_t)s->saved);
    s->saved = request->state;
    return 0;
}

// The end is moved: a copy that stays here would keep the kernel from seeing that the driver is gone.
static int64_t do_serve(void *context, uint64_t badge, const struct init_serve_request *request, struct init_serve_reply *reply) {
    struct supervised *s = sender(badge);
    if (!may(s, GRANT_MOUNT)) return -EACCES;
    const struct mount_driver driver = {request->tag, request->fresh != 0, request->stateless != 0, request->timeout};
    int64_t end = mounts_serve(s, &driver);
    int64_t saved = end < 0 ? end : kpio_reply_save();
    if (saved >= 0) {
        message_handle(0, (kpio_handle)end, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
        if (kpio_reply_send((kpio_handle)saved, KPIO_MESSAGE(0, 0, 1)) == 0) return KPIO_REPLY_LATER;
        (void)kpio_handle_close((uint64_t)saved);
    }
    if (end > 0) (void)kpio_handle_close((uint64_t)end);
    return saved < 0 ? saved : KPIO_REPLY_LATER;
}

int64_t names_main(void *arg) {
    static const struct init_server server = {.connect = do_connect, .ready = do_ready, .log = do_log,
                                              .list = do_list, .control = do_control, .keep = do_keep, .serve = do_serve};
    int64_t header = kpio_ipc_receive(supervisor.endpoint, KPIO_TIME_NEVER);
    for (;;) {
        uint64_t reply = KPIO_REPLY_NONE;
        if (header >= 0) {
            mutex_lock(&supervisor.lock);
            reply = init_dispatch(&server, NULL, (uint64_t)header, thread_self()->badge);
            mutex_unlock(&supervisor.lock);
        }
        header = reply == KPIO_REPLY_NONE ? kpio_ipc_receive(supervisor.endpoint, KPIO_TIME_NEVER)
                                          : kpio_ipc_reply_receive(supervisor.endpoint, reply, KPIO_TIME_NEVER);
    }
}
