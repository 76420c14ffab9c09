// What outlives this posixd: kept by who runs the session (protocols/keeper.def).
#include "protocols/gen/keeper.h"

#include "lib/util.h"
#include "user/libkpio/posix.h"
#include "user/posixd/posixd.h"

enum { KEY_EVENT = 1, KEY_THREAD, KEY_PIPE, KEY_AUDIENCE };
#define KEY(type, number) ((uint64_t)(type) << 48 | (number))
#define KEY_TYPE(key) ((key) >> 48)
#define KEY_OPEN(type, index, generation) KEY(type, (uint64_t)(generation) << 16 | (index))
#define KEY_INDEX(key) ((uint32_t)(key) & 0xffff)
#define KEY_GENERATION(key) ((uint32_t)((key) >> 16))

static struct client *keeper(void) {
    static struct client client = {.timeout_ns = 3600000000000ull};  // it never waits for anybody: without it a call fails at once
    client.endpoint = startup_handle("keeper");
    return &client;
}

int64_t keep_state(void) {
    struct keeper_state_request request;
    struct keeper_state_reply reply;
    const uint64_t size = journal_size();
    int64_t error = keeper_state(keeper(), &request, &reply);
    if (error < 0 && error != -ENOENT) return error;
    bool fresh = error == -ENOENT;
    int64_t vmo = fresh ? kpio_vmo_create(size, 0) : reply.memory;
    if (vmo <= 0) return vmo < 0 ? vmo : -EIO;
    int64_t at = kpio_aspace_map(startup_handle("aspace"), (kpio_handle)vmo, 0, size, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    error = journal_begin((void *)at);
    if (error < 0) return error;
    const struct keeper_keep_state_request keep = {.memory = (kpio_handle)vmo};
    struct keeper_keep_state_reply kept;
    if (fresh) return keeper_keep_state(keeper(), &keep, &kept);
    return state->magic == STATE_MAGIC ? 1 : 0;
}

// ---- keeping --------------------------------------------------------------------------------------------------------------------

static uint64_t key_of(unsigned type, const struct open *o) { return KEY_OPEN(type, (uint32_t)(o - state->opens), o->generation); }

int64_t keep_event(const struct open *o, kpio_handle event) {
    const struct keeper_keep_event_request request = {.key = key_of(KEY_EVENT, o), .event = event};
    struct keeper_keep_event_reply reply;
    return journal_add_key(request.key) ? keeper_keep_event(keeper(), &request, &reply) : -ENOSPC;
}

int64_t keep_audience(const struct open *o, kpio_handle event) {
    const struct keeper_keep_audience_request request = {.key = key_of(KEY_AUDIENCE, o), .event = event};
    struct keeper_keep_audience_reply reply;
    return journal_add_key(request.key) ? keeper_keep_audience(keeper(), &request, &reply) : -ENOSPC;
}

int64_t keep_thread(uint32_t pid, kpio_handle thread) {
    const struct keeper_keep_thread_request request = {.key = KEY(KEY_THREAD, pid), .thread = thread};
    struct keeper_keep_thread_reply reply;
    return journal_add_key(request.key) ? keeper_keep_thread(keeper(), &request, &reply) : -ENOSPC;
}

int64_t keep_pipe(uint32_t id, kpio_handle pipe) {
    const struct keeper_keep_pipe_request request = {.key = KEY(KEY_PIPE, id), .pipe = pipe};
    struct keeper_keep_pipe_reply reply;
    return journal_add_key(request.key) ? keeper_keep_pipe(keeper(), &request, &reply) : -ENOSPC;
}

void keep_tell_serving(void) {
    const struct keeper_serving_request request;
    struct keeper_serving_reply reply;
    (void)keeper_serving(keeper(), &request, &reply);
}

int64_t kept_audience(uint32_t index, uint32_t generation) {
    const struct keeper_audience_request request = {.key = KEY_OPEN(KEY_AUDIENCE, index, generation)};
    struct keeper_audience_reply reply;
    int64_t error = keeper_audience(keeper(), &request, &reply);
    return error < 0 ? error : reply.event > 0 ? reply.event : -EMFILE;
}

// ---- dropping -------------------------------------------------------------------------------------------------------------------

// More than the journal has room for stay until the session ends.
void keep_drop_event(const struct open *o) { (void)journal_add_key(key_of(KEY_EVENT, o)); }
void keep_drop_audience(uint32_t index, uint32_t generation) { (void)journal_add_key(KEY_OPEN(KEY_AUDIENCE, index, generation)); }
void keep_drop_pipe(uint32_t id) { (void)journal_add_key(KEY(KEY_PIPE, id)); }
void keep_drop_thread(uint32_t pid) { (void)journal_add_key(KEY(KEY_THREAD, pid)); }

static bool is_known(uint64_t key) {
    const uint32_t index = KEY_INDEX(key), generation = KEY_GENERATION(key);
    const struct process *p;
    switch (KEY_TYPE(key)) {
    case KEY_EVENT: return state->opens[index].used && state->opens[index].generation == generation;
    case KEY_THREAD: p = process_find((uint32_t)key); return p != NULL && p->state == PROCESS_LIVE;
    case KEY_PIPE: return socket_find((uint32_t)key) != NULL;
    case KEY_AUDIENCE: return answer_has_open(index, generation);
    default: return false;
    }
}

void keep_settle(void) {
    for (unsigned i = 0; i < journal_keys(); i++) {
        const struct keeper_drop_request request = {.key = journal_key(i)};
        struct keeper_drop_reply reply;
        if (!is_known(request.key)) (void)keeper_drop(keeper(), &request, &reply);
        crash_step();
    }
    journal_forget_keys();
}

// ---- going on with the state of another -------------------------------------------------------------------------------------------

// First all handles, without a change of the state: -ENOENT of a process that has ended meanwhile is no failure.
static int64_t fetch_process(const struct process *p) {
    const uint32_t rights =
        KPIO_RIGHT_WAIT | KPIO_RIGHT_KILL | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    const struct keeper_thread_request request = {.key = KEY(KEY_THREAD, p->pid)};
    struct keeper_thread_reply reply;
    if (p->state != PROCESS_LIVE) return 0;
    int64_t result = kpio_job_open(startup_handle("job"), p->pid, rights);
    if (result == -ENOENT) return 0;
    if (result < 0) return result;
    process_set_handle(p, (kpio_handle)result);
    result = keeper_thread(keeper(), &request, &reply);
    if (result == 0) thread_set_handle(p, reply.thread);
    return result == -ENOENT ? 0 : result;  // it has not told a thread yet
}

static int64_t fetch_open(const struct open *o) {
    const struct keeper_event_request request = {.key = key_of(KEY_EVENT, o)};
    struct keeper_event_reply reply;
    int64_t result = o->used ? keeper_event(keeper(), &request, &reply) : -ENOENT;
    if (result == 0) event_set_handle(o, reply.event);
    return result == -ENOENT ? 0 : result;
}

static int64_t fetch_socket(const struct socket *s) {
    const struct keeper_pipe_request request = {.key = KEY(KEY_PIPE, s->id)};
    struct keeper_pipe_reply reply;
    int64_t result = s->id != 0 ? keeper_pipe(keeper(), &request, &reply) : -ENOENT;
    if (result == 0) pipe_set_handle(s, reply.pipe);
    return result == -ENOENT ? 0 : result;
}

static int64_t fetch_all(void) {
    int64_t result = 0;
    for (unsigned i = 0; i < state->totals.socket_top && result >= 0; i++) result = fetch_socket(&state->sockets[i]);
    for (unsigned i = 0; i < OPENS_MAX && result >= 0; i++) result = fetch_open(&state->opens[i]);
    for (unsigned i = 0; i < state->totals.process_top && result >= 0; i++) result = fetch_process(&state->processes[i]);
    return result;
}

// Then what ended while nobody watched, each a change of its own.
static int64_t watch_all(void) {
    int64_t error = 0;
    for (unsigned i = 0; i < state->totals.socket_top && error >= 0; i++) {
        const struct socket *s = &state->sockets[i];
        if (s->id != 0 && pipe_handle(s) > 0) error = watch_socket(s);
        else if (s->id != 0) socket_gone(s);
        settle();
    }
    for (unsigned i = 0; i < OPENS_MAX && error >= 0; i++) {
        const struct open *o = &state->opens[i];
        if (o->used && event_handle(o) > 0) error = watch_open(i);
        else if (o->used) open_gone(o);
        settle();
    }
    for (unsigned i = 0; i < state->totals.process_top && error >= 0; i++) {
        const struct process *p = &state->processes[i];
        if (p->state == PROCESS_LIVE && process_handle(p) > 0) error = watch_process(p);
        else if (p->state == PROCESS_LIVE) process_ended(p);
        settle();
    }
    return error;
}

int64_t keep_restore(void) {
    mutex_lock(&state_lock);
    int64_t result = fetch_all();
    if (result >= 0) {
        settle_all();
        result = watch_all();
    }
    mutex_unlock(&state_lock);
    return result < 0 ? result : 0;
}
