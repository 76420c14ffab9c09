// links: kernel/fs/fuse/connection.c kernel/fs/fuse/request.c kernel/fs/fuse/call.c kernel/fs/fuse/transport.c kernel/fs/fuse/test/driver_host.c
#include "kernel/fs/fuse/test/driver_host.h"

#include "abi/gen/errors.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct fuse_connection c;
static uint8_t buffer[2 << 20];
static const struct fuse_in_header *const asked = (const struct fuse_in_header *)buffer;

static int64_t take(void) { return driver_host_take(&c, buffer, sizeof buffer); }

// ---- drivers ------------------------------------------------------------------------------------------------------------

static int answer_error;
static uint8_t answer[4096];
static uint32_t answer_bytes;
static int last_reply;

static bool answers(struct fuse_connection *connection) {
    if (take() < 0) return false;
    last_reply = driver_host_reply(connection, asked->unique, answer_error, answer, answer_bytes);
    return true;
}
static bool only_takes(struct fuse_connection *connection) {
    (void)connection;
    return take() > 0;
}
static bool is_lost(struct fuse_connection *connection) {
    if (connection->state != FUSE_READY) return false;
    CHECK(take() > 0);
    fuse_connection_lose(connection, "killed");
    return true;
}

static int ask(uint32_t opcode, uint32_t least, uint32_t most, void *out, uint32_t *bytes) {
    struct fuse_request *r = fuse_request_alloc(opcode, 9, 8, most);
    r->out_least = least;
    memset(fuse_arguments(r), 0x5a, 8);
    int error = fuse_call(&c, r);
    if (error == 0 && out != NULL) memcpy(out, r->out, r->out_bytes);
    if (error == 0 && bytes != NULL) *bytes = r->out_bytes;
    fuse_request_free(&c, r);
    return error;
}

static void begin(bool (*serve)(struct fuse_connection *), int64_t stuck) {
    driver_host_begin(&c);
    driver_host.serve = serve;
    driver_host.stuck = stuck;
    answer_error = 0;
    answer_bytes = 0;
}

// ---- cases --------------------------------------------------------------------------------------------------------------

TEST(a_call_is_answered) {
    uint32_t bytes = 0;
    char out[16];
    begin(answers, 0);
    memcpy(answer, "0123456789abcdef", 16);
    answer_bytes = 16;
    CHECK_EQ(ask(FUSE_GETATTR, 16, 16, out, &bytes), 0);
    CHECK_EQ(bytes, 16);
    CHECK(memcmp(out, answer, 16) == 0);
    CHECK_EQ(asked->len, 48);
    CHECK_EQ(asked->opcode, FUSE_GETATTR);
    CHECK_EQ(asked->nodeid, 9);
    CHECK_EQ(asked->pid, 5);
    CHECK_EQ(buffer[47], 0x5a);
    answer_bytes = 0;
    answer_error = -ENOENT;
    CHECK_EQ(ask(FUSE_GETATTR, 16, 16, out, &bytes), -ENOENT);
    driver_host_end(&c);
}

TEST(a_reply_of_a_wrong_size_is_an_error) {
    const struct { uint32_t least, most, bytes; int error, expected, told; } rows[] = {
        {16, 16, 15, 0, -EIO, -EINVAL}, {16, 16, 17, 0, -EIO, -EINVAL}, {16, 16, 0, 0, -EIO, -EINVAL}, {0, 64, 65, 0, -EIO, -EINVAL},
        {0, 64, 0, 0, 0, 0},            {16, 64, 16, 0, 0, 0},          {0, 0, 0, 0, 0, 0},            {0, 0, 1, 0, -EIO, -EINVAL},
        {16, 16, 0, 1, -EIO, -EINVAL},  {16, 16, 16, -2, -EIO, -EINVAL}, {16, 16, 0, -512, -EIO, -EINVAL}, {16, 16, 0, -511, -511, 0},
        {16, 16, 0, INT32_MIN, -EIO, -EINVAL},
    };
    begin(answers, 0);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        answer_bytes = rows[i].bytes;
        answer_error = rows[i].error;
        CHECK_EQ(ask(FUSE_GETATTR, rows[i].least, rows[i].most, NULL, NULL), rows[i].expected);
        CHECK_EQ(last_reply, rows[i].told);
    }
    driver_host_end(&c);
}

