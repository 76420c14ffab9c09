#include "user/libkpio/linux_session.h"

#include "lib/string.h"
#include "lib/util.h"
#include "protocols/gen/keeper.h"
#include "protocols/gen/node.h"
#include "user/libkpio/heap.h"
#include "user/libkpio/posix.h"
#include "user/libkpio/print.h"
#include "user/libkpio/thread.h"
#include "user/libkpio/wait.h"

#define KEPT_MAX 3072u
#define FAILURES_MAX 10u               // posixds in a row that ended at once, and had answered nobody
#define AT_ONCE_NS 50000000ull
#define OPEN_MS 60000u                 // to open the terminal, by whichever posixd; only against hanging

struct linux_session {
    struct linux_session_spec spec;
    kpio_handle endpoint;          // of posixd, with all rights: it outlives each posixd, and calls wait for the next
    kpio_handle programs;          // the same, for the programs
    kpio_handle keeper;
    kpio_handle posixd;            // process
    struct thread keeping, watching;
    uint32_t ending, serving;      // atomic; serving: the posixd has answered somebody
    kpio_handle state;
    uint32_t kept_top;
    struct kept {
        uint64_t key;              // 0: free
        kpio_handle handle;
    } kept[KEPT_MAX];
};

static void close_if(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

// ---- what is kept -------------------------------------------------------------------------------------------------------------

static struct kept *find(struct linux_session *s, uint64_t key) {
    for (uint32_t i = 0; i < s->kept_top; i++)
        if (s->kept[i].key == key) return &s->kept[i];
    return NULL;
}

static int64_t keep(struct linux_session *s, uint64_t key, kpio_handle handle) {
    struct kept *k = find(s, key);
    if (handle <= 0 || key == 0) return -EINVAL;
    if (k == NULL) k = find(s, 0);
    if (k == NULL && s->kept_top < KEPT_MAX) k = &s->kept[s->kept_top++];
    if (k == NULL) {
        close_if(handle);
        return -ENOSPC;
    }
    close_if(k->handle);
    *k = (struct kept){key, handle};
    return 0;
}

static int64_t do_state(void *context, uint64_t badge, const struct keeper_state_request *r, struct keeper_state_reply *reply) {
    struct linux_session *s = context;
    if (s->state <= 0) return -ENOENT;
    reply->memory = s->state;
    return 0;
}

static int64_t do_keep_state(void *context, uint64_t badge, const struct keeper_keep_state_request *r,
                             struct keeper_keep_state_reply *reply) {
    struct linux_session *s = context;
    if (r->memory <= 0) return -EINVAL;
    close_if(s->state);
    s->state = r->memory;
    return 0;
}

static int64_t do_keep_event(void *context, uint64_t badge, const struct keeper_keep_event_request *r,
                             struct keeper_keep_event_reply *reply) {
    return keep(context, r->key, r->event);
}

static int64_t do_keep_thread(void *context, uint64_t badge, const struct keeper_keep_thread_request *r,
                              struct keeper_keep_thread_reply *reply) {
    return keep(context, r->key, r->thread);
}

static int64_t tell(struct linux_session *s, uint64_t key, kpio_handle *out) {
    const struct kept *k = find(s, key);
    if (k == NULL || key == 0) return -ENOENT;
    *out = k->handle;
    return 0;
}

static int64_t do_event(void *context, uint64_t badge, const struct keeper_event_request *r, struct keeper_event_reply *reply) {
    return tell(context, r->key, &reply->event);
}

static int64_t do_thread(void *context, uint64_t badge, const struct keeper_thread_request *r, struct keeper_thread_reply *reply) {
    return tell(context, r->key, &reply->thread);
}

static int64_t do_keep_pipe(void *context, uint64_t badge, const struct keeper_keep_pipe_request *r,
                            struct keeper_keep_pipe_reply *reply) {
    return keep(context, r->key, r->pipe);
}

static int64_t do_pipe(void *context, uint64_t badge, const struct keeper_pipe_request *r, struct keeper_pipe_reply *reply) {
    return tell(context, r->key, &reply->pipe);
}

static int64_t do_keep_audience(void *context, uint64_t badge, const struct keeper_keep_audience_request *r,
                                struct keeper_keep_audience_reply *reply) {
    return keep(context, r->key, r->event);
}

static int64_t do_audience(void *context, uint64_t badge, const struct keeper_audience_request *r, struct keeper_audience_reply *reply) {
    return tell(context, r->key, &reply->event);
}

static int64_t do_serving(void *context, uint64_t badge, const struct keeper_serving_request *r, struct keeper_serving_reply *reply) {
    struct linux_session *s = context;
    __atomic_store_n(&s->serving, 1, __ATOMIC_RELEASE);
    return 0;
}

static int64_t do_drop(void *context, uint64_t badge, const struct keeper_drop_request *r, struct keeper_drop_reply *reply) {
    struct kept *k = find(context, r->key);
    if (k == NULL || r->key == 0) return 0;
    close_if(k->handle);
    *k = (struct kept){0};
    return 0;
}

static int64_t keeping(void *arg) {
    static const struct keeper_server server = {.state = do_state, .keep_state = do_keep_state, .keep_event = do_keep_event,
                                                .keep_thread = do_keep_thread, .event = do_event, .thread = do_thread, .drop = do_drop,
                                                .keep_pipe = do_keep_pipe, .pipe = do_pipe,
                                                .keep_audience = do_keep_audience, .audience = do_audience,
                                                .serving = do_serving};
    struct linux_session *s = arg;
    int64_t header = kpio_ipc_receive(s->keeper, KPIO_TIME_NEVER);
    while (!__atomic_load_n(&s->ending, __ATOMIC_ACQUIRE)) {
        if (header < 0) {
            if (header != -ECANCELED && header != -EINTR) return header;
            header = kpio_ipc_receive(s->keeper, KPIO_TIME_NEVER);
            continue;
        }
        uint64_t reply = keeper_dispatch(&server, s, (uint64_t)header, thread_self()->badge);
        header = kpio_ipc_reply_receive(s->keeper, reply, KPIO_TIME_NEVER);
    }
    return 0;
}

// ---- posixd -------------------------------------------------------------------------------------------------------------------

static int64_t spawn(struct linux_session *s, const char **what) {
    const uint32_t serve = KPIO_RIGHT_RECEIVE | KPIO_RIGHT_CALL | KPIO_RIGHT_BADGE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
                           KPIO_RIGHT_WAIT | KPIO_RIGHT_INSPECT;
    const uint32_t job = KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_KILL | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    struct process_grant grants[4] = {{"endpoint", s->endpoint, serve, KPIO_SEND_COPY},
                                      {"keeper", s->keeper, KPIO_RIGHT_CALL, KPIO_SEND_COPY},
                                      {"job", s->spec.job, job, KPIO_SEND_COPY}};
    uint32_t count = 3;
    if (s->spec.console > 0) grants[count++] = (struct process_grant){"console", s->spec.console, KPIO_RIGHT_LOG, KPIO_SEND_COPY};
    struct program program;
    *what = "/bin/posixd of the boot archive";
    int64_t result = archive_program(s->spec.archive, "/bin/posixd", &program);
    if (result < 0) return result;
    const char *settings[5] = {NULL};
    unsigned used = 0;
    if (s->spec.window != NULL) settings[used++] = "window", settings[used++] = s->spec.window;
    if (s->spec.crash != NULL) settings[used++] = "crash", settings[used++] = s->spec.crash;
    const struct process_spec spec = {.name = "posixd",
                                      .job = s->spec.job,
                                      .program = &program,
                                      .grants = grants,
                                      .grant_count = count,
                                      .settings = settings};
    return process_spawn(&spec, what);
}

// Starts another one each time that it ends; what calls it meanwhile waits.
static int64_t watching(void *arg) {
    struct linux_session *s = arg;
    const char *what = "";
    for (uint32_t failures = 0;;) {
        const uint64_t begun = time_now();
        struct kpio_wait_item item = {.handle = s->posixd, .signals = KPIO_SIGNAL_TERMINATED};
        while (kpio_handle_wait_many(&item, 1, KPIO_TIME_NEVER) == -EINTR) continue;
        if (__atomic_load_n(&s->ending, __ATOMIC_ACQUIRE)) return 0;
        const bool served = __atomic_exchange_n(&s->serving, 0, __ATOMIC_ACQ_REL);
        failures = served || time_now() - begun >= AT_ONCE_NS ? 0 : failures + 1;
        int64_t process = failures < FAILURES_MAX ? spawn(s, &what) : -EAGAIN;
        if (process < 0 && __atomic_load_n(&s->ending, __ATOMIC_ACQUIRE)) return 0;
        if (process < 0) {
            print("posixd: %s: %s: not started again\n", what, error_name(process));
            close_if(s->endpoint);  // who calls it finds nobody
            s->endpoint = KPIO_HANDLE_NONE;
            return process;
        }
        close_if(__atomic_exchange_n(&s->posixd, (kpio_handle)process, __ATOMIC_SEQ_CST));
        // linux_session_end may have seen the one before.
        if (__atomic_load_n(&s->ending, __ATOMIC_SEQ_CST)) (void)kpio_process_kill((kpio_handle)process, 0);
    }
}

// ---- beginning and end --------------------------------------------------------------------------------------------------------

static int64_t make_endpoints(struct linux_session *s) {
    const uint32_t calls = KPIO_RIGHT_CALL | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT;
    int64_t result = kpio_endpoint_create();
    if (result > 0) s->endpoint = (kpio_handle)result;
    if (result > 0) result = kpio_handle_dup_badged(s->endpoint, calls, POSIX_BADGE);
    if (result > 0) s->programs = (kpio_handle)result;
    if (result > 0) result = kpio_endpoint_create();
    if (result > 0) s->keeper = (kpio_handle)result;
    return result;
}

static void free_session(struct linux_session *s) {
    close_if(s->posixd);
    close_if(s->programs);
    close_if(s->endpoint);
    close_if(s->keeper);
    close_if(s->state);
    for (uint32_t i = 0; i < s->kept_top; i++) close_if(s->kept[i].handle);
    heap_free(s);
}

struct linux_session *linux_session_start(const struct linux_session_spec *spec, int64_t *error, const char **what) {
    struct linux_session *s = heap_alloc(sizeof *s);
    *what = "memory";
    *error = -ENOMEM;
    if (s == NULL) return NULL;
    s->spec = *spec;
    *what = "endpoints";
    *error = make_endpoints(s);
    if (*error > 0) *error = thread_spawn(&s->keeping, "keeper", keeping, s, NULL, 0);
    const bool keeps = *error == 0;
    if (keeps) *error = spawn(s, what);
    if (*error > 0) {
        s->posixd = (kpio_handle)*error;
        *what = "a thread";
        *error = thread_spawn(&s->watching, "posixd watch", watching, s, NULL, 0);
    }
    if (*error == 0) return s;
    __atomic_store_n(&s->ending, 1, __ATOMIC_RELEASE);
    if (s->posixd > 0) (void)kpio_process_kill(s->posixd, 0);
    close_if(s->keeper);
    s->keeper = KPIO_HANDLE_NONE;
    if (keeps) (void)thread_join(&s->keeping, NULL);
    free_session(s);
    return NULL;
}

kpio_handle linux_session_endpoint(const struct linux_session *s) { return s->programs; }
kpio_handle linux_session_posixd(const struct linux_session *s) { return __atomic_load_n(&s->posixd, __ATOMIC_SEQ_CST); }

int64_t linux_session_console(struct linux_session *s, struct lx_launch_fd *fd) {
    struct client client = {.endpoint = s->programs, .timeout_ns = 60000000000ull};
    const struct node_open_request request = {.path = "console"};
    struct node_open_reply reply;
    int64_t error = node_open(&client, &request, &reply);
    for (const uint64_t until = time_after_ms(OPEN_MS); error == -EPIPE && time_now() < until;) {  // posixd ended: the next one serves it
        time_sleep_ms(1);
        error = node_open(&client, &request, &reply);
    }
    if (error < 0) return error;
    *fd = (struct lx_launch_fd){.handle = reply.event, .second = reply.endpoint, .kind = LX_KIND_NODE, .flags = LX_FD_READ | LX_FD_WRITE};
    return reply.event > 0 && reply.endpoint > 0 ? 0 : -EMFILE;
}

void linux_session_end(struct linux_session *s) {
    __atomic_store_n(&s->ending, 1, __ATOMIC_SEQ_CST);
    (void)kpio_job_kill(s->spec.job);
    (void)kpio_process_kill(linux_session_posixd(s), 0);
    (void)thread_join(&s->watching, NULL);
    close_if(s->keeper);
    s->keeper = KPIO_HANDLE_NONE;
    (void)thread_join(&s->keeping, NULL);
    free_session(s);
}
