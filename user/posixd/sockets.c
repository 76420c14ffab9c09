// Names of sockets: what a file's number or an abstract name leads to. A name is there as long as somebody can read what is
// sent to its socket; its file may stay.
#include "lib/string.h"
#include "lib/util.h"
#include "user/posixd/posixd.h"

const struct socket *socket_find(uint32_t id) {
    for (unsigned i = 0; id != 0 && i < state->totals.socket_top; i++)
        if (state->sockets[i].id == id) return &state->sockets[i];
    return NULL;
}

void socket_gone(const struct socket *s) {
    keep_drop_pipe(s->id);
    pipe_set_handle(s, KPIO_HANDLE_NONE);
    *socket_change(s) = (struct socket){0};
}

static bool same_name(const struct socket *a, const struct socket *b) {
    if (a->inode != 0 || b->inode != 0) return a->inode == b->inode && a->fs == b->fs;
    return a->type == b->type && a->name_size == b->name_size && memcmp(a->name, b->name, a->name_size) == 0;
}

// Its end may not have been heard of yet.
static bool is_alive(const struct socket *s) {
    struct kpio_wait_item item = {.handle = pipe_handle(s), .signals = KPIO_SIGNAL_PEER_GONE};
    return kpio_handle_wait_many(&item, 1, 0) == 0;
}

static const struct socket *find_named(const struct socket *like) {
    for (unsigned i = 0; i < state->totals.socket_top; i++) {
        const struct socket *s = &state->sockets[i];
        if (s->id == 0 || !same_name(s, like)) continue;
        if (is_alive(s)) return s;
        socket_gone(s);
    }
    return NULL;
}

static const struct socket *find_free(void) {
    for (unsigned i = 0; i < state->totals.socket_top; i++)
        if (state->sockets[i].id == 0) return &state->sockets[i];
    return state->totals.socket_top == SOCKETS_MAX ? NULL : &state->sockets[totals_change()->socket_top++];
}

static uint32_t fresh_id(void) {
    struct totals *totals = totals_change();
    do totals->socket_id = (totals->socket_id + 1) & 0x7fffffff;
    while (totals->socket_id == 0 || socket_find(totals->socket_id) != NULL);
    return totals->socket_id;
}

static uint64_t object_of(kpio_handle h) {
    struct kpio_handle_info info;
    return kpio_handle_info(h, &info) == 0 ? info.object_id : 0;
}

int64_t socket_bind(const struct socket *like, kpio_handle pipe, uint32_t *id) {
    const struct socket *s = find_named(like);
    int64_t error = 0;
    if (s != NULL && object_of(pipe_handle(s)) == object_of(pipe)) {  // it has the name already
        (void)kpio_handle_close((uint64_t)pipe);
        *id = s->id;
        return 0;
    }
    if (s != NULL && like->inode == 0) error = -EADDRINUSE;
    else if (s != NULL) socket_gone(s);  // of a file that was removed: this one is new and has its number
    s = error == 0 ? find_free() : NULL;
    if (s == NULL) {
        (void)kpio_handle_close((uint64_t)pipe);
        return error < 0 ? error : -ENOMEM;
    }
    const uint32_t fresh = fresh_id();
    struct socket *made = socket_change(s);
    *made = *like;
    made->id = fresh;
    pipe_set_handle(s, pipe);
    error = keep_pipe(s->id, pipe);
    if (error == 0) error = watch_socket(s);
    if (error == 0) *id = s->id;
    else socket_gone(s);
    return error < 0 ? -ENOMEM : 0;
}

int64_t socket_look(const struct socket *like, const struct socket **out) {
    const struct socket *s = find_named(like);
    if (s == NULL) return -ECONNREFUSED;
    if (s->type != like->type) return -EPROTOTYPE;
    if (s->type != SOCKET_DATAGRAM && !s->listens) return -ECONNREFUSED;
    *out = s;
    return 0;
}

// Those who send look at the flags of the end (object_flags.h of liblinux).
int64_t socket_set_peer(const struct socket *s, uint32_t peer) {
    const int64_t result = kpio_handle_flags(pipe_handle(s), 0x7fffffffull << 32, (uint64_t)(peer & 0x7fffffff) << 32);
    return result < 0 ? result : 0;
}