TEST(messages_that_answer_nothing) {
    struct fuse_out_header h = {sizeof h, 0, 12345678};
    begin(answers, 0);
    CHECK_EQ(driver_host_write(&c, &h, sizeof h), -ENOENT);
    CHECK_EQ(driver_host_write(&c, &h, sizeof h - 1), -EINVAL);
    h.len++;
    CHECK_EQ(driver_host_write(&c, &h, sizeof h), -EINVAL);
    h = (struct fuse_out_header){sizeof h, FUSE_NOTIFY_INVAL_INODE, 0};
    CHECK_EQ(driver_host_write(&c, &h, sizeof h), 0);
    h.error = -1;
    CHECK_EQ(driver_host_write(&c, &h, sizeof h), -EINVAL);
    CHECK_EQ(driver_host_take(&c, buffer, FUSE_READ_BUFFER_MIN - 1), -EINVAL);
    CHECK_EQ(take(), -EAGAIN);
    driver_host_end(&c);
}

TEST(two_replies_to_one_request) {
    begin(answers, 0);
    CHECK_EQ(ask(FUSE_FLUSH, 0, 0, NULL, NULL), 0);
    CHECK_EQ(driver_host_reply(&c, asked->unique, 0, NULL, 0), -ENOENT);
    driver_host_end(&c);
}

static uint32_t late_bytes, late_calls;
static void note_late(struct fuse_connection *connection, const struct fuse_request *r) {
    CHECK(connection == &c && r->state == FUSE_BUSY && r->pages == NULL);
    late_calls++;
    late_bytes = r->out_bytes;
    CHECK(memcmp(r->out, answer, r->out_bytes) == 0);
}

TEST(what_comes_too_late_is_told) {
    begin(only_takes, -ECANCELED);
    c.late = note_late;
    memcpy(answer, "0123456789abcdef", 16);
    const struct { uint32_t bytes; int error; unsigned holes; bool told; } rows[] = {
        {16, 0, 0, true}, {16, 0, 3, true}, {15, 0, 0, false}, {0, -ENOENT, 0, false}, {17, 0, 0, false}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        late_calls = late_bytes = 0;
        CHECK_EQ(ask(FUSE_LOOKUP, 16, 16, NULL, NULL), -EINTR);
        uint64_t unique = asked->unique;
        CHECK(take() > 0 && asked->opcode == FUSE_INTERRUPT);
        driver_host.holes = rows[i].holes;
        CHECK_EQ(driver_host_reply(&c, unique, rows[i].error, answer, rows[i].bytes), -ENOENT);
        driver_host.holes = 0;
        CHECK_EQ(late_calls, rows[i].told);
        CHECK_EQ(late_bytes, rows[i].told ? 16 : 0);
        CHECK_EQ(c.counts.sent, 0);
    }
    driver_host_end(&c);
}

// Nobody answers what the driver had asked for itself.
TEST(what_a_driver_asked_for_is_over_when_it_is_taken) {
    begin(NULL, 0);
    struct fuse_request *r = fuse_request_alloc(FUSE_NOTIFY_REPLY, 9, 8, 0);
    r->address = 4711;
    fuse_send(&c, r);
    CHECK_EQ(take(), sizeof *asked + 8);
    CHECK(asked->opcode == FUSE_NOTIFY_REPLY && asked->unique == 4711 && asked->nodeid == 9);
    CHECK_EQ(c.counts.sent, 0);
    CHECK_EQ(driver_host_reply(&c, 4711, 0, NULL, 0), -ENOENT);
    driver_host_end(&c);
}

TEST(a_killed_caller_leaves_at_once) {
    begin(NULL, -ECANCELED);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -EINTR);  // not taken yet: gone
    CHECK_EQ(take(), -EAGAIN);
    driver_host.serve = only_takes;
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -EINTR);
    uint64_t unique = asked->unique;
    // The driver is told once, and may answer or not.
    CHECK_EQ(take(), sizeof(struct fuse_in_header) + sizeof(struct fuse_interrupt_in));
    CHECK_EQ(asked->opcode, FUSE_INTERRUPT);
    CHECK_EQ(((const struct fuse_interrupt_in *)(asked + 1))->unique, unique);
    CHECK_EQ(take(), -EAGAIN);
    CHECK_EQ(driver_host_reply(&c, unique | 1, 0, NULL, 0), -ENOENT);
    CHECK_EQ(driver_host_reply(&c, unique, 0, NULL, 0), -ENOENT);
    CHECK_EQ(c.counts.sent, 0);
    // One that is never answered goes with the driver.
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -EINTR);
    driver_host_end(&c);
}

