#include "user/init/run.h"

#include "lib/elf.h"
#include "lib/util.h"
#include "user/libkpio/print.h"
#include "user/libkpio/wait.h"

bool program_can_load(const struct program *program, const char *path) {
    struct elf_image image;
    const char *what;
    if (elf_parse(program->file, program->size, &image, &what) == 0) return true;
    print("init: %s: at byte %lu: %s\n", path, (unsigned long)image.wrong_at, what);
    return false;
}

int64_t run_program(const struct archive *archive, const char *path, const struct options *options) {
    const struct process_grant grants[] = {
        {"system", startup_handle("system"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"job", startup_handle("job"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"initrd", startup_handle("initrd"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"framebuffer", startup_handle("framebuffer"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},  // last: not on every machine
    };
    const bool has_framebuffer = startup_handle("framebuffer") != KPIO_HANDLE_NONE;
    const char *arguments[] = {path, NULL}, *what = "";
    struct program program;
    int64_t status = 0;

    int64_t result = archive_program(archive, path, &program);
    if (result < 0) {
        print("init: %s: %s\n", path, result == -ENOENT ? "not in the boot archive" : "the boot archive is damaged");
        return result;
    }
    if (!program_can_load(&program, path)) return -ENOEXEC;
    const struct process_spec spec = {.name = options->suite, .job = startup_handle("job"), .program = &program,
                                      .grants = grants, .grant_count = ARRAY_SIZE(grants) - !has_framebuffer, .arguments = arguments,
                                      .settings = options->settings};
    int64_t process = process_spawn(&spec, &what);
    if (process < 0) {
        print("init: %s: %s: %s\n", path, what, error_name(process));
        return process;
    }
    result = wait_terminated((kpio_handle)process, KPIO_TIME_NEVER, &status);
    (void)kpio_handle_close((uint64_t)process);
    if (result == 0 && status <= KPIO_STATUS_FAULT) print("init: %s died: status %ld\n", path, (long)status);
    return result < 0 ? result : status;
}
