#include "kernel/fs/fuse/test/driver_host.h"

#include "abi/gen/errors.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define PAGES 300

struct driver_host driver_host;
uint64_t driver_host_live;
uint64_t direct_map_base;
struct page *page_array_base;

static struct thread self;
static struct page descriptors[PAGES];

// ---- the machine ----------------------------------------------------------------------------------------------------------

nanos_t arch_now(void) { return driver_host.now; }
uint64_t fuse_current_process(void) { return driver_host.process; }
struct handle *fuse_current_handle(kpio_handle value) { return value != 0 ? (struct handle *)&driver_host : NULL; }
void wait_queue_init(struct wait_queue *q, const char *name) {
    spin_init(&q->lock, name);
    list_init(&q->waiters);
}
uint32_t wait_queue_wake_locked(struct wait_queue *q, uint32_t count, int64_t result) {
    (void)q, (void)count, (void)result;
    return 0;
}
int64_t wait_block_lend_killable(nanos_t deadline, struct thread *next) {
    (void)deadline, (void)next;
    unit_fail(__FILE__, __LINE__, "no thread of the driver's waits here");
    return 0;
}
void sched_wake(struct thread *t) { t->state = THREAD_RUNNING; }
bool sched_can_take(struct thread *t) { return false; }
void *kmalloc(size_t size) {
    driver_host_live++;
    return malloc(size);
}
void *kzalloc(size_t size) { return memset(kmalloc(size), 0, size); }
void kfree(void *object) {
    if (object != NULL) driver_host_live--;
    free(object);
}

int64_t wait_block_killable(nanos_t deadline) {
    struct thread *t = current_thread();
    while (t->wait.lock != NULL) {
        if (driver_host.serve != NULL && driver_host.serve(driver_host.connection)) continue;
        if (t->wait.lock == NULL) break;
        if (driver_host.stuck == 0) unit_fail(__FILE__, __LINE__, "the caller would wait for ever");
        if (driver_host.stuck == -ETIMEDOUT) driver_host.now = deadline;
        t->wait.unlink(t);
        wait_claim_locked(t, driver_host.stuck);
    }
    t->state = THREAD_RUNNING;
    return t->wait.result;
}

int64_t wait_block_slowly(nanos_t deadline) { return wait_block_killable(deadline); }

struct page *driver_host_page(unsigned i) { return &page_array_base[i]; }

__attribute__((constructor)) static void start(void) {
    page_array_base = descriptors;
    direct_map_base = (uint64_t)aligned_alloc(PAGE_SIZE, PAGES * PAGE_SIZE);
    cpus[0].current = &self;
}

// ---- the driver's memory ----------------------------------------------------------------------------------------------------

struct memory {
    struct fuse_user user;
    uint8_t *bytes;
    bool out;  // from the kernel to it
};

// A hole ends the copy in its middle.
static size_t copy(struct fuse_user *u, uint64_t offset, void *kernel, size_t bytes) {
    struct memory *m = container_of(u, struct memory, user);
    size_t left = 0;
    if (driver_host.holes > 0) {
        driver_host.holes--;
        left = bytes - bytes / 2;
    }
    if (m->out) memcpy(m->bytes + offset, kernel, bytes - left);
    else memcpy(kernel, m->bytes + offset, bytes - left);
    return left;
}
static int fault_in(struct fuse_user *u, uint64_t offset, size_t bytes) {
    if (offset + bytes > u->bytes) unit_fail(__FILE__, __LINE__, "a fault outside the driver's buffer");
    driver_host.fault_ins++;
    return driver_host.unmapped ? -EFAULT : 0;
}
// Another address space is this one.
static size_t copy_space(struct fuse_user *u, uint64_t offset, struct aspace *space, uint64_t address, size_t bytes, bool *absent) {
    (void)space;
    if (driver_host.absent) *absent = true;
    return driver_host.absent ? bytes : copy(u, offset, (void *)address, bytes);
}
static const struct fuse_user_ops memory_ops = {.copy = copy, .copy_space = copy_space, .fault_in = fault_in};

int64_t driver_host_take(struct fuse_connection *c, void *buffer, uint64_t bytes) {
    struct memory m = {{&memory_ops, bytes}, buffer, true};
    return fuse_take(c, &m.user, 77);
}

static int notify(struct fuse_connection *c, int code, const uint8_t *body, uint32_t bytes) {
    (void)c, (void)code, (void)body, (void)bytes;
    return 0;
}

// From a copy of its very size, so that ASan sees a read beyond it.
int driver_host_write(struct fuse_connection *c, const void *message, uint64_t bytes) {
    uint8_t *copied = malloc(bytes);
    memcpy(copied, message, bytes);
    struct memory m = {{&memory_ops, bytes}, copied, false};
    int error = fuse_reply(c, &m.user, notify, NULL);
    free(copied);
    return error;
}

int driver_host_reply(struct fuse_connection *c, uint64_t unique, int error, const void *body, uint32_t bytes) {
    struct fuse_out_header h = {(uint32_t)sizeof h + bytes, error, unique};
    uint8_t *message = malloc(sizeof h + bytes);
    memcpy(message, &h, sizeof h);
    if (bytes != 0) memcpy(message + sizeof h, body, bytes);
    int result = driver_host_write(c, message, sizeof h + bytes);
    free(message);
    return result;
}

// ---- life -------------------------------------------------------------------------------------------------------------------

static void init_done(struct fuse_connection *c, struct fuse_request *r) {
    driver_host.disposed++;
    if (r->error == 0) fuse_connection_ready(c);
}

static struct fuse_request *make_init(struct fuse_connection *c) {
    struct fuse_request *r = fuse_request_alloc(FUSE_INIT, 0, sizeof(struct fuse_init_in), sizeof(struct fuse_init_out));
    (void)c;
    r->out_least = FUSE_INIT_OUT_LEAST;
    r->done = init_done;
    return r;
}

void driver_host_begin(struct fuse_connection *c) {
    static uint8_t buffer[FUSE_READ_BUFFER_MIN];
    const struct fuse_init_out out = {.major = FUSE_MAJOR, .minor = FUSE_MINOR};
    memset(&driver_host, 0, sizeof driver_host);
    driver_host_live = 0;
    driver_host.now = 1000000;
    driver_host.process = 5;
    driver_host.connection = c;
    fuse_connection_init(c);
    c->make_init = make_init;
    fuse_connection_start(c);
    CHECK_EQ(driver_host_take(c, buffer, sizeof buffer), 40 + sizeof(struct fuse_init_in));
    CHECK_EQ(driver_host_reply(c, c->unique, 0, &out, sizeof out), 0);
    CHECK_EQ(c->state, FUSE_READY);
}

void driver_host_end(struct fuse_connection *c) {
    fuse_connection_close(c);
    fuse_connection_lose(c, "the test ends");
    fuse_connection_end(c);
    CHECK_EQ(c->counts.queued, 0);
    CHECK_EQ(c->counts.sent, 0);
    CHECK_EQ(driver_host_live, 0);
}
