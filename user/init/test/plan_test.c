// links: user/init/plan.c user/init/service_manifest.c user/init/options.c lib/text.c lib/manifest.c lib/string.c
#include "user/init/plan.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "user/init/options.h"

static struct manifest_error last;

static void note(void *context, const char *name, const struct manifest_error *error) { last = *error; }

static unsigned parse(struct service_manifest *m, const char *name, const char *content) {
    memset(&last, 0, sizeof(last));
    return service_manifest_parse(m, name, text_of(content), note, NULL);
}

TEST(manifest_all_keys) {
    struct service_manifest m;
    CHECK_EQ(parse(&m, "rng",
                   "# comment\nprogram = /drv/virtio_rng\nargument = -v\nneeds = log  net\npatience = 3s\nready = 4s\n"
                   "grant = console\ngrant = pci 1af4:1044 1af4:1005\ngrant = system inspect power\nmodes = demo\n"
                   "restart = failure\nbackoff = 5ms 1s\nattempts = 3\nwatchdog = 500ms\nupdate = handover\n"
                   "pages = 4K\nmain = yes\nserves = no\n[settings]\nrate = 7\n"), 0);
    CHECK_EQ(strcmp(m.name, "rng"), 0);
    CHECK_EQ(m.need_count, 2);
    CHECK_EQ(m.grant_count, 3);
    CHECK_EQ(m.grants[1].functions[0], 0x1af4u | 0x1044u << 16);
    CHECK_EQ(m.grants[2].rights, KPIO_RIGHT_INSPECT | KPIO_RIGHT_POWER);
    CHECK_EQ(m.modes, 1u << MODE_DEMO);
    CHECK_EQ(m.backoff_longest, 1000000000ull);
    CHECK_EQ(m.limits.pages, 4096);
    CHECK_EQ(m.patience, 3000000000ull);
    CHECK_EQ(m.ready, 4000000000ull);
    CHECK_EQ(m.setting_count, 1);
    CHECK_EQ(m.is_main && m.handover && !m.serves, 1);
}

TEST(manifest_errors_have_line_and_column) {
    static const struct {
        const char *text;
        unsigned line, column;
    } cases[] = {
        {"", 0, 1}, {"program = /a\nfoo = 1\n", 2, 1}, {"program = x\n", 1, 11}, {"program = /a\ngrant = root\n", 2, 9},
        {"program = /a\nbackoff = 1s 1ms\n", 2, 11}, {"program = /a\nwatchdog = soon\n", 2, 12},
        {"program = /a\npatience = much\n", 2, 12}, {"program = /a\nready = 0s\n", 2, 9},
        {"program = /a\nnonsense\n", 2, 1}, {"program = /a\n[x]\n", 2, 2}, {"program = /a\nprogram = /b\n", 2, 11},
        {"program = /a\ngrant = pci 1af4\n", 2, 9}, {"program = /a\ngrant = console\ngrant = console\n", 3, 9},
    };
    struct service_manifest m;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(parse(&m, "x", cases[i].text), 1);
        CHECK_EQ(last.line, cases[i].line);
        CHECK_EQ(last.column, cases[i].column);
    }
}

static struct service_manifest with(const char *name, const char *needs) {
    static char text[4][64];
    static unsigned next;
    struct service_manifest m;
    char *buffer = text[next++ % 4];
    snprintf(buffer, 64, "program = /x\nneeds = %s\n", needs);
    CHECK_EQ(parse(&m, name, buffer), 0);
    return m;
}

TEST(order_puts_needs_first) {
    const struct service_manifest services[] = {with("a", "b c"), with("b", "c"), with("c", "")};
    uint32_t order[SERVICES_MAX];
    const char *wrong[SERVICES_MAX];
    CHECK_EQ(plan_order(services, 3, NULL, order, wrong), 3);
    CHECK_EQ(order[0], 2);
    CHECK_EQ(order[1], 1);
    CHECK_EQ(order[2], 0);
}

TEST(order_refuses_cycles_and_missing_needs) {
    const struct service_manifest services[] = {with("a", "b"), with("b", "a"), with("c", "nobody"), with("d", "")};
    uint32_t order[SERVICES_MAX];
    const char *wrong[SERVICES_MAX];
    CHECK_EQ(plan_order(services, 4, NULL, order, wrong), 1);
    CHECK_EQ(order[0], 3);
    CHECK_EQ(wrong[0] != NULL && wrong[1] != NULL && wrong[2] != NULL && wrong[3] == NULL, 1);
}

