#include "user/liblinux/socket_names.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "protocols/gen/posix.h"
#include "user/liblinux/at.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/linux.h"
#include "user/liblinux/node.h"
#include "user/liblinux/object_flags.h"

#define AF_UNSPEC 0u
#define AF_UNIX   1u
#define S_IFSOCK  0140000u

// ---- addresses ----------------------------------------------------------------------------------------------------------

int64_t lx_socket_name_in(uint64_t at, uint64_t size, struct lx_socket_name *out) {
    struct {
        uint16_t family;
        char path[LX_SOCKET_PATH_MAX];
    } address = {};
    *out = (struct lx_socket_name){};
    if ((uint32_t)size < sizeof address.family || (uint32_t)size > sizeof address) return -EINVAL;
    int64_t error = lx_copy_in(&address, at, (uint32_t)size);
    if (error < 0) return error;
    if (address.family == AF_UNSPEC) return -LX_NO_FAMILY;
    if (address.family != AF_UNIX) return -EINVAL;
    out->size = (uint16_t)((uint32_t)size - sizeof address.family);
    memcpy(out->path, address.path, out->size);
    if (out->size > 0 && out->path[0] != 0) out->size = (uint16_t)(strnlen(out->path, out->size) + 1);
    return 0;
}

int64_t lx_socket_name_put(const struct lx_socket_name *name, uint64_t at, uint32_t *size) {
    struct {
        uint16_t family;
        char path[LX_SOCKET_PATH_MAX + 1];
    } address = {.family = AF_UNIX};
    const uint32_t whole = (uint32_t)sizeof address.family + name->size;
    if ((int32_t)*size < 0) return -EINVAL;
    memcpy(address.path, name->path, name->size);
    int64_t error = lx_copy_out(at, &address, MIN(*size, whole));
    *size = whole;
    return error;
}

int64_t lx_socket_name_out(const struct lx_socket_name *name, uint64_t at, uint64_t size_at) {
    uint32_t size;
    int64_t error = lx_copy_in(&size, size_at, sizeof size);
    if (error == 0) error = lx_socket_name_put(name, at, &size);
    return error < 0 ? error : lx_copy_out(size_at, &size, sizeof size);
}

void lx_socket_label(kpio_handle end, struct lx_socket_name *out) {
    int64_t size = end > 0 ? kpio_pipe_label_get(end, (uint8_t *)out->path, sizeof out->path) : 0;
    out->size = size > 0 && size <= (int64_t)sizeof out->path ? (uint16_t)size : 0;
}

void lx_socket_set_label(kpio_handle end, const struct lx_socket_name *name) {
    if (name->size > 0) (void)kpio_pipe_label(end, (const uint8_t *)name->path, name->size);
}

// ---- files --------------------------------------------------------------------------------------------------------------

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

int64_t lx_socket_key_find(struct lx_thread *t, const struct lx_socket_name *name, struct lx_socket_key *key) {
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

int64_t lx_socket_key_make(struct lx_thread *t, const struct lx_socket_name *name, struct lx_socket_key *key) {
    int64_t error = name->path[0] != 0 ? make_file(t, name) : 0;
    return error < 0 ? error : lx_socket_key_find(t, name, key);
}

// ---- with posixd --------------------------------------------------------------------------------------------------------

int64_t lx_socket_bind(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type, kpio_handle writer) {
    const struct lx_process *p = lx_process(t);
    struct posix_socket_bind_request request = {LX_NODE_WHO(t),
                                                .type = type,
                                                .uid = p->euid,
                                                .gid = p->egid,
                                                .fs = key->fs,
                                                .inode = key->inode,
                                                .name_size = key->name.size};
    if (p->posixd <= 0) return -EOPNOTSUPP;
    memcpy(request.name, key->name.path, key->name.size);
    const uint64_t size = offsetof(struct posix_socket_bind_request, name) + key->name.size;
    int64_t result = lx_node_call(t, p->posixd, POSIX_SOCKET_BIND, &request, size, &writer, 1);
    return result < 0 ? result : ((const struct posix_socket_bind_reply *)t->block->message)->id;
}

int64_t lx_socket_listen(struct lx_thread *t, uint32_t id) {
    const struct lx_process *p = lx_process(t);
    const struct posix_socket_listen_request request = {.pid = p->pid, .id = id, .uid = p->euid, .gid = p->egid};
    int64_t result = lx_node_call(t, p->posixd, POSIX_SOCKET_LISTEN, &request, sizeof request, NULL, 0);
    return result < 0 ? result : 0;
}

int64_t lx_socket_tell_peer(struct lx_thread *t, uint32_t id, uint32_t peer) {
    const struct lx_process *p = lx_process(t);
    const struct posix_socket_peer_request request = {.pid = p->pid, .id = id, .peer = peer};
    int64_t result = lx_node_call(t, p->posixd, POSIX_SOCKET_PEER, &request, sizeof request, NULL, 0);
    return result < 0 ? result : 0;
}

uint32_t lx_socket_own_id(const struct lx_fd *fd) {
    return fd->device & LX_SOCKET_BOUND ? (uint32_t)(lx_object_flags(fd->handle, 0, 0) >> LX_SOCKET_PEER) : 0;
}

uint32_t lx_socket_id_of_way(kpio_handle way) { return (uint32_t)(lx_object_flags(way, 0, 0) >> 1) & 0x7fffffff; }

int64_t lx_socket_may_send(const struct lx_fd *fd, kpio_handle way) {
    struct kpio_pipe_info info;
    const uint32_t only = (uint32_t)(lx_object_flags(way, 0, 0) >> LX_SOCKET_PEER);
    if (__builtin_expect(only == 0, 1) || only == lx_socket_own_id(fd)) return 0;
    return kpio_pipe_info(way, &info) == 0 && info.peer ? -EPERM : -ECONNREFUSED;
}

int64_t lx_socket_find(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type, struct lx_socket_found *out) {
    const struct lx_process *p = lx_process(t);
    struct posix_socket_find_request request = {
        .pid = p->pid, .type = type, .fs = key->fs, .inode = key->inode, .name_size = key->name.size};
    if (p->posixd <= 0) return -ECONNREFUSED;
    memcpy(request.name, key->name.path, key->name.size);
    const uint64_t size = offsetof(struct posix_socket_find_request, name) + key->name.size;
    int64_t result = lx_node_call(t, p->posixd, POSIX_SOCKET_FIND, &request, size, NULL, 0);
    if (result < 0) return result;
    const struct posix_socket_find_reply *reply = (const struct posix_socket_find_reply *)t->block->message;
    if (KPIO_MESSAGE_HANDLES(result) != 1 || reply->name_size > sizeof out->name.path) return -EIO;
    out->pipe = t->block->handles[0].handle;
    out->owner = (struct lx_credentials){.pid = reply->pid, .uid = reply->uid, .gid = reply->gid};
    out->name.size = (uint16_t)reply->name_size;
    memcpy(out->name.path, reply->name, reply->name_size);
    return out->pipe > 0 ? 0 : -EMFILE;
}
