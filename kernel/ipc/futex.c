#include "kernel/ipc/futex.h"

#include "abi/gen/errors.h"
#include "kernel/ipc/futex_table.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/usercopy.h"
#include "kernel/mm/vmo.h"
#include "kernel/object/id.h"
#include "kernel/object/process.h"

#define OWNER_MASK   0x3fffffffu
#define OWNER_WAITED (1u << 31)

// Finds what the word is known by. A shared one comes with a reference to its VMO (key_put).
static int key_get(uint64_t address, uint32_t flags, struct futex_key *key) {
    struct aspace *aspace = current_thread()->aspace;
    if ((address & 3) != 0 || (flags & ~(uint32_t)(FUTEX_SHARED | FUTEX_INHERIT)) != 0) return -EINVAL;
    if (!user_range_valid(user_ptr(address), sizeof(uint32_t))) return -EFAULT;
    if (likely(!(flags & FUTEX_SHARED))) {
        *key = (struct futex_key){aspace, address};
        return 0;
    }
    struct vmo *vmo;
    uint64_t offset;
    int error = aspace_resolve(aspace, address, &vmo, &offset);
    if (error == 0) *key = (struct futex_key){vmo, offset};
    return error;
}

static void key_put(struct futex_key key, uint32_t flags) {
    if (unlikely(flags & FUTEX_SHARED)) vmo_put((struct vmo *)key.space);
}

void futex_init(void) { futex_table_init(); }

// The owner that the word names. The bucket's lock is held (no quiescent point), so the thread stays valid.
static int begin_inherit(uint32_t value) {
    struct object *o = id_find(value & OWNER_MASK);
    // A Linux program's first thread has the process's id.
    if (o != NULL && o->kind == KPIO_KIND_PROCESS) o = id_find(process_of(o)->first_thread);
    if (o == NULL || o->kind != KPIO_KIND_THREAD) return -ENOENT;
    return futex_inherit_begin(&thread_of(o)->thread);
}

// Queues the running thread if the word still has the value: 0, or an error.
static int queue_if_equal(struct futex_bucket *b, struct futex_key key, uint64_t address, uint32_t value, uint32_t mask,
                          uint32_t flags) {
    for (;;) {
        uint32_t seen = futex_bucket_wakes(b), word;
        int error = get_user_u32(&word, user_ptr(address));
        if (error != 0) return error;
        if (word != value) return -EAGAIN;
        spin_lock(&b->lock);
        if (likely(b->wakes == seen)) break;
        spin_unlock(&b->lock);
        if (sched_preempt_point()) return -EINTR;
    }
    if (unlikely(flags & FUTEX_INHERIT)) {
        int error = begin_inherit(value);
        if (error != 0) {
            spin_unlock(&b->lock);
            return error;
        }
    }
    futex_queue_unlock(b, key, mask, flags);
    return 0;
}

int64_t futex_wait(uint64_t address, uint32_t value, uint32_t mask, nanos_t deadline, uint32_t flags) {
    struct futex_key key;
    if (mask == 0) return -EINVAL;
    int error = key_get(address, flags, &key);
    if (error != 0) return error;
    error = queue_if_equal(futex_bucket_of(key), key, address, value, mask, flags);
    if (unlikely(error != 0)) {
        key_put(key, flags);
        return error;
    }
    int64_t result = wait_block(deadline);
    if (unlikely(flags & FUTEX_SHARED)) key_put(futex_key_of(current_thread()), flags);  // it may have been moved
    return result;
}

// b->lock is held and released. Those that go on waiting now wait for who was woken first.
static uint32_t wake_urgent_unlock(struct futex_bucket *b, struct futex_key key, uint32_t count, uint32_t mask) {
    struct object *owner = NULL;
    uint32_t woken = 0;
    for (struct thread *t; woken < count && (t = futex_most_urgent_locked(b, key, mask)) != NULL; woken++) {
        if (owner == NULL) {  // before it is woken: it may run and end at once
            owner = &thread_object(t)->object;
            object_get(owner);
        }
        futex_wake_one_locked(t);
    }
    if (owner != NULL) futex_hand_on_locked(b, key, &thread_of(owner)->thread);
    spin_unlock(&b->lock);
    if (owner != NULL) object_put(owner);
    return woken;
}