TEST(order_refuses_what_needs_the_refused) {
    const struct service_manifest services[] = {with("a", "b"), with("b", ""), with("c", "")};
    const bool refused[] = {false, true, false};
    uint32_t order[SERVICES_MAX];
    const char *wrong[SERVICES_MAX];
    CHECK_EQ(plan_order(services, 3, refused, order, wrong), 1);
    CHECK_EQ(order[0], 2);
}

TEST(backoff_doubles_and_recovers) {
    struct backoff b = {.first = 10, .longest = 55};
    CHECK_EQ(backoff_ended(&b, 0), 10);
    CHECK_EQ(backoff_ended(&b, 0), 20);
    CHECK_EQ(backoff_ended(&b, 0), 40);
    CHECK_EQ(backoff_ended(&b, 0), 55);
    CHECK_EQ(b.in_a_row, 4);
    CHECK_EQ(backoff_ended(&b, BACKOFF_RAN_LONG), 10);
    CHECK_EQ(b.in_a_row, 1);
}

static unsigned complaints;
static void complain(void *context, const char *word, const char *what) { complaints++; }

TEST(options_words) {
    struct options o;
    complaints = 0;
    options_parse(&o, "console=x kpio.mode=shell kpio.seed=5 kpio.long", complain, NULL);
    CHECK_EQ(o.mode, MODE_SHELL);
    CHECK_EQ(o.setting_count, 2);
    CHECK_EQ(strcmp(o.settings[1], "5"), 0);
    CHECK_EQ(strcmp(o.settings[3], "1"), 0);
    options_parse(&o, "kpio.test=ipc", complain, NULL);
    CHECK_EQ(o.mode, MODE_TEST);
    CHECK_EQ(strcmp(o.suite, "ipc"), 0);
    CHECK_EQ(complaints, 0);
    options_parse(&o, "kpio.mode=fast kpio.=3 kpio.test=../x", complain, NULL);
    CHECK_EQ(complaints, 3);
    CHECK_EQ(o.mode, MODE_DEMO);
}

TEST(a_need_means_all_of_a_family) {
    struct service_manifest m[4];
    uint32_t order[SERVICES_MAX];
    const char *wrong[SERVICES_MAX];
    CHECK_EQ(parse(&m[0], "user", "program = /a\nneeds = fs\n"), 0);
    CHECK_EQ(parse(&m[1], "fs", "program = /a\ngrant = mount dir\n"), 0);
    CHECK(text_equal(m[1].grants[0].prefix, TEXT("dir")));
    CHECK(service_is_granted(&m[1], GRANT_MOUNT) && !service_is_granted(&m[0], GRANT_MOUNT));
    m[3] = m[2] = m[1];
    memcpy(m[2].name, "fs2", 4);
    memcpy(m[3].name, "fs3", 4);
    CHECK_EQ(plan_order(m, 4, NULL, order, wrong), 4);
    CHECK_EQ(order[3], 0);
    const bool refused[] = {false, false, false, true};
    CHECK_EQ(plan_order(m, 4, refused, order, wrong), 2);
    CHECK(wrong[0] != NULL);
}

TEST(mounts_of_the_command_line) {
    static struct options o;
    complaints = 0;
    options_parse(&o, "kpio.mode=run kpio.mount=dir0:/a%20b%3Ac kpio.mount=dir1:/data:ro", complain, NULL);
    CHECK_EQ(complaints, 0);
    CHECK_EQ(o.mode, MODE_RUN);
    CHECK_EQ(o.mount_count, 2);
    CHECK_EQ(strcmp(o.mounts[0].tag, "dir0"), 0);
    CHECK_EQ(strcmp(o.mounts[0].path, "/a b:c"), 0);
    CHECK(!o.mounts[0].read_only);
    CHECK_EQ(strcmp(o.mounts[1].path, "/data"), 0);
    CHECK(o.mounts[1].read_only);
    static const char *const bad[] = {"kpio.mount=dir0",       "kpio.mount=:/a",       "kpio.mount=dir0:a",      "kpio.mount=dir0:/a:rw",
                                      "kpio.mount=dir0:/a%",   "kpio.mount=dir0:/a%2", "kpio.mount=dir0:/a%0",   "kpio.mount=dir0:/a%00",
                                      "kpio.mount=dir0:/a%2x", "kpio.mount",           "kpio.mount=dir0:/a:ro:"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        options_parse(&o, bad[i], complain, NULL);
        CHECK_EQ(complaints, i + 1);
        CHECK_EQ(o.mount_count, 0);
    }
    options_parse(&o, "kpio.mount=a:/1 kpio.mount=b:/2 kpio.mount=c:/3 kpio.mount=d:/4 kpio.mount=e:/5", complain, NULL);
    CHECK_EQ(o.mount_count, OPTION_MOUNTS_MAX);
    CHECK_EQ(complaints, sizeof bad / sizeof *bad + 1);
}
