// How unix sockets find each other: bind, listen, connect, accept.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/at.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/socket_names.h"

#define QUEUE_BYTES 16384u  // of the pipe in which connections wait
#define S_IFSOCK    0140000u

// What comes with the two ends of a connection.
struct lx_greeting {
    struct lx_credentials who;
    struct lx_socket_name name;
};

// ---- names ---------------------------------------------------------------------------------------------------------------

static int64_t find_file(struct lx_thread *t, const struct lx_socket_name *name, struct lx_socket_key *key) {
    struct lx_at at;
    struct kpio_stat s;
    int64_t result = lx_at_begin(t, &at, (uint64_t)LX_AT_FDCWD, (uint64_t)name->path);
    if (result < 0) return result;
    do result = kpio_path_stat(at.handle, at.path, 0, &s);
    while (lx_at_again(t, &at, result));
    if (result == -EREMOTE) return -ECONNREFUSED;
    if (result < 0) return result;
    if ((s.mode & LX_S_IFMT) != S_IFSOCK) return -ECONNREFUSED;
    key->fs = s.fs;
    key->inode = s.inode;
    return 0;
}

static int64_t key_of(struct lx_thread *t, const struct lx_socket_name *name, struct lx_socket_key *key) {
    *key = (struct lx_socket_key){.name = *name};
    if (name->size == 0) return -EINVAL;
    return name->path[0] == 0 ? 0 : find_file(t, name, key);
}

static int64_t make_file(struct lx_thread *t, const struct lx_socket_name *name) {
    struct lx_at at;
    int64_t result = lx_at_begin(t, &at, (uint64_t)LX_AT_FDCWD, (uint64_t)name->path);
    if (result < 0) return result;
    const uint32_t mode = S_IFSOCK | (0777 & ~lx_process(t)->umask);
    do result = kpio_path_make(at.handle, at.path, mode, 0, 0);
    while (lx_at_again_nofollow(t, &at, result));
    if (result == -EREMOTE) return -EROFS;
    return result == -EEXIST ? -EADDRINUSE : result;
}

// ---- bind and listen -----------------------------------------------------------------------------------------------------

// The socket gets its pipe, and the name leads to that.
static int64_t settle(struct lx_thread *t, uint64_t number, const struct lx_fd *old, const struct lx_socket_key *key) {
    struct lx_process *p = lx_process(t);
    const struct lx_socket_name nobody = {};
    struct lx_fd fd = *old;
    kpio_handle writer;
    int64_t result = kpio_pipe_create(KPIO_PIPE_SEQPACKET, QUEUE_BYTES, &writer);
    if (result < 0) return result;
    fd.handle = (kpio_handle)result;
    fd.device |= LX_SOCKET_BOUND;
    fd.extra = lx_socket_names_add(p, &key->name, &nobody);
    if (fd.flags & LX_FD_NONBLOCK) (void)lx_object_flags(fd.handle, 0, KPIO_OBJECT_NONBLOCK);
    result = lx_socket_name_bind(t, key, fd.device & LX_SOCKET_TYPES, writer);
    if (result < 0) {
        (void)kpio_handle_close((uint64_t)writer);
        lx_fd_close(&fd);
        return result;
    }
    result = lx_fd_replace(p, number, old, &fd);
    if (result < 0) lx_fd_close(&fd);
    return result;
}

#define AUTOBIND_NAMES 0x100000u
// An abstract name of five digits that nobody has.
static int64_t autobind(struct lx_thread *t, uint64_t number, const struct lx_fd *fd) {
    struct lx_socket_key key = {.name = {.size = 6}};
    for (uint32_t tries = 0; tries < AUTOBIND_NAMES; tries++) {
        uint32_t value;
        int64_t result = kpio_random_get((uint8_t *)&value, sizeof value);
        if (result < 0) return result;
        fmt_print(key.name.path + 1, 6, "%05x", value % AUTOBIND_NAMES);
        result = settle(t, number, fd, &key);
        if (result != -EADDRINUSE) return result;
    }
    return -ENOSPC;
}

// ABI bind: names are known in the process and to children that it forks later; no names of datagram sockets
LX_CALL(bind) {
    struct lx_fd fd;
    struct lx_socket_name name;
    struct lx_socket_key key;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error == 0) error = lx_socket_name_in(a1, a2, &name);
    if (error < 0) return error;
    if (fd.device & LX_SOCKET_BOUND || fd.second > 0) return -EINVAL;
    if ((fd.device & LX_SOCKET_TYPES) == LX_SOCK_DGRAM) return -EOPNOTSUPP;
    if (name.size == 0) return autobind(t, a0, &fd);
    if (name.path[0] != 0) error = make_file(t, &name);
    if (error == 0) error = key_of(t, &name, &key);
    return error < 0 ? error : settle(t, a0, &fd, &key);
}

LX_CALL(listen) {
    struct lx_fd fd, fresh;
    struct lx_socket_name own, peer;
    struct lx_socket_key key;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if ((fd.device & LX_SOCKET_TYPES) == LX_SOCK_DGRAM) return -EOPNOTSUPP;
    if (!(fd.device & LX_SOCKET_BOUND)) return -EINVAL;
    lx_socket_names_get(lx_process(t), fd.extra, &own, &peer);
    error = key_of(t, &own, &key);
    if (error < 0) return error;
    fresh = fd;
    fresh.device |= LX_SOCKET_LISTENS;
    error = lx_fd_replace(lx_process(t), a0, &fd, &fresh);
    if (error == 0) lx_socket_name_listen(t, &key);
    return error;
}

// ---- connect -------------------------------------------------------------------------------------------------------------