TEST(a_silent_driver_is_given_up) {
    begin(only_takes, -ETIMEDOUT);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(c.state, FUSE_GONE);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ENOTCONN);
    CHECK_EQ(c.counts.timeouts, 1);
    driver_host_end(&c);
    // One that takes nothing at all, too.
    begin(NULL, -ETIMEDOUT);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(c.state, FUSE_GONE);
    driver_host_end(&c);
}

static bool answers_another(struct fuse_connection *connection) {
    struct fuse_request *r = fuse_request_alloc(FUSE_RELEASE, 9, 0, 0);
    driver_host.now += 1000;
    if (take() < 0) return false;
    fuse_send(connection, r);
    CHECK(take() > 0);
    driver_host.now += 1000;
    CHECK_EQ(driver_host_reply(connection, asked->unique, 0, NULL, 0), 0);
    return false;
}

TEST(a_driver_that_answers_others_stays) {
    begin(answers_another, -ETIMEDOUT);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(c.state, FUSE_READY);
    driver_host_end(&c);
}

TEST(the_driver_itself_does_not_wait) {
    begin(answers, 0);
    driver_host.process = 77;
    CHECK_EQ(take(), -EAGAIN);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -EDEADLK);
    driver_host_end(&c);
}

TEST(a_lost_driver_ends_what_waits) {
    begin(is_lost, 0);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ENOTCONN);
    CHECK_EQ(driver_host_reply(&c, asked->unique, 0, NULL, 0), -ENOENT);
    CHECK_EQ(take(), -ENOTCONN);
    fuse_connection_close(&c);
    CHECK_EQ(take(), -ENOTCONN);
    driver_host_end(&c);
}

// ---- the next driver ------------------------------------------------------------------------------------------------------

static unsigned step;
static uint64_t first_unique;

// Is lost with the request, comes again, is asked the same.
static bool comes_again(struct fuse_connection *connection) {
    const struct fuse_init_out out = {.major = FUSE_MAJOR, .minor = FUSE_MINOR};
    switch (step++) {
    case 0:
        CHECK(take() > 0);
        first_unique = asked->unique;
        fuse_connection_lose(connection, "killed");
        return true;
    case 1:
        CHECK_EQ(take(), -ENOTCONN);
        fuse_connection_start(connection);
        CHECK(take() > 0);
        CHECK_EQ(asked->opcode, FUSE_INIT);
        CHECK_EQ(driver_host_reply(connection, asked->unique, 0, &out, sizeof out), 0);
        return true;
    default:
        CHECK(take() > 0);
        CHECK_EQ(asked->unique, first_unique);
        CHECK_EQ(driver_host_reply(connection, asked->unique, 0, NULL, 0), 0);
        return true;
    }
}

TEST(the_next_driver_of_a_stateless_mount_is_asked_again) {
    begin(comes_again, 0);
    c.stateless = true;
    step = 0;
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), 0);
    CHECK_EQ(c.counts.drivers, 2);
    CHECK_EQ(c.epoch, 1);
    // What changes something is not done twice.
    step = 0;
    CHECK_EQ(ask(FUSE_MKDIR, 0, 16, NULL, NULL), -ENOTCONN);
    step = 1;
    CHECK(comes_again(&c));
    step = 0;
    CHECK_EQ(ask(FUSE_READ, 0, 16, NULL, NULL), 0);
    driver_host_end(&c);
}

TEST(a_call_waits_for_the_driver_to_begin) {
    begin(comes_again, 0);
    fuse_connection_lose(&c, "killed");
    c.stateless = true;
    step = 1;
    first_unique = c.unique + 4;
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), 0);
    fuse_connection_lose(&c, "killed");
    driver_host.serve = NULL;
    driver_host.stuck = -ETIMEDOUT;
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ETIMEDOUT);
    driver_host_end(&c);
}

TEST(a_driver_that_never_begins_is_given_up) {
    begin(NULL, -ETIMEDOUT);
    fuse_connection_lose(&c, "killed");
    fuse_connection_start(&c);
    CHECK_EQ(c.state, FUSE_STARTING);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(c.state, FUSE_GONE);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -ENOTCONN);
    driver_host_end(&c);
}

