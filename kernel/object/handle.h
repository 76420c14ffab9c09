// Handles: what a process can name, and the derivation tree that revocation follows.
//
//        process A             process B
//        table                 table               A handle is a node of its object's tree, wherever the table is that
//         │ h1 ──child── h2 ──────┘ h5              names it. Moving changes the table, not the tree. Closing h2 while
//         └ h3     └─ h4 (in a message)             it has children leaves its node as a tombstone, which goes when one
//                                                   child is left (that child takes its place): so closing is O(1), and
//                                                   tombstones never outnumber live handles.
// Locks, in order: object->tree, then table->lock. Lookups take neither (RCU).
#pragma once
#include "kernel/object/object.h"

struct process;
struct ktimer;
struct thread;

enum {  // struct handle flags
    HANDLE_TOMBSTONE = 1 << 0,  // closed, but has children
    HANDLE_REVOKING = 1 << 1,   // no new children
    HANDLE_MAPPING = 1 << 2,    // embedded in a mapping of an address space, not in a table
    HANDLE_EXPIRES = 1 << 3,
    HANDLE_AUDITED = 1 << 4,
    HANDLE_IN_FLIGHT = 1 << 5,  // taken out of a table, in a message
    HANDLE_DEAD = 1 << 6,       // revoked while in flight or mapped: out of the tree
};

// One cache line. Everything is guarded by object->tree, except that lookups read object, value, rights, flags and badge
// under RCU; `value` is set last and cleared first.
struct handle {
    struct object *object;
    uint64_t badge;
    kpio_handle value;            // 0 while in no table: index | generation << 18
    union {
        struct {
            uint32_t rights : 24, flags : 8;
        };
        uint32_t access;          // both at once: handle_is_plain
    };
    union {
        struct handle *parent;
        uint64_t batch_size;      // ended, the first of a batch (handle_pool.h)
    };
    union {
        struct handle *child;     // first child
        struct handle *batch_next;
    };
    union {
        struct {
            struct handle *next;  // sibling
            struct handle **link; // what points to this one: parent->child or a sibling's next; of a root its own next
        };
        struct rcu_head rcu;
    };
    union {
        struct handle_table *table;  // means something while value is not 0; NULL in flight and in a mapping
        struct handle *pool_next;    // ended
    };
};
_Static_assert(sizeof(struct handle) == 64, "one cache line");

// Whether nothing but the ordinary applies to a handle with this `access`: no flag, and no right that is counted.
static inline bool handle_is_plain(uint32_t access) { return !(access & (0xff000000u | KPIO_RIGHT_RECEIVE)); }

#define HANDLE_INDEX_BITS 18
#define HANDLE_CHUNK_BITS 9      // 512 entries: one page

// An entry is a struct handle *, or while free: value of the next handle in it << 32 | index of the next free entry << 1 | 1.
// Chunks stay where they are until the table is destroyed. Most tables have one, and what is in it is found without the
// directory.
struct handle_table {
    uintptr_t *first;             // the first chunk
    uint32_t first_end;           // entries of it from here on were never used
    uint32_t free;                // first free entry, or HANDLE_NO_ENTRY
    struct spinlock lock;
    int32_t room, limit;          // handles that it still takes; that it takes at all
    uint32_t used_end;            // entries from here on were never used; written after their chunk is in place
    uintptr_t **directory;        // chunks; &first while there is at most one
    struct job *job;              // pays; the process has a reference on it, so it is no orphan
};
#define HANDLE_NO_ENTRY 0x7fffffffu

// Handles in the table.
static inline uint32_t handle_table_count(const struct handle_table *table) { return (uint32_t)(table->limit - table->room); }

// The handle that the value names in the running process, or NULL (-EBADF). Valid as RCU says; expiry is checked.
struct handle *handle_lookup(kpio_handle value);
// The same for any table. One comparison catches index, generation and life.
coldcall struct handle *handle_table_lookup_far(struct handle_table *table, kpio_handle value);
static inline struct handle *handle_table_lookup(struct handle_table *table, kpio_handle value) {
    uint32_t index = (uint32_t)value & ((1u << HANDLE_INDEX_BITS) - 1);
    if (unlikely(index >= __atomic_load_n(&table->first_end, __ATOMIC_ACQUIRE)))
        return handle_table_lookup_far(table, value);
    uintptr_t entry = __atomic_load_n(&table->first[index], __ATOMIC_RELAXED);
    if (unlikely(entry & 1)) return NULL;
    struct handle *h = (struct handle *)entry;
    return likely(h->value == value) ? h : NULL;
}

// Looks up and checks kind and rights, in this order: -EBADF, -EWRONGTYPE, -EACCES (denials are audited). On success
// *out is the object. kind KPIO_KIND_NONE: any.
[[nodiscard]] int handle_get(kpio_handle value, enum kpio_kind kind, uint32_t rights, struct object **out);
[[nodiscard]] int handle_get_full(kpio_handle value, enum kpio_kind kind, uint32_t rights, struct handle **out);

