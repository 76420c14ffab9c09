// What outlives this posixd: kept by who runs the session (protocols/keeper.def).
#include "protocols/gen/keeper.h"

#include "lib/util.h"
#include "user/libkpio/posix.h"
#include "user/posixd/posixd.h"

#define KEY_EVENT 1ull
#define KEY_THREAD 2ull
#define KEY_PIPE 3ull
#define KEY(type, number) ((type) << 48 | (number))

static struct client *keeper(void) {
    static struct client client;
    client.endpoint = startup_handle("keeper");
    return &client;
}

int64_t keep_state(void) {
    struct keeper_state_request request;
    struct keeper_state_reply reply;
    const uint64_t size = align_up(sizeof(struct state), 4096);
    int64_t error = keeper_state(keeper(), &request, &reply);
    if (error < 0 && error != -ENOENT) return error;
    bool fresh = error == -ENOENT;
    int64_t vmo = fresh ? kpio_vmo_create(size, 0) : reply.memory;
    if (vmo <= 0) return vmo < 0 ? vmo : -EIO;
    int64_t at = kpio_aspace_map(startup_handle("aspace"), (kpio_handle)vmo, 0, size, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    state = (struct state *)at;
    const struct keeper_keep_state_request keep = {.memory = (kpio_handle)vmo};
    struct keeper_keep_state_reply kept;
    if (fresh) return keeper_keep_state(keeper(), &keep, &kept);
    return state->magic == STATE_MAGIC ? 1 : 0;
}

int64_t keep_event(uint32_t index, kpio_handle event) {
    const struct keeper_keep_event_request request = {.key = KEY(KEY_EVENT, index), .event = event};
    struct keeper_keep_event_reply reply;
    return keeper_keep_event(keeper(), &request, &reply);
}

int64_t keep_thread(uint32_t pid, kpio_handle thread_handle) {
    const struct keeper_keep_thread_request request = {.key = KEY(KEY_THREAD, pid), .thread = thread_handle};
    struct keeper_keep_thread_reply reply;
    return keeper_keep_thread(keeper(), &request, &reply);
}

int64_t keep_pipe(uint32_t id, kpio_handle pipe) {
    const struct keeper_keep_pipe_request request = {.key = KEY(KEY_PIPE, id), .pipe = pipe};
    struct keeper_keep_pipe_reply reply;
    return keeper_keep_pipe(keeper(), &request, &reply);
}

static void drop(uint64_t key) {
    const struct keeper_drop_request request = {.key = key};
    struct keeper_drop_reply reply;
    (void)keeper_drop(keeper(), &request, &reply);
}

void keep_drop_event(uint32_t index) { drop(KEY(KEY_EVENT, index)); }
void keep_drop_pipe(uint32_t id) { drop(KEY(KEY_PIPE, id)); }
void keep_drop_thread(uint32_t pid) { drop(KEY(KEY_THREAD, pid)); }

// ---- going on with the state of another ---------------------------------------------------------------------------------------

static void restore_process(struct process *p) {
    const uint32_t rights = KPIO_RIGHT_WAIT | KPIO_RIGHT_KILL | KPIO_RIGHT_INSPECT;
    const struct keeper_thread_request request = {.key = KEY(KEY_THREAD, p->pid)};
    struct keeper_thread_reply reply;
    p->process = p->thread = KPIO_HANDLE_NONE;
    if (p->state != PROCESS_LIVE) return;
    int64_t handle = kpio_job_open(startup_handle("job"), p->pid, rights);
    if (handle > 0) p->process = (kpio_handle)handle;
    if (handle > 0 && keeper_thread(keeper(), &request, &reply) == 0) p->thread = reply.thread;
    if (handle < 0 || watch_process(p) < 0) process_ended(p);
}

static void restore_open(uint32_t index) {
    struct open *o = &state->opens[index];
    const struct keeper_event_request request = {.key = KEY(KEY_EVENT, index)};
    struct keeper_event_reply reply;
    o->event = KPIO_HANDLE_NONE;
    if (!o->used) return;
    if (keeper_event(keeper(), &request, &reply) == 0) o->event = reply.event;
    if (o->event <= 0 || watch_open(index) < 0) open_gone(o);
}

static void restore_socket(struct socket *s) {
    const struct keeper_pipe_request request = {.key = KEY(KEY_PIPE, s->id)};
    struct keeper_pipe_reply reply;
    s->pipe = KPIO_HANDLE_NONE;
    if (s->id == 0) return;
    if (keeper_pipe(keeper(), &request, &reply) == 0) s->pipe = reply.pipe;
    if (s->pipe <= 0 || watch_socket(s) < 0) socket_gone(s);
}

void keep_restore(void) {
    mutex_lock(&state_lock);
    for (unsigned i = 0; i < state->socket_top; i++) restore_socket(&state->sockets[i]);
    for (unsigned i = 0; i < OPENS_MAX; i++) restore_open(i);
    for (unsigned i = 0; i < state->process_top; i++) restore_process(&state->processes[i]);
    for (unsigned i = 0; i < TTYS_MAX; i++)
        if (state->ttys[i].kind != TTY_NONE) opens_update(i);
    for (unsigned i = 0; i < state->process_top; i++) {  // who was told by the one before may not have been
        const struct process *p = &state->processes[i];
        if (p->state == PROCESS_LIVE && p->thread > 0 && mail_waits(p->pid, 0)) (void)kpio_thread_interrupt(p->thread, POSIX_MAIL);
    }
    mutex_unlock(&state_lock);
}