int64_t futex_wake(uint64_t address, uint32_t count, uint32_t mask, uint32_t flags) {
    struct futex_key key;
    if (mask == 0) return -EINVAL;
    int error = key_get(address, flags, &key);
    if (error != 0) return error;
    struct futex_bucket *b = futex_bucket_of(key);
    uint32_t woken;
    spin_lock(&b->lock);
    if (unlikely(flags & FUTEX_INHERIT)) {
        woken = wake_urgent_unlock(b, key, count, mask);
    } else {
        woken = futex_wake_locked(b, b, key, count, mask);
        spin_unlock(&b->lock);
    }
    key_put(key, flags);
    return woken;
}

// What a word says of its owner: the reverse of begin_inherit.
static uint32_t owner_word(const struct thread *t) {
    const struct process *p = t->process;
    return OWNER_WAITED | ((uint32_t)(p->first_thread == t->id ? p->id : t->id) & OWNER_MASK);
}

// b->lock is held. 1: t, or 0: nobody has it; -EAGAIN, -EINVAL; -EFAULT: the word is not there just now.
static int give_word(struct thread *t, uint64_t address, uint32_t value, uint32_t bits) {
    uint32_t word, fresh = bits | (t != NULL ? owner_word(t) : 0);
    if (t != NULL && !(futex_flags_of(t) & FUTEX_INHERIT)) return -EINVAL;
    if (copy_from_user_resident(&word, user_ptr(address), sizeof(word)) != 0) return -EFAULT;
    if (word != value) return -EAGAIN;
    return copy_to_user_resident(user_ptr(address), &fresh, sizeof(fresh)) != 0 ? -EFAULT : t != NULL;
}

static int hand_over_once(struct futex_key key, uint64_t address, uint32_t value, uint32_t bits) {
    struct futex_bucket *b = futex_bucket_of(key);
    struct object *owner = NULL;
    spin_lock(&b->lock);
    struct thread *t = futex_most_urgent_locked(b, key, ~0u);
    int result = give_word(t, address, value, bits);
    if (result > 0) {
        owner = &thread_object(t)->object;
        object_get(owner);  // it may run and end at once
        futex_give_locked(t);
        futex_hand_on_locked(b, key, &thread_of(owner)->thread);
    }
    spin_unlock(&b->lock);
    if (owner != NULL) object_put(owner);
    return result;
}

int64_t futex_hand_over(uint64_t address, uint32_t value, uint32_t bits, uint32_t flags) {
    struct futex_key key;
    if (!(flags & FUTEX_INHERIT)) return -EINVAL;
    int error = key_get(address, flags, &key);
    if (error != 0) return error;
    int64_t result;
    do result = hand_over_once(key, address, value, bits);
    while (result == -EFAULT && (error = user_fault_in(user_ptr(address), sizeof(uint32_t), true)) == 0 && !sched_preempt_point());
    key_put(key, flags);
    return result == -EFAULT && error == 0 ? -EINTR : result == -EFAULT ? error : result;
}

static int64_t requeue(uint64_t address, struct futex_key from, struct futex_key to, uint32_t wake, uint32_t move,
                       uint32_t value, uint32_t flags) {
    struct futex_bucket *b = futex_bucket_of(from), *target = futex_bucket_of(to);
    for (;;) {
        uint32_t seen = futex_bucket_wakes(b), word;
        int error = get_user_u32(&word, user_ptr(address));
        if (error != 0) return error;
        if (word != value) return -EAGAIN;
        futex_lock_two(b, target);
        if (b->wakes == seen) break;
        futex_unlock_two(b, target);
        if (sched_preempt_point()) return -EINTR;
    }
    uint32_t woken = futex_wake_locked(b, target, from, wake, ~0u);
    bool same = from.space == to.space && from.offset == to.offset;
    uint32_t moved = same ? 0 : futex_move_locked(b, from, target, to, move);
    futex_unlock_two(b, target);
    return (int64_t)woken + moved;
}

int64_t futex_requeue(uint64_t address, uint32_t wake, uint64_t target, uint32_t move, uint32_t value, uint32_t flags) {
    struct futex_key from, to;
    if (flags & FUTEX_INHERIT) return -EINVAL;
    int error = key_get(address, flags, &from);
    if (error != 0) return error;
    error = key_get(target, flags, &to);
    if (error != 0) {
        key_put(from, flags);
        return error;
    }
    int64_t result = requeue(address, from, to, wake, move, value, flags);
    key_put(to, flags);
    key_put(from, flags);
    return result;
}
