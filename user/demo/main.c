#include "user/demo/demo.h"

#include "lib/fmt.h"
#include "protocols/gen/init.h"

#define ROWS_MAX 32u

static struct {
    const char *what;
    bool good;
    char figures[80];
} rows[ROWS_MAX];
static unsigned row_count;

void row(const char *what, bool good, const char *format, ...) {
    va_list args;
    if (row_count == ROWS_MAX) return;
    rows[row_count].what = what;
    rows[row_count].good = good;
    va_start(args, format);
    (void)fmt_vprint(rows[row_count].figures, sizeof(rows[row_count].figures), format, args);
    va_end(args);
    row_count++;
}

int64_t control(const char *service, const char *command) { return control_program(service, command, ""); }

int64_t control_program(const char *service, const char *command, const char *program) {
    struct client init = {.endpoint = startup_handle("init")};
    struct init_control_request request = {};
    struct init_control_reply reply;
    (void)fmt_print(request.name, sizeof(request.name), "%s", service);
    (void)fmt_print(request.command, sizeof(request.command), "%s", command);
    (void)fmt_print(request.program, sizeof(request.program), "%s", program);
    return init_control(&init, &request, &reply);
}

uint64_t microseconds_since(uint64_t start) { return (time_now() - start) / 1000; }

static int print_table(void) {
    int failed = 0;
    print("\n  %-46s  %-6s  %s\n", "what was done", "result", "figures");
    print("  %.46s  %.6s  %.40s\n", "----------------------------------------------", "------",
          "----------------------------------------");
    for (unsigned i = 0; i < row_count; i++) {
        failed += !rows[i].good;
        print("  %-46s  %-6s  %s\n", rows[i].what, rows[i].good ? "ok" : "FAILED", rows[i].figures);
    }
    print("\n%s\n", failed == 0 ? "Everything went as it should." : "Something did not go as it should.");
    return failed;
}

int main(int argc, char **argv) {
    const uint64_t began = time_now();
    print("\nKPIO: WebAssembly apps, and processes that can be killed, hung and replaced while others go on.\n\n");
    demo_apps(began);
    demo_services();
    demo_isolation();
    demo_crash();
    demo_hang();
    demo_replace();
    demo_other_program();
    demo_rng();
    demo_net();
    return print_table();
}
