// The start of a program: relocates itself, finds its thread block, runs main.
#include <stddef.h>

#include "user/libkpio/relocate.h"
#include "user/libkpio/startup.h"
#include "user/libkpio/thread.h"

int main(int argc, char **argv);
_Noreturn void crt_start(const struct kpio_startup *startup, struct kpio_thread_block *block);

void crt_start(const struct kpio_startup *startup, struct kpio_thread_block *block) {
    image_relocate();
    char *argv[STARTUP_ARGUMENTS_MAX + 1];
    block->user_data[THREAD_SLOT_STARTUP] = (uint64_t)startup;
    thread_set_block(block);
    int argc = startup_arguments(argv);
    process_exit(main(argc, argv));
}
