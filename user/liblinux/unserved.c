#include "user/liblinux/unserved.h"

#include "abi/gen/errors.h"

int64_t lx_unserved(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    return -ENOSYS;
}

int64_t lx_unknown(struct lx_thread *t, uint64_t number) { return -ENOSYS; }
