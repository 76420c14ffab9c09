#include "kernel/syscall/args.h"

int syscall_read_name(uint64_t address, uint64_t len, char buf[KPIO_NAME_MAX + 1]) {
    if (len > KPIO_NAME_MAX) return -EINVAL;
    if (copy_from_user(buf, user_ptr(address), len) != 0) return -EFAULT;
    buf[len] = '\0';
    for (uint64_t i = 0; i < len; i++)
        if ((unsigned char)buf[i] < ' ' || buf[i] == 0x7f) return -EINVAL;
    return 0;
}

int syscall_get(uint64_t value, enum kpio_kind kind, uint32_t rights, struct object **out) {
    int error = handle_get((kpio_handle)value, kind, rights, out);
    return error == 0 && !object_tryget(*out) ? -EBADF : error;
}

int64_t syscall_install_two(struct object *first, struct user_ptr out, struct object *second) {
    int64_t one = handle_install(first);
    if (one < 0) {
        object_abandon(second);
        return one;
    }
    int32_t value = (int32_t)one;
    int64_t two = copy_to_user(out, &value, sizeof(value)) != 0 ? -EFAULT : 0;
    if (two < 0) object_abandon(second);
    else two = handle_install(second);
    if (two < 0) (void)handle_close(&current_process()->handles, value);
    return two;
}
