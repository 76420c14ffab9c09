#include "kernel/core/options.h"

#include "kernel/core/config.h"
#include "kernel/core/log.h"
#include "lib/cmdline.h"
#include "lib/string.h"
#include "lib/util.h"

struct boot_options boot_options = {.init = TEXT("sbin/init"), .maxcpus = CONFIG_MAX_CPUS, .wasm_pool = UINT64_MAX,
                                    .disk_timeout = 60000000000};

static bool for_user_space(const struct cmdline_word *word) { return memchr(word->key.data, '.', word->key.size) != NULL; }

static void report(void *context, const struct cmdline_word *word, const char *reason) {
    (void)context;
    if (for_user_space(word)) return;
    log_warn("command line, at %zu: \"%.*s\" ignored: %s", word->position, (int)word->key.size, word->key.data, reason);
}

static bool is(struct text t, const char *word) { return t.size == strlen(word) && memcmp(t.data, word, t.size) == 0; }

static void set_log_level(struct text level) {
    static const char *const names[] = {[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    if (level.data == NULL) return;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (is(level, names[i])) {
            log_set_console_level((enum log_level)i);
            return;
        }
    log_warn("command line: log=%.*s ignored: not error, warn, info or debug", (int)level.size, level.data);
}

void boot_options_read(const char *cmdline) {
    struct boot_options *o = &boot_options;
    const struct cmdline_option table[] = {
        {"maxcpus", CMDLINE_NUMBER, 1, CONFIG_MAX_CPUS, &o->maxcpus},
        {"init", CMDLINE_TEXT, 0, 0, &o->init},
        {"wasm_pool", CMDLINE_SIZE, 0, 0, &o->wasm_pool},
        {"disk_timeout", CMDLINE_DURATION, 0, 0, &o->disk_timeout},
        {"log", CMDLINE_TEXT, 0, 0, &o->log},
        {"kpti", CMDLINE_TEXT, 0, 0, &o->kpti},
        {"nokaslr", CMDLINE_BOOL, 0, 0, &o->nokaslr},
        {"seed", CMDLINE_TEXT, 0, 0, &o->seed},
        {"root", CMDLINE_TEXT, 0, 0, &o->root},
    };
    struct text line = {.data = cmdline, .size = strlen(cmdline)};
    cmdline_parse(line, table, ARRAY_SIZE(table), report, NULL);
    set_log_level(o->log);
    if (o->kpti.data != NULL && !is(o->kpti, "on") && !is(o->kpti, "off")) {
        log_warn("command line: kpti=%.*s ignored: not on or off", (int)o->kpti.size, o->kpti.data);
        o->kpti = (struct text){0};
    }
}
