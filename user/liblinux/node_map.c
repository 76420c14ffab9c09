// mmap of a served node: its server answers with memory, which is mapped as its handle allows. Nothing that it answers is believed:
// what cannot be mapped is EIO.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "protocols/gen/node.h"
#include "user/libkpio/node.h"
#include "user/liblinux/node.h"

int64_t lx_node_memory(struct lx_thread *t, const struct lx_fd *fd, uint64_t offset, uint64_t size, bool write, bool shared,
                       struct lx_node_memory *out) {
    const uint32_t flags = (write ? NODE_MAP_WRITE : 0u) | (shared ? NODE_MAP_SHARED : 0u);
    const struct node_map_request request = {LX_NODE_WHO(t), .flags = flags, .offset = offset, .size = size};
    const int64_t result = lx_node_call(t, fd->second, NODE_MAP, &request, sizeof request, NULL, 0);
    if (result < 0) return result == -ENOSYS ? -ENODEV : result;
    if (!lx_node_handles(t, result, 1)) return -EIO;
    *out = (struct lx_node_memory){.vmo = t->block->handles[0].handle,
                                   .offset = ((const struct node_map_reply *)t->block->message)->offset};
    return out->vmo > 0 ? 0 : -EMFILE;
}

int64_t lx_node_map(struct lx_space *space, const struct lx_node_memory *memory, uint64_t size, uint32_t flags, uint64_t address) {
    const int64_t at = kpio_aspace_map(space->aspace, memory->vmo, memory->offset, size, flags, address);
    switch (at) {
    case -EACCES: return -EPERM;
    case -EEXIST:
    case -ENOSPC:
    case -ENOMEM:
    case -ENFILE:
    case -EPERM: return at;
    default: return at < 0 ? -EIO : at;
    }
}
