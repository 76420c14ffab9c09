// The drivers of tests/guest/fuse/flawed.h in WebAssembly, over the host's imports alone; and some that are wrong in ways that only such a
// program can be. The first argument says which.
#include "tests/guest/fuse/flawed.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("kpio_fuse"), import_name(name)))
struct part {
    uint32_t data, bytes;
};
IMPORT("receive") int32_t fuse_receive(const struct part *parts, uint32_t count, void *buffer, uint32_t bytes);
IMPORT("reply") int32_t fuse_reply(const struct part *parts, uint32_t count);

#define BUFFER_BYTES (2u << 20)
enum { BAD_ADDRESS = -14, INVALID = -22, NOT_CONNECTED = -107 };

static uint8_t request[BUFFER_BYTES + 1] __attribute__((aligned(16))), reply[BUFFER_BYTES] __attribute__((aligned(16)));
static const char *flaw;

static bool is(const char *name) { return strcmp(flaw, name) == 0; }

static uint32_t at(const void *pointer) { return (uint32_t)(uintptr_t)pointer; }

static void must(bool right) {
    if (!right) abort();
}

// What the host refuses: a buffer or parts that are not in memory, and too many parts. It goes on as if nothing had happened.
static void try_addresses(void) {
    const struct part far = {0xfffffff0u, 64}, long_one = {at(reply), 0xffffffffu};
    static struct part many[513];
    must(fuse_receive(NULL, 0, (void *)(uintptr_t)0xffffff00u, BUFFER_BYTES) == BAD_ADDRESS);
    must(fuse_receive(&far, 1, request, BUFFER_BYTES) == BAD_ADDRESS);
    must(fuse_reply(&long_one, 1) == BAD_ADDRESS);
    must(fuse_reply((const struct part *)(uintptr_t)0xfffffff8u, 2) == BAD_ADDRESS);
    must(fuse_reply(many, 513) == INVALID);
    must(fuse_reply(many, 512) == INVALID);  // of no bytes at all
    must(fuse_receive(NULL, 0, request, 100) == INVALID);
}

static int64_t init(uint8_t *body) {
    const uint32_t flags = FUSE_MAX_PAGES | (is("takes_no_writes") ? FUSE_WRITEBACK_CACHE : 0);
    *(struct fuse_init_out *)(void *)body = (struct fuse_init_out){.major = FUSE_MAJOR, .minor = FUSE_MINOR, .flags = flags,
                                                                   .max_write = 1u << 20, .time_gran = 1, .max_pages = 256};
    return sizeof(struct fuse_init_out);
}

static int64_t answer(const struct flawed_call *c) {
    const uint32_t opcode = c->header->opcode;
    if (opcode == FUSE_INIT) return init(c->reply);
    if (opcode == FUSE_DESTROY) return 0;
    if (opcode == FUSE_INTERRUPT) return FLAWED_SILENT;
    if (opcode == FUSE_LOOKUP && is("traps")) __builtin_trap();
    if (opcode == FUSE_LOOKUP && is("exits")) exit(3);
    if (opcode == FUSE_LOOKUP && is("grows")) must(__builtin_wasm_memory_grow(0, 60000) == (size_t)-1);
    if (opcode == FUSE_LOOKUP && is("addresses")) try_addresses();
    return is("one_file") ? one_file_answer(c) : is("takes_no_writes") ? no_writes_answer(c) : flawed_answer(flaw, c);
}

// Parts of the reply: 0, there is none.
static uint32_t make_reply(uint32_t bytes, struct part *part) {
    const struct fuse_in_header *h = (const struct fuse_in_header *)(const void *)request;
    struct fuse_out_header *out = (struct fuse_out_header *)(void *)reply;
    request[bytes] = 0;
    const int64_t result = answer(&(struct flawed_call){h, h + 1, reply + sizeof *out});
    if (result == FLAWED_HANGS)
        for (;;) {}
    if (result == FLAWED_SILENT) return 0;
    const uint32_t bytes_out = (uint32_t)sizeof *out + (result > 0 ? (uint32_t)result : 0);
    *out = (struct fuse_out_header){bytes_out, result < 0 ? (int32_t)result : 0, h->unique};
    *part = (struct part){at(reply), out->len};
    return 1;
}

int main(int argc, char **argv) {
    struct part part;
    uint32_t count = 0;
    int32_t n;
    if (argc != 2) return 2;
    flaw = argv[1];
    while ((n = fuse_receive(&part, count, request, BUFFER_BYTES)) != NOT_CONNECTED) {
        if (n < 0 && count == 0 && n != -4) return 1;
        count = n < (int32_t)sizeof(struct fuse_in_header) ? 0 : make_reply((uint32_t)n, &part);
    }
    return 0;
}
