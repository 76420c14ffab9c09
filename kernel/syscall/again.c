// System calls that found no memory while memory was on its way back.
#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/core/types.h"
#include "kernel/mm/memory_wait.h"

coldpath int64_t syscall_again(int64_t (*call)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t), const uint64_t arguments[6]) {
    const uint64_t *a = arguments;
    struct memory_wait wait = {0};
    int64_t result = -ENOMEM;
    while (result == -ENOMEM && memory_wait(&wait)) result = call(a[0], a[1], a[2], a[3], a[4], a[5]);
    return result;
}
