#include "kernel/fs/vfs/file_driver.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/entry.h"

int64_t file_poll(struct file *f, uint32_t events) {
    if (f->opened == NULL || f->inode->ops->poll == NULL) return -EOPNOTSUPP;
    return f->inode->ops->poll(f->inode, f->opened, &f->object, events);
}

uint32_t file_poll_signals(struct file *f) {
    if (f->opened == NULL || f->inode->ops->poll_signals == NULL) return KPIO_SIGNAL_READABLE | KPIO_SIGNAL_WRITABLE;
    return f->inode->ops->poll_signals(f->inode, f->opened);
}

int64_t file_control(struct file *f, struct fs_control *control) {
    if (f->opened == NULL || f->inode->ops->control == NULL) return -ENOTTY;
    return f->inode->ops->control(f->inode, f->opened, control);
}

static bool may_copy_there(const struct file *from, const struct file *to) {
    return from->opened != NULL && to->opened != NULL && from->inode->fs == to->inode->fs && to->inode->ops->copy != NULL;
}

int64_t file_copy_there(struct file *from, uint64_t from_offset, struct file *to, uint64_t to_offset, uint64_t size) {
    struct inode *inode = to->inode;
    if (!may_copy_there(from, to)) return -EOPNOTSUPP;
    int64_t n = rw_mutex_lock_killable(&inode->lock);
    if (n != 0) return n;
    n = inode_check_change(inode);
    if (n == 0 && inode->flags & INODE_APPEND) n = -EPERM;
    if (n == 0) n = inode->ops->copy(from->inode, from->opened, from_offset, inode, to->opened, to_offset, size);
    rw_mutex_unlock(&inode->lock);
    return n;
}
