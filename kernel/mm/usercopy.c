#include "kernel/mm/usercopy.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/usercopy.h"
#include "kernel/mm/aspace.h"
#include "kernel/sched/thread.h"

// Something was left over: the fault handler has said why.
static coldpath int failed(void) { return kernel_faults[cpu_id()].error == -ENOMEM ? -ENOMEM : -EFAULT; }

int copy_from_user(void *to, struct user_ptr from, size_t size) {
    if (unlikely(!user_range_valid(from, size))) return -EFAULT;
    return likely(arch_copy_from_user(to, from.v, size) == 0) ? 0 : failed();
}

int copy_to_user(struct user_ptr to, const void *from, size_t size) {
    if (unlikely(!user_range_valid(to, size))) return -EFAULT;
    return likely(arch_copy_to_user(to.v, from, size) == 0) ? 0 : failed();
}

size_t copy_to_user_nowait(struct user_ptr to, const void *from, size_t size) {
    bool *no_wait = &kernel_faults[cpu_id()].no_wait;
    *no_wait = true;
    size_t left = arch_copy_to_user(to.v, from, size);
    *no_wait = false;
    return left;
}

size_t copy_from_user_nowait(void *to, struct user_ptr from, size_t size) {
    bool *no_wait = &kernel_faults[cpu_id()].no_wait;
    *no_wait = true;
    size_t left = arch_copy_from_user(to, from.v, size);
    *no_wait = false;
    return left;
}

size_t copy_to_user_resident(struct user_ptr to, const void *from, size_t size) {
    bool *refuse = &kernel_faults[cpu_id()].refuse;
    *refuse = true;
    size_t left = arch_copy_to_user(to.v, from, size);
    *refuse = false;
    return left;
}

size_t copy_from_user_resident(void *to, struct user_ptr from, size_t size) {
    bool *refuse = &kernel_faults[cpu_id()].refuse;
    *refuse = true;
    size_t left = arch_copy_from_user(to, from.v, size);
    *refuse = false;
    return left;
}

int user_fault_in(struct user_ptr at, size_t size, bool write) {
    if (!user_range_valid(at, size)) return -EFAULT;
    int error = 0;
    for (uint64_t page = align_down(at.v, PAGE_SIZE); page < at.v + size && error == 0; page += PAGE_SIZE)
        error = aspace_fault(current_thread()->aspace, page, write ? PROT_WRITE : PROT_READ);
    return error == 0 || error == -ENOMEM ? error : -EFAULT;
}

int zero_user(struct user_ptr to, size_t size) {
    if (unlikely(!user_range_valid(to, size))) return -EFAULT;
    return likely(arch_clear_user(to.v, size) == 0) ? 0 : failed();
}

int get_user_u64(uint64_t *to, struct user_ptr from) { return copy_from_user(to, from, sizeof(*to)); }
int put_user_u64(struct user_ptr to, uint64_t value) { return copy_to_user(to, &value, sizeof(value)); }
int get_user_u32(uint32_t *to, struct user_ptr from) { return copy_from_user(to, from, sizeof(*to)); }
int put_user_u32(struct user_ptr to, uint32_t value) { return copy_to_user(to, &value, sizeof(value)); }

// Piece by piece up to page ends, so that a string which ends before an unmapped page is no fault.
int64_t strncpy_from_user(char *to, struct user_ptr from, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t piece = PAGE_SIZE - ((from.v + done) & PAGE_MASK);
        if (piece > size - done) piece = size - done;
        int error = copy_from_user(to + done, user_add(from, done), piece);
        if (error) return error;
        for (size_t i = done; i < done + piece; i++)
            if (to[i] == '\0') return (int64_t)i;
        done += piece;
    }
    return -E2BIG;
}
