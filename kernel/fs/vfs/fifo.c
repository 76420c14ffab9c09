// The pipe of a FIFO: there is one as long as somebody has an end of it. The inode knows it, and stays while there is one.
#include "kernel/fs/vfs/fifo.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/mount.h"

// Guards inode->vfs of FIFOs. Taken before a pipe's lock.
static struct spinlock fifo_lock = SPINLOCK_INIT("FIFOs");

// The pipe's last end went. Another one may have taken its place already.
static void gone(struct pipe *pipe) {
    struct inode *inode = pipe->home.inode;
    spin_lock(&fifo_lock);
    if (inode->vfs == pipe) inode->vfs = NULL;
    spin_unlock(&fifo_lock);
    inode_put_later(inode);
    mount_put(pipe->home.mount);
}

static struct pipe *take(struct inode *inode) {
    spin_lock(&fifo_lock);
    struct pipe *pipe = inode->vfs;
    if (pipe != NULL && !pipe_tryhold(pipe)) pipe = NULL;
    spin_unlock(&fifo_lock);
    return pipe;
}

// Makes `fresh` the inode's, unless it has one by now: that one, held.
static struct pipe *settle(struct inode *inode, struct pipe *fresh) {
    spin_lock(&fifo_lock);
    struct pipe *other = inode->vfs;
    if (other != NULL && !pipe_tryhold(other)) other = NULL;
    if (other == NULL) inode->vfs = fresh;
    spin_unlock(&fifo_lock);
    return other == NULL ? fresh : other;
}

int fifo_pipe(struct job *job, const struct place *at, struct pipe **out) {
    struct pipe *fresh;
    *out = take(at->inode);
    if (*out != NULL) return 0;
    inode_hold(at->inode);
    mount_hold(at->mount);
    int error = pipe_create_shared(job, (struct pipe_home){.gone = gone, .inode = at->inode, .mount = at->mount}, &fresh);
    if (error != 0) {
        inode_put_later(at->inode);
        mount_put(at->mount);
        return error;
    }
    *out = settle(at->inode, fresh);
    if (*out != fresh) pipe_release(fresh);
    return 0;
}
