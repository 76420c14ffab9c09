#include "kernel/ipc/message.h"

#include "kernel/object/process.h"

struct kpio_message_handle message_entry(const struct thread *t, unsigned i) {
    const volatile struct kpio_message_handle *e = &t->block->handles[i];
    return (struct kpio_message_handle){.handle = e->handle, .rights = e->rights, .mode = e->mode};
}

int message_handles_check(unsigned count) {
    struct thread *self = current_thread();
    for (unsigned i = 0; i < count; i++) {
        struct kpio_message_handle e = message_entry(self, i);
        int error = handle_check_transfer(&self->process->handles, e.handle, e.rights, e.mode);
        if (error) return error;
    }
    return 0;
}

static struct kpio_message_handle pass_one(struct thread *from, struct thread *to, struct kpio_message_handle e) {
    struct kpio_message_handle none = {0};
    struct handle *h;
    if (handle_take(&from->process->handles, e.handle, e.rights, e.mode, &h)) return none;
    struct kpio_message_handle arrived = {.rights = h->rights, .kind = h->object->kind};
    int64_t value = handle_put(&to->process->handles, h);
    if (value == -EBADF) return none;
    if (value < 0) {
        // No room at the receiver: a moved handle goes back to where there was room for it.
        if (e.mode != KPIO_SEND_MOVE || handle_put(&from->process->handles, h) < 0) handle_drop(h);
        return none;
    }
    arrived.handle = (kpio_handle)value;
    return arrived;
}

void message_handles_pass(struct thread *from, struct thread *to, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct kpio_message_handle e = message_entry(from, i);
        struct kpio_message_handle arrived = pass_one(from, to, e);
        memcpy(&to->block->handles[i], &arrived, sizeof(arrived));
    }
}