// ---- what nobody waits for ------------------------------------------------------------------------------------------------

static void send_forgets(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct fuse_forget *f = kzalloc(sizeof *f);
        f->one = (struct fuse_forget_one){i + 2, i + 1};
        f->epoch = c.epoch;
        fuse_send_forget(&c, f);
    }
}

TEST(forgets_go_in_batches) {
    begin(answers, 0);
    send_forgets(100);
    const struct fuse_batch_forget_in *in = (const struct fuse_batch_forget_in *)(asked + 1);
    const struct fuse_forget_one *one = (const struct fuse_forget_one *)(in + 1);
    CHECK_EQ(take(), 40 + 8 + 64 * 16);
    CHECK_EQ(asked->opcode, FUSE_BATCH_FORGET);
    CHECK(in->count == 64 && one[0].nodeid == 2 && one[63].nodeid == 65 && one[63].nlookup == 64);
    CHECK_EQ(take(), 40 + 8 + 36 * 16);
    CHECK(in->count == 36 && one[35].nodeid == 101);
    CHECK_EQ(take(), -EAGAIN);
    send_forgets(1);
    CHECK_EQ(take(), 40 + 8 + 16);
    send_forgets(3);
    driver_host_end(&c);
}

TEST(a_driver_of_old_gets_forgets_one_by_one) {
    begin(answers, 0);
    c.single_forgets = true;
    send_forgets(2);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(take(), 40 + 8);
        CHECK(asked->opcode == FUSE_FORGET && asked->nodeid == i + 2);
        CHECK_EQ(((const struct fuse_forget_in *)(asked + 1))->nlookup, i + 1);
    }
    CHECK_EQ(take(), -EAGAIN);
    driver_host_end(&c);
}

static void release_done(struct fuse_connection *connection, struct fuse_request *r) { fuse_forget_put(connection, r->context); }

static void send_release_of(struct fuse_forget *f) {
    struct fuse_request *r = fuse_request_alloc(FUSE_RELEASE, f->one.nodeid, 0, 0);
    fuse_forget_hold(f);
    r->context = f;
    r->done = release_done;
    fuse_send(&c, r);
}

TEST(a_node_is_forgotten_after_the_release_of_what_was_open_on_it) {
    begin(answers, 0);
    for (unsigned turn = 0; turn < 2; turn++) {
        struct fuse_forget *f = kzalloc(sizeof *f);
        *f = (struct fuse_forget){.one = {9, 1}, .epoch = c.epoch, .holds = 1};
        send_release_of(f);
        fuse_forget_put(&c, f);
        CHECK(take() > 0 && asked->opcode == FUSE_RELEASE);
        const uint64_t unique = asked->unique;
        CHECK_EQ(take(), -EAGAIN);
        if (turn == 1) break;
        CHECK_EQ(driver_host_reply(&c, unique, 0, NULL, 0), 0);
        CHECK(take() > 0 && asked->opcode == FUSE_BATCH_FORGET);
    }
    fuse_connection_lose(&c, "killed");  // the second time: nobody is told
    fuse_connection_start(&c);
    CHECK(take() > 0 && asked->opcode == FUSE_INIT);
    CHECK_EQ(take(), -EAGAIN);
    driver_host_end(&c);
}

TEST(what_an_earlier_driver_named_is_not_forgotten_to_the_next) {
    begin(answers, 0);
    struct fuse_forget *f = kzalloc(sizeof *f);
    *f = (struct fuse_forget){.one = {9, 1}, .epoch = c.epoch - 1};
    fuse_send_forget(&c, f);
    CHECK_EQ(take(), -EAGAIN);
    driver_host_end(&c);
}

TEST(requests_go_before_forgets_but_not_for_ever) {
    begin(answers, 0);
    send_forgets(1);
    for (unsigned i = 0; i < 40; i++) fuse_send(&c, fuse_request_alloc(FUSE_RELEASE, 9, 0, 0));
    unsigned before = 0;
    while (take() > 0 && asked->opcode != FUSE_BATCH_FORGET) before++;
    CHECK(before > 0 && before <= 16);
    driver_host_end(&c);
}

