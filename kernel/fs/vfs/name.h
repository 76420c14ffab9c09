// The name cache: what an entry of a directory leads to, or that it does not exist. A name never changes: a rename takes one
// out and puts another in.
//
//     (directory, text) ──hash──▶ name ──▶ inode, referenced          or NULL: known not to exist
//
// Finding one takes no lock and writes nothing but `used`, once: RCU keeps the name and the inode's memory. What it said
// was true at that moment, and stays so as long as the directory's lock is held: names of a directory change only with that
// lock held by a writer, or by a reader who found out what the file system says.
// A name in a remote file system (fs->remote) holds until a time that its driver has said; one whose time is over is not found,
// and is replaced by what the next look says.
// names.lock guards chains and lists; a leaf.
#pragma once
#include "kernel/fs/vfs/fs.h"
#include "lib/string.h"

struct component {  // of a path
    const char *text;
    uint32_t bytes;
    uint32_t hash;
};

enum { NAME_UNUSED, NAME_USED, NAME_TIMED };  // TIMED: holds until `until`

struct name {
    struct name *next, **link;    // in the hash chain
    struct inode *dir, *inode;
    uint32_t hash;
    uint8_t bytes;
    uint16_t generation;          // TIMED: of the file system, as it was
    uint8_t used;                 // NAME_USED: found since it was last looked at for reclaim
    struct list_node age;
    union {
        struct list_node in_dir;
        struct rcu_head rcu;
    };
    nanos_t until;
    char text[];
};

extern struct name **name_table;
extern unsigned name_shift;

// Makes the table unless it is there: before anything of a file system is looked up. `limit`: names kept at most, always the
// same. -ENOMEM.
[[nodiscard]] int names_init(uint64_t limit);

#define NAME_HASH_START 0x811c9dc5u
static inline uint32_t name_hash_add(uint32_t hash, char c) { return (hash ^ (uint8_t)c) * 0x01000193u; }

static inline struct name **name_chain(const struct inode *dir, uint32_t hash) {
    return &name_table[((uintptr_t)dir / 64 + hash) * 0x9e3779b97f4a7c15ull >> name_shift];
}
static inline bool name_equal(const char *a, const char *b, uint32_t bytes) {
    uint64_t x, y;
    for (; bytes >= 8; bytes -= 8, a += 8, b += 8) {
        __builtin_memcpy(&x, a, 8);
        __builtin_memcpy(&y, b, 8);
        if (x != y) return false;
    }
    for (; bytes > 0; bytes--)
        if (*a++ != *b++) return false;
    return true;
}
struct name *name_find_folded(const struct inode *dir, const struct component *c);
// Of a TIMED one: whether its time is not over.
bool name_holds(const struct name *n);
// Within an RCU section.
static inline struct name *name_find(const struct inode *dir, const struct component *c) {
    if (unlikely(dir->fs->case_insensitive)) return name_find_folded(dir, c);
    for (struct name *n = __atomic_load_n(name_chain(dir, c->hash), __ATOMIC_ACQUIRE); n != NULL;
         n = __atomic_load_n(&n->next, __ATOMIC_ACQUIRE)) {
        if (n->hash != c->hash || n->dir != dir || n->bytes != c->bytes || !name_equal(n->text, c->text, c->bytes)) continue;
        if (unlikely(n->used != NAME_USED)) {
            if (unlikely(n->used == NAME_TIMED)) return name_holds(n) ? n : NULL;
            n->used = NAME_USED;
        }
        return n;
    }
    return NULL;
}

// The entry leads to inode (NULL: does not exist) from now on. Takes a reference of its own. Only a cache: may forget instead.
// In a remote file system it holds as long as the inode says (fs_ops.name_until), a missing one not at all.
void name_enter(struct inode *dir, const struct component *c, struct inode *inode);
// The same of what was looked up, and was so already.
void name_learn(struct inode *dir, const struct component *c, struct inode *inode);
void name_enter_until(struct inode *dir, const struct component *c, struct inode *inode, nanos_t until);
// The entry is to be looked for anew.
void name_forget(struct inode *dir, const struct component *c);
// The name of a child that is cached, whether or not it still holds: its length, 0: none.
size_t name_of_child(struct inode *dir, const struct inode *child, char text[FS_NAME_MAX]);
// Forgets some `count` names, the longest unused first.
void names_reclaim(uint64_t count);
void names_forget_in(struct inode *dir);
void names_forget_all(struct filesystem *fs);
uint64_t names_count(void);
