// The first program. What the command line asks decides: run one suite and leave, or run the system.
#include "lib/fmt.h"
#include "user/init/options.h"
#include "user/init/run.h"
#include "user/init/supervisor.h"
#include "user/libkpio/print.h"

enum { POWER_EXIT_SUCCESS = 2, POWER_EXIT_FAILURE = 3 };

static void complain(void *context, const char *word, const char *what) {
    print("init: command line: %s: %s\n", word, what);
}

static void read_options(struct options *options) {
    static char line[2048];
    int64_t length = kpio_system_boot_info(startup_handle("system"), 0, line, sizeof(line) - 1);
    if (length < 0) print("init: no command line: %s\n", error_name(length));
    options_parse(options, line, complain, NULL);
}

static int run_suite(const struct archive *archive, const struct options *options) {
    char path[OPTION_TEXT_MAX + 16];
    (void)fmt_print(path, sizeof(path), "/%s/%s", options->mode == MODE_TEST ? "test" : "bench", options->suite);
    return run_program(archive, path, options) == 0 ? POWER_EXIT_SUCCESS : POWER_EXIT_FAILURE;
}

int main(int argc, char **argv) {
    static struct options options;
    static struct archive archive;
    int action = POWER_EXIT_FAILURE;

    read_options(&options);
    int error = archive_open(&archive);
    if (error)
        print("init: initrd: cannot be read: %s\n", error_name(error));
    else
        supervisor_load(&archive, &options);
    if (error == 0 && (options.mode == MODE_TEST || options.mode == MODE_BENCH))
        action = run_suite(&archive, &options);
    else if (error == 0)
        action = supervisor_run() == 0 ? POWER_EXIT_SUCCESS : POWER_EXIT_FAILURE;
    int64_t result = kpio_system_power(startup_handle("system"), (uint32_t)action);
    print("init: cannot switch off: %s\n", error_name(result));
    for (;;) (void)kpio_thread_yield();
}
