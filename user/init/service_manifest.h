// The manifest of one service: /etc/init/NAME in the boot archive, lines of key = value (lib/manifest.h).
//
//     program  = /drv/virtio_rng        required
//     argument = TEXT                   more of them: in order
//     needs    = NAME NAME              services that must be ready before it starts
//     patience = 60s                    how long it waits for them; then it starts without
//     ready    = 30s                    in which one with a watchdog must be ready, and a version that takes over
//     grant    = console | archive | job | control | framebuffer | system RIGHT ... | root RIGHT ... | memory RIGHT ... |
//                pci VENDOR:DEVICE ...
//                                       what it gets beyond itself, "init" and "service"; one line each. The handle's name
//                                       is the first word; of several PCI functions the first that is there and
//                                       that no other driver has. mount PREFIX: it serves what the command line mounts
//                                       (mounts.h) by tags that begin so; there is one such service for each of them.
//     serves   = yes                    takes calls (default); no: a program that only runs
//     modes    = demo shell idle run    in which modes it is started; default: all
//     restart  = always | failure | never          default: always
//     backoff  = 10ms 2s                first and longest delay before a restart; it doubles, and starts again after
//                                       10 s without an end
//     attempts = 8                      ends in a row after which init gives up
//     watchdog = 500ms                  answers a ping in this time, or is killed; default: none
//     update   = handover | restart     whether a new version gets the old one's state; default: restart
//     main     = yes                    when it ends the system does, with its exit status
//     pages, handles, threads           limits of its job
//     [settings]
//     KEY = VALUE                       for the program (startup_setting)
#pragma once
#include "abi/types.h"
#include "lib/text.h"

#define SERVICE_NAME_MAX 31u
#define SERVICE_NEEDS_MAX 8u
#define SERVICE_GRANTS_MAX 8u
#define SERVICE_ARGUMENTS_MAX 8u
#define SERVICE_SETTINGS_MAX 8u
#define SERVICE_PCI_MAX 4u

enum grant_kind { GRANT_CONSOLE, GRANT_ARCHIVE, GRANT_JOB, GRANT_CONTROL, GRANT_SYSTEM, GRANT_PCI, GRANT_FRAMEBUFFER, GRANT_ROOT,
                  GRANT_MEMORY, GRANT_MOUNT };
enum restart_rule { RESTART_ALWAYS, RESTART_FAILURE, RESTART_NEVER };

struct grant {
    enum grant_kind kind;
    uint32_t rights;                      // GRANT_SYSTEM, GRANT_ROOT, GRANT_MEMORY
    uint32_t functions[SERVICE_PCI_MAX];  // GRANT_PCI: vendor | device << 16
    uint32_t function_count;
    struct text prefix;                   // GRANT_MOUNT
};

struct service_manifest {
    char name[SERVICE_NAME_MAX + 1];
    char family[SERVICE_NAME_MAX + 1];    // the manifest's name: several services may be made of one (GRANT_MOUNT)
    struct text program, arguments[SERVICE_ARGUMENTS_MAX], needs[SERVICE_NEEDS_MAX];
    struct text setting_keys[SERVICE_SETTINGS_MAX], setting_values[SERVICE_SETTINGS_MAX];
    struct grant grants[SERVICE_GRANTS_MAX];
    uint32_t argument_count, need_count, grant_count, setting_count;
    uint32_t modes;                       // bit set of 1 << enum option_mode
    enum restart_rule restart;
    uint64_t backoff_first, backoff_longest, watchdog, patience, ready;  // ns; watchdog 0: none
    uint32_t attempts;
    bool serves, handover, is_main;
    struct kpio_job_limits limits;
};

// Whether it is granted something of that kind.
static inline bool service_is_granted(const struct service_manifest *m, enum grant_kind kind) {
    for (uint32_t i = 0; i < m->grant_count; i++)
        if (m->grants[i].kind == kind) return true;
    return false;
}

struct manifest_error {
    unsigned line, column;
    const char *reason;
};

// Parses a manifest; texts point into content. Returns the number of errors; each is reported.
typedef void manifest_report_fn(void *context, const char *name, const struct manifest_error *error);
unsigned service_manifest_parse(struct service_manifest *manifest, const char *name, struct text content,
                                manifest_report_fn *report, void *context);
