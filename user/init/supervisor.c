#include "user/init/supervisor.h"

#include "lib/string.h"
#include "user/init/mounts.h"

struct supervisor supervisor;

// Packets of the port: ends of processes carry the service's number, commands this bit and the command as value.
#define KEY_COMMAND (1ull << 32)
#define PATIENCE_MAX_NS 3600000000000ull

struct supervised *supervisor_find(const char *name) {
    for (size_t i = 0; i < supervisor.count; i++)
        if (strcmp(supervisor.services[i].manifest.name, name) == 0) return &supervisor.services[i];
    return NULL;
}

int64_t supervisor_post(const struct supervised *s, enum command command) {
    return kpio_port_post(supervisor.port, KEY_COMMAND | supervisor_index(s), (uint64_t)command);
}

// Not now: at the time that the back-off says, or never again after too many ends in a row.
static void schedule_restart(struct supervised *s, uint64_t now) {
    uint64_t delay = backoff_ended(&s->backoff, now - s->started);
    if (s->backoff.in_a_row > s->manifest.attempts) {
        s->state = SERVICE_FAILED;
        print("init: %s: gave up after %u ends in a row\n", s->manifest.name, s->backoff.in_a_row);
        mounts_lose(s);
        return;
    }
    s->state = SERVICE_WAITING;
    s->due = now + delay;
    print("init: %s: starts again in %lu ms\n", s->manifest.name, (unsigned long)(delay / 1000000));
}

// What s needs is ready, or it goes without.
static void start_now(struct supervised *s) {
    int64_t result = service_start(s);
    if (result < 0 && s->on_trial) {
        trial_failed(s);
        result = service_start(s);
    }
    if (result == -ENODEV) {
        s->state = SERVICE_FAILED;
        print("init: %s: this machine has no such device\n", s->manifest.name);
    } else if (result < 0) {
        s->started = time_now();
        schedule_restart(s, s->started);
    }
}

static void start_or_wait(struct supervised *s) {
    uint64_t now = time_now();
    s->state = SERVICE_NEEDING;
    s->due = now + MIN(s->manifest.patience, PATIENCE_MAX_NS);
    if (needs_are_met(s, now)) start_now(s);
}

static void say_how_it_ended(const struct supervised *s, int64_t status) {
    const char *name = s->manifest.name;
    if (s->hung && s->state == SERVICE_STARTING)
        print("init: %s (pid %lu) was not ready within %lu ms: killed\n", name, (unsigned long)s->pid,
              (unsigned long)(s->manifest.ready / 1000000));
    else if (s->hung)
        print("init: %s (pid %lu) hung: its watchdog killed it\n", name, (unsigned long)s->pid);
    else if (status <= KPIO_STATUS_FAULT)
        print("init: %s (pid %lu) crashed: exception %ld\n", name, (unsigned long)s->pid, (long)(KPIO_STATUS_FAULT - status));
    else if (status == -ECANCELED)
        print("init: %s (pid %lu) was killed\n", name, (unsigned long)s->pid);
    else
        print("init: %s (pid %lu) ended with status %ld\n", name, (unsigned long)s->pid, (long)status);
}

static bool wants_restart(const struct supervised *s, int64_t status) {
    if (s->stop_wanted) return false;
    if (s->replacing || s->hung) return true;
    return s->manifest.restart == RESTART_ALWAYS || (s->manifest.restart == RESTART_FAILURE && status != 0);
}

static void service_ended(struct supervised *s, int64_t status) {
    uint64_t now = time_now();
    (void)kpio_port_unbind(supervisor.port, s->process, supervisor_index(s));  // or the port would report its closing
    (void)kpio_handle_close((uint64_t)s->process);
    s->process = KPIO_HANDLE_NONE;
    s->last_exit = status;
    s->ended = now;
    s->restarts++;
    say_how_it_ended(s, status);
    bool failed = s->on_trial && s->state == SERVICE_STARTING && !s->replacing;
    if (failed) trial_failed(s);
    if (s->stop_wanted || (!failed && !wants_restart(s, status))) {
        s->state = SERVICE_STOPPED;
        mounts_lose(s);
    } else if (failed) {
        start_or_wait(s);
    } else if (s->replacing) {
        trial_begin(s);
        start_or_wait(s);
    } else {
        schedule_restart(s, now);
    }
}

static void replace(struct supervised *s) {
    if (s->process == 0) {
        trial_begin(s);
        start_or_wait(s);
        return;
    }
    s->replacing = true;
    int64_t result = -ENOSYS;
    if (s->manifest.handover && s->state == SERVICE_RUNNING) {
        // It may have something to say to init before it answers: the names thread must be able to listen.
        mutex_unlock(&supervisor.lock);
        result = service_hand_over(s);
        mutex_lock(&supervisor.lock);
    }
    if (s->manifest.handover && result < 0)
        print("init: %s: keeps its state to itself (%s); it starts afresh\n", s->manifest.name, error_name(result));
    if (result < 0) service_kill(s);
}

