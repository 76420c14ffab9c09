#include "kernel/fs/vfs/walk.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/link.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"

#define AGAIN 1            // what was found went away: from the start, held
#define STOP 2             // before the last component, as asked
#define CLIMB_UNHELD 1024  // levels that an RCU section climbs at most

// ---- references -------------------------------------------------------------------------------------------------------

int walk_hold(struct walk *w) {
    if (w->held) return 0;
    if (!object_tryget(&w->from->object)) return -EBADF;
    if (!mount_tryhold(w->at.mount)) {
        object_put(&w->from->object);
        return -EAGAIN;
    }
    if (w->at.inode != NULL && !inode_tryhold(w->at.inode)) {
        mount_put(w->at.mount);
        object_put(&w->from->object);
        return -EAGAIN;
    }
    w->held = true;
    return 0;
}

static void walk_drop(struct walk *w) {
    if (!w->held) return;
    w->held = false;
    if (w->at.inode != NULL) inode_put(w->at.inode);
    mount_put(w->at.mount);
    object_put(&w->from->object);
}

void walk_end(struct walk *w) {
    walk_drop(w);
    kfree(w->space);
}

static void to_start(struct walk *w) {
    w->at = *w->path == '/' ? w->root : w->from->at;
    w->rest = w->path;
    w->links = 0;
    w->slash = false;
}

void walk_begin(struct walk *w, struct directory *from, const char *path, uint32_t flags) {
    w->from = from;
    w->table = from->table;
    w->root = flags & WALK_IN_ROOT ? from->at : from->root;
    w->path = path;
    w->space = NULL;
    w->flags = flags;
    w->held = false;
    w->climbed = 0;
    w->asked = NULL;
    to_start(w);
}

// The start is held by `from`, which is.
int walk_restart(struct walk *w) {
    walk_drop(w);
    to_start(w);
    return walk_hold(w) == 0 ? 0 : -EBADF;
}

// Stands at a place found under RCU; `owned`: with a reference on the inode that is the walk's now.
static int stand(struct walk *w, struct mount *mount, struct inode *inode, bool owned) {
    if (likely(!w->held)) {
        w->at = (struct place){mount, inode};
        return 0;
    }
    if (!owned && inode != NULL && !inode_tryhold(inode)) return AGAIN;
    struct place old = w->at;
    if (mount != old.mount && !mount_tryhold(mount)) {
        w->at.inode = inode;  // dropped with the walk
        inode_put(old.inode);
        return AGAIN;
    }
    w->at = (struct place){mount, inode};
    if (mount != old.mount) mount_put(old.mount);
    inode_put(old.inode);
    return 0;
}

// ---- up ---------------------------------------------------------------------------------------------------------------

static struct {
    struct spinlock lock;
    uint32_t sequence;  // odd while a parent changes
} renames = {.lock = SPINLOCK_INIT("rename sequence")};

uint32_t rename_sequence_begin(void) {
    for (;;) {
        uint32_t sequence = __atomic_load_n(&renames.sequence, __ATOMIC_ACQUIRE);
        if (likely(!(sequence & 1))) return sequence;
        cpu_relax();
    }
}

bool rename_sequence_moved(uint32_t sequence) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&renames.sequence, __ATOMIC_RELAXED) != sequence;
}

void rename_set_parent(struct inode *dir, struct inode *parent) {
    spin_lock(&renames.lock);
    __atomic_store_n(&renames.sequence, renames.sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&dir->parent, parent, __ATOMIC_RELAXED);
    __atomic_store_n(&renames.sequence, renames.sequence + 1, __ATOMIC_RELEASE);
    spin_unlock(&renames.lock);
}

bool inode_is_below(const struct inode *dir, const struct inode *ancestor) {
    for (;; dir = dir->parent) {
        if (dir == ancestor) return true;
        if (dir->parent == dir || dir->parent == NULL) return false;
    }
}

static inline bool same_place(const struct place *a, const struct place *b) { return a->inode == b->inode && a->mount == b->mount; }

// One level up. False: this is the top of everything.
static bool climb(struct place *p) {
    while (p->inode == p->mount->root) {
        if (p->mount->parent == NULL) return false;
        *p = (struct place){p->mount->parent, p->mount->point};
    }
    struct inode *parent = __atomic_load_n(&p->inode->parent, __ATOMIC_RELAXED);
    if (parent == p->inode || parent == NULL) return false;
    p->inode = parent;
    return true;
}

// Whether the place lies below the root; how many levels.
static bool lies_below(struct place p, const struct place *root, uint32_t *levels) {
    for (; !same_place(&p, root); ++*levels)
        if (!climb(&p)) return false;
    return true;
}

static int cross_mounts(struct walk *w);

