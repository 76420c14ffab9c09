#include "kernel/fs/vfs/link.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

static void text_free(struct rcu_head *head) { kfree(container_of(head, struct link_text, rcu)); }

static int read_text(struct inode *link, char *buffer, struct link_text **out) {
    int64_t bytes = link->ops->read_link != NULL ? link->ops->read_link(link, buffer, FS_PATH_MAX - 1) : -EIO;
    if (bytes < 0) return (int)bytes;
    struct link_text *t = kmalloc(sizeof *t + (size_t)bytes + 1);
    if (t == NULL) return -ENOMEM;
    memcpy(t->text, buffer, (size_t)bytes);
    t->text[bytes] = '\0';
    *out = t;
    return 0;
}

int link_read(struct inode *link, const char **out) {
    struct link_text *t = NULL, *none = NULL;
    *out = link_cached(link);
    if (*out != NULL) return 0;
    char *buffer = kmalloc(FS_PATH_MAX);
    if (buffer == NULL) return -ENOMEM;
    int error = read_text(link, buffer, &t);
    kfree(buffer);
    if (error != 0) return error;
    if (!__atomic_compare_exchange_n((struct link_text **)&link->vfs, &none, t, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        kfree(t);
        t = none;
    }
    *out = t->text;
    return 0;
}

void link_forget(struct inode *link) {
    struct link_text *t = link->vfs;
    if (t != NULL) rcu_call(&t->rcu, text_free);
    link->vfs = NULL;
}
