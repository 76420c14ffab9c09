#include "user/libkpio/exception.h"

#include "user/libkpio/startup.h"
#include "user/libkpio/thread.h"

void exception_begin(void);
_Noreturn void exception_main(struct kpio_exception_frame *frame);

int exception_set(exception_handler *handler, void *context, void *stack, uint64_t stack_size) {
    struct kpio_thread_block *block = thread_self();
    block->user_data[THREAD_SLOT_HANDLER] = (uint64_t)handler;
    block->user_data[THREAD_SLOT_CONTEXT] = (uint64_t)context;
    if (handler == NULL) return (int)kpio_thread_set_exception(0, 0, 0);
    return (int)kpio_thread_set_exception((uint64_t)exception_begin, (uint64_t)stack, stack_size);
}

void exception_main(struct kpio_exception_frame *frame) {
    struct kpio_thread_block *block = thread_self();
    exception_handler *handler = (exception_handler *)block->user_data[THREAD_SLOT_HANDLER];
    if (handler != NULL && handler(frame, (void *)block->user_data[THREAD_SLOT_CONTEXT]))
        (void)kpio_thread_exception_return(frame);
    process_exit(KPIO_STATUS_FAULT - (int64_t)frame->kind);
}