// Makes the first handle on a new object in the running process, as a root of its tree, with the rights of its kind (all that
// make sense). Takes over the creator's reference in every case: without a handle the object ends (object_abandon).
// Returns the value or -EMFILE, -ENFILE, -ENOMEM.
[[nodiscard]] int64_t handle_install(struct object *o);
// The same, as a child of `parent` (a handle on another object whose tree it shares, or on the same). -EBADF when that was
// closed since it was looked up, or is being revoked.
[[nodiscard]] int64_t handle_install_child(struct object *o, uint32_t rights, struct handle *parent);
// A handle on any object, in any table. Takes over the reference: on failure the object is put, and goes on if others know it.
[[nodiscard]] int64_t handle_install_in(struct handle_table *table, struct object *o, uint32_t rights);

// Mapping nodes (aspace): links `node` (embedded) as a child of `parent`: the mapping dies with it. -EBADF when
// the parent is being revoked. Each linked node counts as a handle of the object.
// Revocation takes the node out of the tree (HANDLE_DEAD), and while it still holds the tree lock calls
// aspace_mapping_pin(node), which must make sure that the memory around node stays (a reference on the address space,
// say); then, without any lock, aspace_mapping_revoked(node), which removes the mapping's pages and drops the pin.
// handle_mapping_unlink of a dead node does nothing. Both provided by object/aspace_object.c.
[[nodiscard]] int handle_mapping_link(struct handle *node, struct handle *parent);
// A sibling of `of`, for mappings that are split or cloned.
[[nodiscard]] int handle_mapping_link_sibling(struct handle *node, struct handle *of);
void handle_mapping_unlink(struct handle *node);
void aspace_mapping_pin(struct handle *node);
void aspace_mapping_revoked(struct handle *node);

// ---- messages: used by ipc -------------------------------------------------------------------------------------------
// Takes a handle out for a message. COPY (right DUPLICATE and TRANSFER): makes a child; MOVE (TRANSFER): takes it out of
// its table, fewer rights than it had are allowed. The result is in flight and belongs to the caller.
// handle_check_transfer makes the checks of handle_take only.
[[nodiscard]] int handle_check_transfer(struct handle_table *from, kpio_handle value, uint32_t rights, unsigned mode);
[[nodiscard]] int handle_take(struct handle_table *from, kpio_handle value, uint32_t rights, unsigned mode,
                          struct handle **out);
// A child of a handle in flight, with its rights, in flight too. -EACCES (it has not DUPLICATE), -EBADF, -ENOMEM.
[[nodiscard]] int handle_copy_in_flight(struct handle *h, struct handle **out);
// Puts an in-flight handle into a table: value; or -EBADF (it was revoked on the way and is freed now); or -EMFILE,
// -ENFILE, -ENOMEM (then it is still in flight).
[[nodiscard]] int64_t handle_put(struct handle_table *to, struct handle *h);
// Drops an in-flight handle.
void handle_drop(struct handle *h);

// ---- operations --------------------------------------------------------------------------------------------------------
[[nodiscard]] int64_t handle_close(struct handle_table *table, kpio_handle value);  // 0 or -EBADF
[[nodiscard]] int64_t handle_dup(kpio_handle value, uint32_t rights);
[[nodiscard]] int64_t handle_dup_badged(kpio_handle value, uint32_t rights, uint64_t badge);
[[nodiscard]] int64_t handle_revoke(kpio_handle value, bool self);
// Sets or takes back (TIME_NEVER) the time at which the handle and what was derived from it are revoked.
[[nodiscard]] int handle_expire(kpio_handle value, nanos_t deadline);
[[nodiscard]] int64_t handle_give(struct handle_table *to, kpio_handle value, uint32_t rights, unsigned mode);
void handle_describe(const struct handle *h, struct kpio_handle_info *info);
void handle_init(void);  // caches and the expiry worker; after sched_init

// Empty, for a process that is charged for its handles. 0 or -ENOMEM.
[[nodiscard]] int handle_table_init(struct handle_table *table, struct process *p);
void handle_table_close_all(struct handle_table *table);  // in preemptible steps; process exit. It takes no more
// Describes up to `max` handles from entry *cursor on (0 at first), moves it, says whether there may be more. A bounded
// number of steps. The table must not be destroyed meanwhile.
unsigned handle_table_describe(struct handle_table *table, uint32_t *cursor, struct kpio_handle_info *infos, unsigned max,
                               bool *more);
void handle_table_destroy(struct handle_table *table);
// For fork: fills `to`, which nobody else can reach yet, with siblings of the handles of `from` at the same values; but those
// whose kind is in the set `kinds` name what `choose` puts into *as: an object that the caller holds, the same one (what is
// there before), or NULL: left out. It must not pass a quiescent point. -EINTR when the running thread was killed, -EMFILE,
// -ENFILE, -ENOMEM, or choose's; `to` then has some of them.
struct handle_clone {
    uint64_t kinds;  // 1 << KPIO_KIND_*
    int (*choose)(struct handle_clone *c, struct object *o, struct object **as);
};
[[nodiscard]] int handle_table_clone(struct handle_table *to, struct handle_table *from, struct handle_clone *c);
uint64_t handle_count(void);  // live handles in the system