static int step_up(struct walk *w) {
    if (same_place(&w->at, &w->root)) return w->flags & WALK_BENEATH ? -EXDEV : 0;
    if (w->flags & WALK_BENEATH && same_place(&w->at, &w->from->at)) return -EXDEV;
    struct place up;
    bool below;
    uint32_t sequence, levels = 0;
    do {
        sequence = rename_sequence_begin();
        up = w->at;
        below = lies_below(up, &w->root, &levels) && climb(&up);
    } while (rename_sequence_moved(sequence));
    if (!below) return -ENOENT;
    if (up.mount != w->at.mount && w->flags & WALK_NO_MOUNTS) return -EXDEV;
    if ((w->climbed += levels) > CLIMB_UNHELD) {
        if (!w->held) return AGAIN;
        w->climbed = 0;
    }
    int error = stand(w, up.mount, up.inode, false);
    if (error == 0 && w->held && w->climbed == 0) (void)sched_preempt_point();
    return error != 0 ? error : cross_mounts(w);
}

// ---- down -------------------------------------------------------------------------------------------------------------

static coldpath int cross(struct walk *w) {
    struct mount *m;
    while (w->at.inode != NULL && (m = mount_on(w->table, &w->at)) != NULL) {
        if (w->flags & WALK_NO_MOUNTS) return -EXDEV;
        int error = stand(w, m, m->root, false);
        if (error != 0) return error;
    }
    return w->at.inode != NULL ? 0 : -EREMOTE;
}

static inline int cross_mounts(struct walk *w) {
    return likely(__atomic_load_n(&w->at.inode->mounts, __ATOMIC_RELAXED) == 0) ? 0 : cross(w);
}