// A stateless mount keeps for the next driver what the last one has not taken; what that one had is over.
TEST(what_was_not_taken_waits_for_the_next_driver) {
    static const struct fuse_init_out out = {.major = FUSE_MAJOR, .minor = FUSE_MINOR};
    begin(answers, 0);
    c.stateless = true;
    fuse_send(&c, fuse_request_alloc(FUSE_RELEASE, 9, 0, 0));
    CHECK(take() > 0);
    fuse_send(&c, fuse_request_alloc(FUSE_RELEASE, 10, 0, 0));
    send_forgets(1);
    fuse_connection_lose(&c, "killed");
    fuse_send(&c, fuse_request_alloc(FUSE_RELEASE, 11, 0, 0));
    send_forgets(1);
    CHECK_EQ(take(), -ENOTCONN);
    fuse_connection_start(&c);
    CHECK(take() > 0);
    CHECK_EQ(asked->opcode, FUSE_INIT);
    CHECK_EQ(driver_host_reply(&c, asked->unique, 0, &out, sizeof out), 0);
    CHECK(take() > 0);
    CHECK_EQ(asked->nodeid, 10);
    CHECK(take() > 0);
    CHECK_EQ(asked->nodeid, 11);
    CHECK_EQ(take(), 40 + 8 + 2 * 16);
    CHECK_EQ(take(), -EAGAIN);
    // Nobody comes any more: nothing is kept.
    fuse_send(&c, fuse_request_alloc(FUSE_RELEASE, 12, 0, 0));
    send_forgets(1);
    fuse_connection_lose(&c, "killed");
    fuse_connection_close(&c);
    CHECK_EQ(c.counts.queued, 0);
    fuse_send(&c, fuse_request_alloc(FUSE_RELEASE, 13, 0, 0));
    CHECK_EQ(c.counts.queued, 0);
    driver_host_end(&c);
}

static unsigned told;
static void count_done(struct fuse_connection *connection, struct fuse_request *r) { told += r->error != 0 ? 100 : 1, (void)connection; }

TEST(what_nobody_waits_for_frees_itself) {
    begin(answers, 0);
    told = 0;
    struct fuse_request *r = fuse_request_alloc(FUSE_RELEASE, 9, 0, 0);
    r->done = count_done;
    fuse_send(&c, r);
    CHECK(answers(&c));
    CHECK_EQ(told, 1);
    fuse_connection_lose(&c, "killed");
    r = fuse_request_alloc(FUSE_RELEASE, 9, 0, 0);
    r->done = count_done;
    fuse_send(&c, r);
    CHECK_EQ(told, 101);
    driver_host_end(&c);
}

// ---- data in pages ----------------------------------------------------------------------------------------------------------

static struct page *pages[3];

static int transfer(uint32_t opcode, uint32_t start, uint32_t bytes, uint32_t *got) {
    for (unsigned i = 0; i < 3; i++) {
        pages[i] = driver_host_page(7 - 2 * i);
        if (opcode == FUSE_READ) memset(page_to_virt(pages[i]), 0xee, PAGE_SIZE);
        else memset(page_to_virt(pages[i]), (int)i + 1, PAGE_SIZE);
    }
    struct fuse_request *r = fuse_request_alloc(opcode, 9, sizeof(struct fuse_read_in), opcode == FUSE_READ ? 0 : 8);
    r->pages = pages;
    r->start = start;
    r->bytes = bytes;
    int error = fuse_call(&c, r);
    *got = r->out_bytes;
    fuse_request_free(&c, r);
    return error;
}

TEST(data_of_a_write_come_from_pages) {
    uint32_t got;
    for (unsigned holes = 0; holes < 4; holes++) {
        begin(answers, 0);
        driver_host.holes = 0;
        answer_bytes = 8;
        driver_host.holes = holes;
        CHECK_EQ(transfer(FUSE_WRITE, 100, 8000, &got), 0);
        CHECK_EQ(asked->len, 80 + 8000);
        CHECK_EQ(buffer[80], 1);
        CHECK_EQ(buffer[80 + 3995], 1);
        CHECK_EQ(buffer[80 + 3996], 2);
        CHECK_EQ(buffer[80 + 7999], 2);
        CHECK(holes == 0 || driver_host.fault_ins > 0);
        driver_host_end(&c);
    }
}