// Sends the server's ends there.
static int64_t send_ends(struct lx_thread *t, kpio_handle queue, const struct lx_fd *side, bool nonblock,
                         const struct lx_greeting *greeting) {
    const kpio_handle ends[2] = {side->handle, side->second};
    for (unsigned i = 0; i < 2; i++)
        t->block->handles[i] = (struct kpio_message_handle){.handle = ends[i], .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_MOVE};
    const uint64_t options = KPIO_PIPE_SEND_HANDLES(2) | (nonblock ? KPIO_PIPE_NOWAIT : 0);
    int64_t result =
        lx_block(t, SYS_pipe_write, (uint64_t)queue, (uint64_t)greeting, sizeof *greeting, options, KPIO_TIME_NEVER, 0);
    if (result >= 0) return 0;
    lx_fd_close(side);
    return result == -EPIPE ? -ECONNREFUSED : lx_wait_result(t, result);
}

static int64_t join(struct lx_thread *t, uint64_t number, const struct lx_fd *old, const struct lx_socket_name *name,
                    kpio_handle queue, const struct lx_credentials *owner) {
    struct lx_process *p = lx_process(t);
    struct lx_greeting greeting = {.who = lx_socket_self(p)};
    struct lx_socket_name nobody;
    struct lx_socket_pair pair;
    const struct lx_credentials who[2] = {greeting.who, *owner};
    lx_socket_names_get(p, old->extra, &greeting.name, &nobody);
    int64_t result = lx_socket_make_pair(old->device & LX_SOCKET_TYPES, who, &pair);
    if (result < 0) return result;
    struct lx_fd *own = &pair.side[0];
    own->flags = old->flags & (uint8_t)~LX_FD_NONBLOCK;
    own->device |= old->device & LX_SOCKET_CREDENTIALS;
    if (old->flags & LX_FD_NONBLOCK) (void)lx_object_status(own, 0, LX_O_NONBLOCK);
    result = send_ends(t, queue, &pair.side[1], old->flags & LX_FD_NONBLOCK, &greeting);
    if (result == 0) {
        own->extra = lx_socket_names_add(p, &greeting.name, name);
        result = lx_fd_replace(p, number, old, own);
    }
    if (result < 0) lx_fd_close(own);
    else if (old->handle > 0) (void)kpio_handle_close((uint64_t)old->handle);  // of its name
    return result;
}

// ABI connect: to sockets of the process and those that were bound before it was forked; no names of datagram sockets
LX_CALL(connect) {
    struct lx_fd fd;
    struct lx_socket_name name;
    struct lx_socket_key key;
    struct lx_credentials owner;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error == 0) error = lx_socket_name_in(a1, a2, &name);
    if (error < 0) return error;
    if (fd.device & LX_SOCKET_LISTENS) return -EINVAL;
    if (fd.second > 0) return -EISCONN;
    error = key_of(t, &name, &key);
    if (error < 0) return error;
    int64_t queue = lx_socket_name_find(t, &key, fd.device & LX_SOCKET_TYPES, &owner);
    if (queue < 0) return queue;
    error = join(t, a0, &fd, &name, (kpio_handle)queue, &owner);
    (void)kpio_handle_close((uint64_t)queue);
    return error;
}

// ---- accept --------------------------------------------------------------------------------------------------------------

// The next connection.
static int64_t receive_ends(struct lx_thread *t, const struct lx_fd *fd, struct lx_greeting *greeting, struct lx_fd *out) {
    for (;;) {
        int64_t result = lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, (uint64_t)greeting, sizeof *greeting,
                                  KPIO_PIPE_TAKE_HANDLES, KPIO_TIME_NEVER, 0);
        if (result <= 0) return result == 0 ? -EINVAL : lx_wait_result(t, result);
        out->handle = t->block->handles[0].handle;
        out->second = t->block->handles[1].handle;
        if (result == sizeof *greeting && out->handle > 0 && out->second > 0 && greeting->name.size <= LX_SOCKET_PATH_MAX) return 0;
        bool none = out->handle <= 0 && out->second <= 0;
        lx_fd_close(out);
        if (none) return -EMFILE;
    }
}

static int64_t do_accept(struct lx_thread *t, uint64_t number, uint64_t at, uint64_t size_at, uint32_t flags) {
    struct lx_process *p = lx_process(t);
    struct lx_greeting greeting;
    struct lx_socket_name own, nobody;
    struct lx_fd fd;
    if (flags & ~LX_SOCK_FLAGS) return -EINVAL;
    int64_t error = lx_socket_get(t, number, &fd);
    if (error < 0) return error;
    if ((fd.device & LX_SOCKET_TYPES) == LX_SOCK_DGRAM) return -EOPNOTSUPP;
    if (!(fd.device & LX_SOCKET_LISTENS)) return -EINVAL;
    struct lx_fd fresh = {.kind = LX_KIND_SOCKET,
                          .flags = LX_FD_READ | LX_FD_WRITE | (flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0),
                          .device = fd.device & (LX_SOCKET_TYPES | LX_SOCKET_CREDENTIALS)};
    error = receive_ends(t, &fd, &greeting, &fresh);
    if (error < 0) return error;
    lx_socket_names_get(p, fd.extra, &own, &nobody);
    fresh.extra = lx_socket_names_add(p, &own, &greeting.name);
    if (flags & LX_O_NONBLOCK) (void)lx_object_status(&fresh, 0, LX_O_NONBLOCK);
    if (at != 0) error = lx_socket_name_out(t, &fresh, true, at, size_at);
    if (error < 0) {
        lx_fd_close(&fresh);
        return error;
    }
    return lx_fd_install(p, &fresh, 0);
}

LX_CALL(accept) { return do_accept(t, a0, a1, a2, 0); }
LX_CALL(accept4) { return do_accept(t, a0, a1, a2, (uint32_t)a3); }