// A directory has one parent; an image that says otherwise would make rings.
static int adopt(struct inode *dir, struct inode *child) {
    struct inode *none = NULL;
    if (FS_TYPE(child->mode) != FS_DIRECTORY) return 0;
    inode_hold(dir);
    if (__atomic_compare_exchange_n(&child->parent, &none, dir, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return 0;
    inode_put(dir);
    return none == dir ? 0 : fs_damaged(dir->fs, "directory %lu has two parents, %lu and %lu", child->number, none->number, dir->number);
}

// What was seen of the driver's directories does not fit together, which may just be that somebody else has moved one: it is
// taken for that, unless this would make a ring. The lock comes before that of dir, which is held, so it is only tried.
static int adopt_remote(struct inode *dir, struct inode *child) {
    struct inode *none = NULL;
    if (FS_TYPE(child->mode) != FS_DIRECTORY) return 0;
    inode_hold(dir);
    if (__atomic_compare_exchange_n(&child->parent, &none, dir, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return 0;
    if (none == dir) {
        inode_put(dir);
        return 0;
    }
    int error = mutex_trylock(&dir->fs->rename_lock) ? 0 : -EBUSY;
    struct inode *old = child->parent;
    bool moves = error == 0 && old != child && !inode_is_below(dir, child);
    if (moves) rename_set_parent(child, dir);
    if (error == 0) mutex_unlock(&dir->fs->rename_lock);
    inode_put(moves ? old : dir);
    return error != 0 ? error : moves ? 0 : -EIO;
}

static coldpath int child_find(struct inode *dir, const struct component *c, struct inode **out) {
    nanos_t until;
    struct inode *child;
    int error = dir->flags & INODE_BAD ? -EIO : dir->ops->find(dir, c->text, c->bytes, &child, &until);
    if (error == 0 && child != NULL && (error = adopt_remote(dir, child)) != 0) inode_put(child);
    if (error != 0) {
        name_forget(dir, c);
        return error;
    }
    name_enter_until(dir, c, child, until);
    if (child == NULL) return -ENOENT;
    *out = child;
    return 0;
}

int child_lookup(struct inode *dir, const struct component *c, struct inode **out) {
    struct name *n = name_find(dir, c);
    if (n != NULL && n->inode == NULL) return -ENOENT;
    if (n != NULL && inode_tryhold(n->inode)) {
        *out = n->inode;
        return 0;
    }
    if (unlikely(dir->fs->remote)) return child_find(dir, c, out);
    uint64_t number;
    struct inode *child = NULL;
    int error;
    do {
        error = dir->flags & INODE_BAD ? -EIO : dir->ops->lookup(dir, c->text, c->bytes, &number);
        if (error == 0) error = inode_get(dir->fs, number, &child);
    } while (unlikely(error == -EAGAIN));
    if (error == -ESTALE) error = fs_damaged(dir->fs, "directory %lu has an entry for inode %lu, which is not in use", dir->number, number);
    if (error == 0 && (error = adopt(dir, child)) != 0) inode_put(child);
    if (error == 0 || error == -ENOENT) name_learn(dir, c, error == 0 ? child : NULL);
    if (error == 0) *out = child;
    return error;
}

// The text of a symlink takes the place of what is left of the path; the walk stays where the link lies.
static int follow_text(struct walk *w, const char *target) {
    size_t bytes = strlen(target), left = strlen(w->rest);
    if (bytes == 0) return -ENOENT;
    if (bytes + left >= FS_PATH_MAX) return -ENAMETOOLONG;
    if (w->space == NULL && (w->space = kmalloc(FS_PATH_MAX)) == NULL) return -ENOMEM;
    memmove(w->space + bytes, w->rest, left + 1);
    memcpy(w->space, target, bytes);
    w->rest = w->space;
    if (*target != '/') return 0;
    return w->flags & WALK_BENEATH ? -EXDEV : stand(w, w->root.mount, w->root.inode, false);
}

static coldpath int follow(struct walk *w, struct inode *link, bool owned) {
    int error = w->flags & WALK_NO_LINKS || ++w->links > FS_SYMLINK_DEPTH ? -ELOOP : 0;
    const char *target = link_cached(link);
    if (error == 0 && target == NULL) {
        if (!owned && !inode_tryhold(link)) return AGAIN;
        owned = true;
        error = walk_hold(w);
        if (error == 0) error = link_read(link, &target);
    }
    if (error == 0) error = follow_text(w, target);
    if (owned) inode_put(link);
    return error == -EAGAIN ? AGAIN : error;
}

static int stop_at(struct walk *w, const struct component *c, enum last_kind kind) {
    w->last = *c;
    w->last_kind = (uint8_t)kind;
    return STOP;
}

// Down into a child. `last`: nothing follows it, and w->slash: but slashes do.
static inline int enter(struct walk *w, const struct component *c, struct inode *child, bool owned, bool last) {
    if (unlikely(FS_TYPE(child->mode) == FS_SYMLINK) && (!last || w->slash || w->flags & WALK_FOLLOW))
        return follow(w, child, owned);
    if (unlikely(last && w->flags & WALK_PARENT)) {
        if (owned) inode_put(child);
        return stop_at(w, c, LAST_NAME);
    }
    int error = stand(w, w->at.mount, child, owned);
    return error != 0 ? error : cross_mounts(w);
}

static coldpath int step_slowly(struct walk *w, const struct component *c, bool last) {
    int error = walk_hold(w);
    if (error != 0) return error == -EAGAIN ? AGAIN : error;
    struct inode *dir = w->at.inode, *child;
    error = rw_mutex_lock_shared_killable(&dir->lock);
    if (error != 0) return error;
    error = dir->flags & INODE_DELETED ? -ENOENT : child_lookup(dir, c, &child);
    rw_mutex_unlock_shared(&dir->lock);
    if (error == -ENOENT && last && w->flags & WALK_PARENT) return stop_at(w, c, LAST_NAME);
    if (error == 0) w->asked = child;
    return error != 0 ? error : enter(w, c, child, true, last);
}

static inline int step_down(struct walk *w, const struct component *c, bool last) {
    struct name *n = name_find(w->at.inode, c);
    if (unlikely(n == NULL)) return step_slowly(w, c, last);
    if (likely(n->inode != NULL)) return enter(w, c, n->inode, false, last);
    return last && w->flags & WALK_PARENT ? stop_at(w, c, LAST_NAME) : -ENOENT;
}

// ---- the path ---------------------------------------------------------------------------------------------------------

static inline const char *scan(const char *at, struct component *c) {
    uint32_t hash = NAME_HASH_START;
    c->text = at;
    for (; *at != '/' && *at != '\0'; at++) hash = name_hash_add(hash, *at);
    c->bytes = (uint32_t)(at - c->text);
    c->hash = hash;
    return at;
}

static inline enum last_kind kind_of(const struct component *c) {
    if (likely(c->text[0] != '.') || c->bytes > 2) return LAST_NAME;
    if (c->bytes == 1) return LAST_DOT;
    return c->text[1] == '.' ? LAST_DOT_DOT : LAST_NAME;
}

static int run(struct walk *w) {
    for (;;) {
        struct component c;
        while (*w->rest == '/') w->rest++;
        if (*w->rest == '\0') return 0;
        const char *end = scan(w->rest, &c), *next = end;
        while (*next == '/') next++;
        bool last = *next == '\0';
        enum last_kind kind = kind_of(&c);
        w->slash = next != end || kind != LAST_NAME;
        if (unlikely(FS_TYPE(w->at.inode->mode) != FS_DIRECTORY)) return -ENOTDIR;
        if (unlikely(last && w->flags & WALK_CREATE && w->slash && kind == LAST_NAME)) return -EISDIR;
        if (unlikely(c.bytes > FS_NAME_MAX)) return -ENAMETOOLONG;
        if (last && w->flags & WALK_PARENT && !(kind == LAST_NAME && w->flags & WALK_FOLLOW)) return stop_at(w, &c, kind);
        w->rest = end;
        int error = 0;
        if (likely(kind == LAST_NAME)) error = step_down(w, &c, last);
        else if (kind == LAST_DOT_DOT) error = step_up(w);
        if (unlikely(error != 0)) return error;
    }
}

int walk_run(struct walk *w) {
    if (*w->path == '\0') return -ENOENT;
    if (*w->path == '/' && w->flags & WALK_BENEATH) return -EXDEV;
    w->last_kind = LAST_ROOT;
    int error = run(w);
    for (unsigned tries = 0; unlikely(error == AGAIN); tries++) {
        error = walk_restart(w);
        if (error == 0) error = run(w);
        if (error == AGAIN && tries == 1000) error = -EIO;
    }
    if (error == STOP) return 0;
    if (error == 0 && w->slash && !(w->flags & WALK_PARENT) && FS_TYPE(w->at.inode->mode) != FS_DIRECTORY) error = -ENOTDIR;
    return error;
}
