#include "user/liblinux/socket_names.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/linux.h"
#include "user/liblinux/lock.h"

#define AF_UNIX 1u

// ---- addresses -----------------------------------------------------------------------------------------------------------

int64_t lx_socket_name_in(uint64_t at, uint64_t size, struct lx_socket_name *out) {
    struct {
        uint16_t family;
        char path[LX_SOCKET_PATH_MAX];
    } address = {};
    *out = (struct lx_socket_name){};
    if ((uint32_t)size < sizeof address.family || (uint32_t)size > sizeof address) return -EINVAL;
    int64_t error = lx_copy_in(&address, at, (uint32_t)size);
    if (error < 0) return error;
    if (address.family != AF_UNIX) return -EINVAL;
    out->size = (uint16_t)((uint32_t)size - sizeof address.family);
    memcpy(out->path, address.path, out->size);
    if (out->size > 0 && out->path[0] != 0) out->size = (uint16_t)(strnlen(out->path, out->size) + 1);
    return 0;
}

static int64_t put(const struct lx_socket_name *name, uint64_t at, uint32_t *size) {
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

int64_t lx_socket_name_put(struct lx_thread *t, const struct lx_fd *fd, bool peer, uint64_t at, uint32_t *size) {
    struct lx_socket_name own, other;
    lx_socket_names_get(lx_process(t), fd->extra, &own, &other);
    return put(peer ? &other : &own, at, size);
}

int64_t lx_socket_name_out(struct lx_thread *t, const struct lx_fd *fd, bool peer, uint64_t at, uint64_t size_at) {
    uint32_t size;
    int64_t error = lx_copy_in(&size, size_at, sizeof size);
    if (error == 0) error = lx_socket_name_put(t, fd, peer, at, &size);
    return error < 0 ? error : lx_copy_out(size_at, &size, sizeof size);
}

// ---- what the process knows ----------------------------------------------------------------------------------------------

struct names {
    struct names *next;
    uint32_t index;
    struct lx_socket_name own, peer;
};
struct entry {
    struct entry *next;
    struct lx_socket_key key;
    uint32_t type;
    kpio_handle writer;
    bool listens;
    struct lx_credentials owner;
};
struct lx_socket_names {
    struct names *names;
    struct entry *entries;
    uint32_t count, last;
};

static struct lx_socket_names *get(struct lx_process *p) {
    if (p->socket_names == NULL) {
        struct lx_socket_names *fresh = lx_alloc(p->space, sizeof *fresh);
        lx_lock(&p->files_lock);
        if (p->socket_names == NULL) {
            p->socket_names = fresh;
            fresh = NULL;
        }
        lx_unlock(&p->files_lock);
        lx_free(p->space, fresh, sizeof *fresh);
    }
    return p->socket_names;
}

#define PRUNE_AT 64u  // names; beyond them those of closed sockets go
static void prune(struct lx_process *p, struct lx_socket_names *all) {
    uint32_t last = all->last, left = 0;
    for (uint32_t index = 1; index <= last; index++) {
        struct names **at, *found = NULL;
        if (lx_fd_extra_used(p, LX_KIND_SOCKET, index)) {
            left++;
            continue;
        }
        lx_lock(&p->files_lock);
        for (at = &all->names; *at != NULL && (*at)->index != index;) at = &(*at)->next;
        found = *at;
        if (found != NULL) *at = found->next;
        lx_unlock(&p->files_lock);
        lx_free(p->space, found, sizeof *found);
    }
    all->count = left;
}

uint32_t lx_socket_names_add(struct lx_process *p, const struct lx_socket_name *own, const struct lx_socket_name *peer) {
    struct lx_socket_names *all = get(p);
    if (all == NULL || own->size + peer->size == 0) return 0;
    if (all->count >= PRUNE_AT) prune(p, all);
    struct names *n = lx_alloc(p->space, sizeof *n);
    if (n == NULL) return 0;
    n->own = *own;
    n->peer = *peer;
    lx_lock(&p->files_lock);
    n->index = ++all->last;
    n->next = all->names;
    all->names = n;
    all->count++;
    lx_unlock(&p->files_lock);
    return n->index;
}

void lx_socket_names_get(struct lx_process *p, uint32_t index, struct lx_socket_name *own, struct lx_socket_name *peer) {
    own->size = peer->size = 0;
    if (index == 0 || p->socket_names == NULL) return;
    lx_lock(&p->files_lock);
    for (const struct names *n = p->socket_names->names; n != NULL; n = n->next) {
        if (n->index != index) continue;
        *own = n->own;
        *peer = n->peer;
        break;
    }
    lx_unlock(&p->files_lock);
}

// ---- the register --------------------------------------------------------------------------------------------------------

static bool same(const struct lx_socket_key *a, const struct lx_socket_key *b) {
    if (a->inode != 0 || b->inode != 0) return a->inode == b->inode && a->fs == b->fs;
    return a->name.size == b->name.size && memcmp(a->name.path, b->name.path, a->name.size) == 0;
}

// files_lock is held.
static struct entry *find(const struct lx_socket_names *all, const struct lx_socket_key *key) {
    for (struct entry *e = all->entries; e != NULL; e = e->next)
        if (same(&e->key, key)) return e;
    return NULL;
}

// Nobody reads there any more: its name is free.
static bool is_dead(const struct entry *e) {
    struct kpio_wait_item item = {.handle = e->writer, .signals = KPIO_SIGNAL_PEER_GONE};
    return kpio_handle_wait_many(&item, 1, 0) != 0;
}

// files_lock is held.
static void drop_dead(struct lx_process *p, struct lx_socket_names *all) {
    for (struct entry **at = &all->entries, *e; (e = *at) != NULL;) {
        if (!is_dead(e)) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        (void)kpio_handle_close((uint64_t)e->writer);
        lx_free(p->space, e, sizeof *e);
    }
}

int64_t lx_socket_name_bind(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type, kpio_handle writer) {
    struct lx_process *p = lx_process(t);
    struct lx_socket_names *all = get(p);
    struct entry *e = all == NULL ? NULL : lx_alloc(p->space, sizeof *e);
    if (e == NULL) return -ENOMEM;
    *e = (struct entry){.key = *key, .type = type, .writer = writer, .owner = lx_socket_self(p)};
    lx_lock(&p->files_lock);
    drop_dead(p, all);
    bool taken = find(all, key) != NULL;
    if (!taken) {
        e->next = all->entries;
        all->entries = e;
    }
    lx_unlock(&p->files_lock);
    if (taken) lx_free(p->space, e, sizeof *e);
    return taken ? -EADDRINUSE : 0;
}

void lx_socket_name_listen(struct lx_thread *t, const struct lx_socket_key *key) {
    struct lx_process *p = lx_process(t);
    if (p->socket_names == NULL) return;
    lx_lock(&p->files_lock);
    struct entry *e = find(p->socket_names, key);
    if (e != NULL) e->listens = true;
    lx_unlock(&p->files_lock);
}

int64_t lx_socket_name_find(struct lx_thread *t, const struct lx_socket_key *key, uint32_t type, struct lx_credentials *owner) {
    struct lx_process *p = lx_process(t);
    int64_t result = -ECONNREFUSED;
    if (p->socket_names == NULL) return result;
    lx_lock(&p->files_lock);
    drop_dead(p, p->socket_names);
    const struct entry *e = find(p->socket_names, key);
    if (e != NULL) {
        *owner = e->owner;
        if (e->type != type) result = -EPROTOTYPE;
        else if (e->listens) result = kpio_handle_dup(e->writer, KPIO_RIGHTS_SAME);
    }
    lx_unlock(&p->files_lock);
    return result;
}
