#include "user/init/run.h"

#include "lib/elf.h"
#include "user/init/root.h"
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
    struct process_grant grants[5] = {
        {"system", startup_handle("system"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"job", startup_handle("job"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"initrd", startup_handle("initrd"), KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
    };
    uint32_t count = 3;
    const kpio_handle framebuffer = startup_handle("framebuffer"), root = root_is_named() ? root_directory() : KPIO_HANDLE_NONE;
    if (framebuffer > 0) grants[count++] = (struct process_grant){"framebuffer", framebuffer, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    if (root > 0) grants[count++] = (struct process_grant){"root", root, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
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
                                      .grants = grants, .grant_count = count, .arguments = arguments,
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
