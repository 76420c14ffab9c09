// A hostile driver: it takes, answers what it likes, hangs, is lost and comes again, in any order, while calls are made and
// given up. Nothing may crash, no reply may be written outside its request, and in the end nothing may be left. What it says in
// directories, entries and attributes goes through the checks, which must not take what they exclude.
//
//     input: { u8 action, action's bytes } ...
// links: kernel/fs/fuse/connection.c kernel/fs/fuse/request.c kernel/fs/fuse/call.c kernel/fs/fuse/transport.c kernel/fs/fuse/check.c kernel/fs/fuse/test/driver_host.c
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/check.h"
#include "kernel/fs/fuse/test/driver_host.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"

#include <string.h>

static struct fuse_connection c;
static const uint8_t *input;
static size_t left;
static uint64_t uniques[4];
static unsigned unique_count;
static struct page *pages[2];

void unit_fail(const char *file, int line, const char *format, ...) {
    (void)format;
    panic("%s:%d", file, line);
}
void unit_check_equal(const char *file, int line, const char *text, int64_t a, int64_t b) {
    if (a != b) panic("%s:%d %s: %ld is not %ld", file, line, text, a, b);
}

static uint8_t byte(void) {
    if (left == 0) return 0;
    left--;
    return *input++;
}

static const void *bytes(uint32_t wanted, uint32_t *got) {
    const void *from = input;
    *got = (uint32_t)MIN((size_t)wanted, left);
    input += *got;
    left -= *got;
    return from;
}

static void take(void) {
    static uint8_t buffer[1 << 16];
    driver_host.holes = byte() % 3;
    driver_host.unmapped = byte() % 8 == 1;
    int64_t n = driver_host_take(&c, buffer, byte() % 2 ? sizeof buffer : FUSE_READ_BUFFER_MIN);
    if (n > 0) uniques[unique_count++ % 4] = ((struct fuse_in_header *)buffer)->unique;
}

static void reply(void) {
    uint32_t got;
    uint64_t unique = uniques[byte() % 4];
    const void *body = bytes((uint32_t)byte() * 17, &got);
    int8_t error = (int8_t)byte();
    driver_host.holes = byte() % 3;
    (void)driver_host_reply(&c, unique, byte() % 2 ? error : 0, body, got);
}

static void write_anything(void) {
    uint32_t got;
    const void *message = bytes((uint32_t)byte() + 16, &got);
    if (got != 0) (void)driver_host_write(&c, message, got);
}

static void look_at(const uint8_t *out, uint32_t got) {
    struct fuse_entry_out e;
    struct fuse_listed listed;
    for (unsigned plus = 0; plus < 2; plus++) {
        struct fuse_entries list = {out, got, plus};
        while (fuse_entries_next(&list, &listed) == 1) {
            verify(listed.bytes != 0 && (const uint8_t *)listed.name + listed.bytes <= out + got);
            if (!fuse_name_is_good(listed.name, listed.bytes)) continue;
            verify(memchr(listed.name, '/', listed.bytes) == NULL && memchr(listed.name, 0, listed.bytes) == NULL);
        }
    }
    if (got < sizeof e) return;
    memcpy(&e, out, sizeof e);
    if (fuse_entry_is_good(&e, 9)) verify(e.nodeid > 1 && e.nodeid != 9 && e.attr.size <= INT64_MAX);
    (void)fuse_valid_until(driver_host.now, e.entry_valid, e.entry_valid_nsec);
}

static void call(void) {
    static const uint8_t opcodes[] = {FUSE_LOOKUP, FUSE_READ, FUSE_WRITE, FUSE_READDIR, FUSE_MKDIR, FUSE_SETXATTR, FUSE_GETATTR};
    uint32_t opcode = opcodes[byte() % sizeof opcodes], room = (uint32_t)byte() * 4;
    struct fuse_request *r = fuse_request_alloc(opcode, 9, byte(), room);
    if (byte() % 2) r->out_least = 0;
    if (opcode == FUSE_READ || opcode == FUSE_WRITE) {
        r->pages = pages;
        r->start = (uint32_t)byte() * 16;
        r->bytes = (uint32_t)byte() * 16;
    }
    driver_host.stuck = byte() % 2 ? -ETIMEDOUT : -ECANCELED;
    int error = fuse_call(&c, r);
    verify(error <= 0 && error > -512);
    if (error == 0 && r->bytes == 0) {
        verify(r->out_bytes >= r->out_least && r->out_bytes <= r->out_most);
        look_at(r->out, r->out_bytes);
    }
    fuse_request_free(&c, r);
}

static void late(struct fuse_connection *connection, const struct fuse_request *r) {
    (void)connection;
    verify(r->out_bytes >= r->out_least && r->out_bytes <= r->out_most);
    look_at(r->out, r->out_bytes);
}

static bool act(bool waiting) {
    if (left == 0) return false;
    driver_host.now += 10;
    switch (byte() % 10) {
    case 0: take(); break;
    case 1: reply(); break;
    case 2: write_anything(); break;
    case 3:
        if (!waiting) call();
        else return false;  // the caller gives up
        break;
    case 4: fuse_connection_lose(&c, "fuzz"); break;
    case 5: fuse_connection_start(&c); break;
    case 6: fuse_send(&c, fuse_request_alloc(FUSE_RELEASE, 9, byte(), 0)); break;
    case 7: {
        struct fuse_forget *f = kzalloc(sizeof *f);
        f->one = (struct fuse_forget_one){2, byte()};
        f->epoch = c.epoch;
        fuse_send_forget(&c, f);
        break;
    }
    case 8: c.stateless = byte() % 2; break;
    default: take(), reply(); break;
    }
    return true;
}

static bool serve(struct fuse_connection *connection) {
    (void)connection;
    return act(true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    driver_host_begin(&c);
    driver_host.serve = serve;
    c.late = late;
    input = data;
    left = size;
    unique_count = 0;
    pages[0] = driver_host_page(3);
    pages[1] = driver_host_page(1);
    while (act(false)) {
    }
    driver_host.holes = 0;
    driver_host_end(&c);
    return 0;
}