static void run_command(struct supervised *s, enum command command) {
    switch (command) {
    case COMMAND_START:
        s->backoff.in_a_row = 0;
        if (s->process == 0 && s->state != SERVICE_REFUSED) start_or_wait(s);
        break;
    case COMMAND_STOP:
        s->stop_wanted = true;
        if (s->process == 0 && s->state != SERVICE_REFUSED) s->state = SERVICE_STOPPED;
        service_kill(s);
        break;
    case COMMAND_RESTART:
    case COMMAND_KILL: service_kill(s); break;
    case COMMAND_REPLACE: replace(s); break;
    case COMMAND_HUNG:
        s->hung = s->process > 0;
        service_kill(s);
        break;
    case COMMAND_COUNT: break;
    }
}

// When something has to be done about a service though nothing happens to it: it is to start again, or has not become
// ready in time though it promises to answer, or another version could go on.
static uint64_t due_of(const struct supervised *s) {
    if (s->state == SERVICE_WAITING || s->state == SERVICE_NEEDING) return s->due;
    if (s->state == SERVICE_STARTING && (s->manifest.watchdog != 0 || s->on_trial) && !s->hung)
        return s->started + MIN(s->manifest.ready, PATIENCE_MAX_NS);
    return KPIO_TIME_NEVER;
}

static uint64_t next_due(void) {
    uint64_t due = names_due();
    for (size_t i = 0; i < supervisor.count; i++) due = MIN(due, due_of(&supervisor.services[i]));
    return due;
}

// Whether something was done about s, so that others may go on.
static bool do_due_of(struct supervised *s, uint64_t now) {
    if (s->state == SERVICE_NEEDING) {
        bool met = needs_are_met(s, now);
        if (met) start_now(s);
        return met;
    }
    if (due_of(s) > now) return false;
    if (s->state == SERVICE_WAITING) start_or_wait(s);
    else run_command(s, COMMAND_HUNG);
    return true;
}

static void do_due(uint64_t now) {
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < supervisor.count; i++) more |= do_due_of(&supervisor.services[i], now);
    }
}

// One packet; true when the system is to end.
static bool handle_packet(const struct kpio_port_packet *packet, int64_t *status) {
    uint32_t index = (uint32_t)packet->key;
    if (index >= supervisor.count) return false;
    struct supervised *s = &supervisor.services[index];
    if (packet->key & KEY_COMMAND) {
        if (packet->value < COMMAND_COUNT) run_command(s, (enum command)packet->value);
        return false;
    }
    if (!(packet->signals & KPIO_SIGNAL_TERMINATED) || s->process == 0) return false;
    *status = (int32_t)packet->value;
    service_ended(s, *status);
    return s->manifest.is_main;
}

static int64_t supervise(void) {
    for (;;) {
        struct kpio_port_packet packet;
        int64_t status = 0;
        mutex_lock(&supervisor.lock);
        uint64_t due = next_due();
        mutex_unlock(&supervisor.lock);
        int64_t taken = kpio_port_wait(supervisor.port, &packet, 1, due);
        mutex_lock(&supervisor.lock);
        bool over = taken > 0 && handle_packet(&packet, &status);
        do_due(time_now());
        names_flush(time_now());
        mutex_unlock(&supervisor.lock);
        if (over) return status;
        if (taken < 0 && taken != -ETIMEDOUT) return taken;
    }
}

static int64_t start_all(void) {
    size_t started = 0;
    mutex_lock(&supervisor.lock);
    for (size_t i = 0; i < supervisor.ordered; i++) {
        struct supervised *s = &supervisor.services[supervisor.order[i]];
        if (!(s->manifest.modes & 1u << supervisor.options->mode) || supervisor_has_no_work_for(s)) continue;
        start_or_wait(s);
        started++;
    }
    mutex_unlock(&supervisor.lock);
    print("init: %zu of %zu services started\n", started, supervisor.count);
    return 0;
}

int64_t supervisor_run(void) {
    static struct thread names, watchdog;
    int64_t result = kpio_port_create();
    if (result > 0) supervisor.port = (kpio_handle)result;
    if (result > 0) result = kpio_endpoint_create();
    if (result < 0) return result;
    supervisor.endpoint = (kpio_handle)result;
    result = thread_spawn(&names, "names", names_main, NULL, NULL, 0);
    if (result == 0) result = thread_spawn(&watchdog, "watchdog", watchdog_main, NULL, NULL, 0);
    if (result == 0) result = start_all();
    return result < 0 ? result : supervise();
}
