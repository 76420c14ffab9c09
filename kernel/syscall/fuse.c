// FUSE channels: see docs/fuse.md.
#include "kernel/fs/fuse/fuse.h"

#include "kernel/fs/fuse/channel.h"
#include "kernel/fs/vfs/vfs.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/args.h"
#include "kernel/syscall/mount.h"
#include "kernel/syscall/vector.h"

// The channel of a handle, referenced: calls on it may block.
static inline int channel_get(uint64_t value, uint32_t rights, struct fuse_channel **out) {
    struct object *o;
    int error = handle_get((kpio_handle)value, KPIO_KIND_FUSE, rights, &o);
    if (unlikely(error != 0)) return error;
    if (unlikely(!object_tryget(o))) return -EBADF;
    *out = fuse_channel_of(o);
    return 0;
}

int64_t sys_fuse_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct fuse_channel *channel;
    struct process *p = current_process();
    int error = fuse_channel_create(p->job, &channel);
    return error != 0 ? error : handle_install_in(&p->handles, &channel->object, FUSE_RIGHTS_OWNER);
}

int64_t sys_fuse_serve(uint64_t fuse, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)fuse, KPIO_KIND_FUSE, KPIO_RIGHT_MANAGE, &h);
    if (error != 0) return error;
    struct fuse_channel *channel = fuse_channel_of(h->object);
    if (!object_tryget(&channel->object)) return -EBADF;
    if (channel->connection.state == FUSE_ENDED) {
        object_put(&channel->object);
        return -EALREADY;
    }
    object_get(&channel->object);  // the handle's
    int64_t value = handle_install_child(&channel->object, FUSE_RIGHTS_DRIVER, h);
    if (value > 0) fuse_connection_start(&channel->connection);
    object_put(&channel->object);
    return value;
}

int64_t sys_fuse_mount(uint64_t fuse, uint64_t flags, uint64_t options_at, uint64_t d, uint64_t e, uint64_t f) {
    char options[MOUNT_OPTIONS_MAX + 1] = "";
    struct fuse_channel *channel;
    struct filesystem *fs;
    if ((uint32_t)flags & ~(uint32_t)(KPIO_MOUNT_READ_ONLY | KPIO_MOUNT_NO_ACCESS_TIME)) return -EINVAL;
    int64_t bytes = options_at != 0 ? strncpy_from_user(options, user_ptr(options_at), sizeof options) : 0;
    if (bytes < 0) return bytes == -E2BIG ? -EINVAL : bytes;
    int error = channel_get(fuse, KPIO_RIGHT_MANAGE, &channel);
    if (error != 0) return error;
    error = vfs_prepare();
    if (error == 0) error = fuse_mount(channel, (uint32_t)flags, options, &fs);
    object_put(&channel->object);
    return error != 0 ? error : mount_show(fs);
}

static int reply(struct fuse_channel *channel, uint64_t parts, uint64_t count, struct thread **next) {
    struct vector v;
    int error = vector_read(&v, parts, count);
    if (error == 0) error = fuse_channel_reply(channel, v.parts, v.count, next);
    vector_end(&v);
    return error;
}

int64_t sys_fuse_receive(uint64_t fuse, uint64_t parts, uint64_t count, uint64_t buffer, uint64_t size, uint64_t deadline) {
    struct fuse_channel *channel;
    struct thread *next = NULL;
    int64_t result = channel_get(fuse, KPIO_RIGHT_RECEIVE, &channel);
    if (unlikely(result != 0)) return result;
    if (size < FUSE_READ_BUFFER_MIN) result = -EINVAL;
    else if (!user_range_valid(user_ptr(buffer), size)) result = -EFAULT;
    else if (count != 0) result = reply(channel, parts, count, &next);
    // A reply that nobody waits for any more is no error of the driver's.
    if (result == 0 || result == -ENOENT)
        result = fuse_channel_receive(channel, (kpio_handle)fuse, user_ptr(buffer), size, deadline, next);
    object_put(&channel->object);
    return result;
}

int64_t sys_fuse_reply(uint64_t fuse, uint64_t parts, uint64_t count, uint64_t d, uint64_t e, uint64_t f) {
    struct fuse_channel *channel;
    int64_t result = channel_get(fuse, KPIO_RIGHT_RECEIVE, &channel);
    if (result != 0) return result;
    result = reply(channel, parts, count, NULL);
    object_put(&channel->object);
    sched_let_run();
    return result;
}

int64_t sys_fuse_info(uint64_t fuse, uint64_t info_at, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct fuse_channel *channel;
    int error = channel_get(fuse, KPIO_RIGHT_INSPECT, &channel);
    if (error != 0) return error;
    struct kpio_fuse_info info;
    fuse_channel_info(channel, &info);
    object_put(&channel->object);
    return copy_to_user(user_ptr(info_at), &info, sizeof info);
}