TEST(data_of_a_read_go_into_pages) {
    uint32_t got;
    begin(answers, 0);
    memset(answer, 0x33, sizeof answer);
    answer_bytes = 4000;
    CHECK_EQ(transfer(FUSE_READ, 4090, 8192, &got), 0);
    CHECK_EQ(got, 4000);
    const uint8_t *first = page_to_virt(pages[0]), *second = page_to_virt(pages[1]);
    CHECK(first[4089] == 0xee && first[4090] == 0x33 && second[0] == 0x33 && second[3993] == 0x33 && second[3994] == 0xee);
    answer_bytes = 4096;
    CHECK_EQ(transfer(FUSE_READ, 0, 4095, &got), -EIO);
    CHECK_EQ(last_reply, -EINVAL);
    driver_host_end(&c);
}

// As transfer, with memory of the caller's address space.
static int transfer_space(uint32_t opcode, uint8_t *memory, uint32_t bytes, bool *absent) {
    struct fuse_request *r = fuse_request_alloc(opcode, 9, sizeof(struct fuse_read_in), opcode == FUSE_READ ? 0 : 8);
    r->space = (struct aspace *)memory;
    r->address = (uint64_t)memory;
    r->bytes = bytes;
    int error = fuse_call(&c, r);
    *absent = r->absent;
    fuse_request_free(&c, r);
    return error;
}

TEST(data_go_to_and_from_the_callers_memory) {
    uint8_t memory[5000];
    bool absent;
    for (unsigned holes = 0; holes < 4; holes++) {
        begin(answers, 0);
        memset(memory, 0x11, sizeof memory);
        memset(answer, 0x33, sizeof answer);
        answer_bytes = 4000;
        driver_host.holes = holes;
        CHECK_EQ(transfer_space(FUSE_READ, memory, 4500, &absent), 0);
        CHECK(memory[0] == 0x33 && memory[3999] == 0x33 && memory[4000] == 0x11);
        answer_bytes = 8;
        CHECK_EQ(transfer_space(FUSE_WRITE, memory, 4500, &absent), 0);
        CHECK(buffer[80] == 0x33 && buffer[80 + 4000] == 0x11);
        CHECK(!absent);
        driver_host_end(&c);
    }
}

// The driver has answered; who asked has to see to its memory, and asks again.
TEST(memory_of_the_callers_that_is_absent_is_told) {
    uint8_t memory[100];
    bool absent;
    begin(answers, 0);
    driver_host.absent = true;
    answer_bytes = 100;
    CHECK_EQ(transfer_space(FUSE_READ, memory, 100, &absent), -EFAULT);
    CHECK(absent);
    CHECK_EQ(last_reply, 0);
    driver_host_end(&c);
}

// A write with such memory is not taken at all, and the driver gets what comes behind it.
static bool takes_nothing(struct fuse_connection *connection) {
    (void)connection;
    CHECK_EQ(take(), -EAGAIN);
    return true;
}

TEST(a_write_from_absent_memory_does_not_reach_the_driver) {
    uint8_t memory[100] = {0};
    bool absent;
    begin(takes_nothing, 0);
    driver_host.absent = true;
    CHECK_EQ(transfer_space(FUSE_WRITE, memory, 100, &absent), -EFAULT);
    CHECK(absent);
    CHECK_EQ(c.counts.queued, 0);
    CHECK_EQ(c.counts.sent, 0);
    driver_host_end(&c);
}

TEST(a_driver_without_memory_gets_the_request_again) {
    begin(only_takes, -ECANCELED);
    driver_host.unmapped = true;
    driver_host.holes = 1;
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -EINTR);
    CHECK_EQ(driver_host.fault_ins, 1);
    CHECK_EQ(c.counts.queued, 0);
    driver_host_end(&c);
}

static bool has_a_small_buffer(struct fuse_connection *connection) {
    return driver_host_take(connection, buffer, FUSE_READ_BUFFER_MIN) > 0;
}

TEST(what_does_not_fit_fails) {
    uint32_t got;
    begin(has_a_small_buffer, 0);
    CHECK_EQ(transfer(FUSE_WRITE, 0, 8192, &got), -EIO);
    CHECK(fuse_request_alloc(FUSE_SETXATTR, 9, FUSE_ARGUMENTS_MAX + 1, 0) == NULL);
    driver_host_end(&c);
}

TEST(what_killed_callers_leave_is_bounded) {
    begin(only_takes, -ECANCELED);
    for (unsigned i = 0; i < FUSE_REQUESTS_MAX; i++) CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -EINTR);
    CHECK_EQ(ask(FUSE_GETATTR, 0, 16, NULL, NULL), -EBUSY);
    driver_host_end(&c);
}
