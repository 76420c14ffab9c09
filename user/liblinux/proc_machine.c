// Files of /proc about the machine and the system.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/gen/call_names.h"
#include "user/liblinux/proc.h"
#include "user/liblinux/unserved.h"

#define PAGE 4096ull
#define STACK (4 * PAGE) // of a thread in the kernel
#define SECOND 1000000000ull
#define TICK (SECOND / 100) // of the times that are told

static bool look(struct lx_thread *t, struct lx_text *text, struct kpio_system_info *info) {
    text->error = lx_process(t)->system > 0 ? kpio_system_look(lx_process(t)->system, info) : -EACCES;
    return text->error == 0;
}

static void meminfo(struct lx_thread *t, struct lx_text *text) {
    struct kpio_system_info info;
    if (!look(t, text, &info)) return;
    const struct {
        const char *name;
        uint64_t bytes;
    } lines[] = {{"MemTotal", info.memory_total},
                 {"MemFree", info.memory_free},
                 {"MemAvailable", info.memory_free},
                 {"Buffers", 0},
                 {"Cached", 0},
                 {"SwapCached", 0},
                 {"Active", 0},
                 {"Inactive", 0},
                 {"SwapTotal", 0},
                 {"SwapFree", 0},
                 {"Dirty", 0},
                 {"Writeback", 0},
                 {"Shmem", 0},
                 {"Slab", info.slub_bytes},
                 {"SReclaimable", 0},
                 {"SUnreclaim", info.slub_bytes},
                 {"KernelStack", info.kernel_stacks * STACK},
                 {"PageTables", info.page_tables * PAGE},
                 {"WasmPool", info.wasm_pool_bytes},  // set aside: in none of the others
                 {"WasmPoolFree", info.wasm_pool_free}};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        lx_text_add(text, "%s:%*lu kB\n", lines[i].name, (int)(23 - strlen(lines[i].name)),
                    (unsigned long)(lines[i].bytes >> 10));
}

static void uptime(struct lx_thread *t, struct lx_text *text) {
    struct kpio_system_info info;
    if (!look(t, text, &info)) return;
    const unsigned long up = info.uptime_ns / TICK, idle = info.idle_ns / TICK;
    lx_text_add(text, "%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
}

static void loadavg(struct lx_thread *t, struct lx_text *text) {
    struct kpio_system_info info = {.objects = {0}};
    if (lx_process(t)->system > 0) (void)kpio_system_look(lx_process(t)->system, &info);
    lx_text_add(text, "0.00 0.00 0.00 1/%lu %u\n", (unsigned long)info.objects[KPIO_KIND_THREAD], lx_process(t)->pid);
}

static void stat(struct lx_thread *t, struct lx_text *text) {
    struct kpio_system_info info;
    if (!look(t, text, &info)) return;
    const uint64_t all = info.uptime_ns * info.cpu_online, idle = MIN(info.idle_ns, all);
    const unsigned long user = (all - idle) / TICK, rest = idle / TICK;
    lx_text_add(text, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", user, rest);
    for (uint32_t i = 0; i < info.cpu_online; i++)
        lx_text_add(text, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", i, user / info.cpu_online, rest / info.cpu_online);
    lx_text_add(text, "intr %lu\nctxt %lu\nbtime %lu\n", (unsigned long)info.interrupts, (unsigned long)info.context_switches,
                (unsigned long)((info.realtime_ns - info.uptime_ns) / SECOND));
    lx_text_add(text, "processes %lu\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
                (unsigned long)info.objects[KPIO_KIND_PROCESS]);
}

// ---- cpuinfo ------------------------------------------------------------------------------------------------------------

struct leaf {
    uint32_t a, b, c, d;
};
static struct leaf cpuid(uint32_t leaf, uint32_t sub) {
    struct leaf r;
    __asm__("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}

enum { WORD_1D, WORD_1C, WORD_7B, WORD_81D, WORD_81C };
static const struct flag {
    char name[12];
    uint8_t word, bit;
} flags[] = {
    {"fpu", WORD_1D, 0},     {"tsc", WORD_1D, 4},       {"msr", WORD_1D, 5},       {"pae", WORD_1D, 6},
    {"cx8", WORD_1D, 8},     {"apic", WORD_1D, 9},      {"cmov", WORD_1D, 15},     {"clflush", WORD_1D, 19},
    {"mmx", WORD_1D, 23},    {"fxsr", WORD_1D, 24},     {"sse", WORD_1D, 25},      {"sse2", WORD_1D, 26},
    {"ht", WORD_1D, 28},     {"syscall", WORD_81D, 11}, {"nx", WORD_81D, 20},      {"rdtscp", WORD_81D, 27},
    {"lm", WORD_81D, 29},    {"pni", WORD_1C, 0},       {"pclmulqdq", WORD_1C, 1}, {"ssse3", WORD_1C, 9},
    {"fma", WORD_1C, 12},    {"cx16", WORD_1C, 13},     {"sse4_1", WORD_1C, 19},   {"sse4_2", WORD_1C, 20},
    {"movbe", WORD_1C, 22},  {"popcnt", WORD_1C, 23},   {"aes", WORD_1C, 25},      {"xsave", WORD_1C, 26},
    {"avx", WORD_1C, 28},    {"f16c", WORD_1C, 29},     {"rdrand", WORD_1C, 30},   {"lahf_lm", WORD_81C, 0},
    {"abm", WORD_81C, 5},    {"sse4a", WORD_81C, 6},    {"fsgsbase", WORD_7B, 0},  {"bmi1", WORD_7B, 3},
    {"avx2", WORD_7B, 5},    {"smep", WORD_7B, 7},      {"bmi2", WORD_7B, 8},      {"erms", WORD_7B, 9},
    {"rdseed", WORD_7B, 18}, {"adx", WORD_7B, 19},      {"smap", WORD_7B, 20},     {"sha_ni", WORD_7B, 29},
};

static void one_cpu(struct lx_text *text, unsigned number, unsigned count, uint64_t hz) {
    const struct leaf vendor = cpuid(0, 0), version = cpuid(1, 0), extended = cpuid(0x80000001, 0);
    const uint32_t words[] = {version.d, version.c, cpuid(7, 0).b, extended.d, extended.c};
    const uint32_t id[] = {vendor.b, vendor.d, vendor.c};
    struct leaf brand[3];
    for (unsigned i = 0; i < 3; i++) brand[i] = cpuid(0x80000002 + i, 0);
    uint32_t family = version.a >> 8 & 15, model = version.a >> 4 & 15;
    if (family == 6 || family == 15) model |= version.a >> 12 & 0xf0;
    if (family == 15) family += version.a >> 20 & 0xff;
    lx_text_add(text, "processor\t: %u\nvendor_id\t: %.12s\ncpu family\t: %u\nmodel\t\t: %u\n", number, (const char *)id, family,
                model);
    lx_text_add(text, "model name\t: %.48s\nstepping\t: %u\n", (const char *)brand, version.a & 15);
    lx_text_add(text, "cpu MHz\t\t: %lu.%03lu\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
                (unsigned long)(hz / 1000000), (unsigned long)(hz / 1000 % 1000), count, number, count);
    lx_text_add(text, "apicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\n", number, number);
    lx_text_add(text, "cpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", vendor.a);
    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
        if (words[flags[i].word] >> flags[i].bit & 1) lx_text_add(text, " %s", flags[i].name);
    const uint64_t bogus = hz * 2 / 10000;  // bogomips: twice the rate of the counter
    lx_text_add(text, "\nbogomips\t: %lu.%02lu\nclflush size\t: 64\ncache_alignment\t: 64\n", (unsigned long)(bogus / 100),
                (unsigned long)(bogus % 100));
    lx_text_add(text, "address sizes\t: %u bits physical, 48 bits virtual\npower management:\n\n", cpuid(0x80000008, 0).a & 0xff);
}

static void cpuinfo(struct lx_thread *t, struct lx_text *text) {
    struct kpio_system_info info = {.tsc_hz = 0};
    struct kpio_thread_info thread;
    if (lx_process(t)->system > 0) (void)kpio_system_look(lx_process(t)->system, &info);
    text->error = kpio_thread_info(t->handle, &thread);
    if (text->error != 0) return;
    const unsigned count = (unsigned)log2_floor(thread.online) + 1;
    for (unsigned i = 0; i < count; i++) one_cpu(text, i, count, info.tsc_hz);
}

// ---- the rest -----------------------------------------------------------------------------------------------------------

static void version(struct lx_thread *t, struct lx_text *text) {
    lx_text_add(text, "Linux version 6.1.0-kpio (kpio) #1 SMP KPIO\n");
}
static void filesystems(struct lx_thread *t, struct lx_text *text) {
    lx_text_add(text, "nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\nnodev\tfuse\n\tfuseblk\n\text4\n\tvfat\n");
}
static void ostype(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "Linux\n"); }
static void osrelease(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "6.1.0-kpio\n"); }
static void osversion(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "#1 SMP KPIO\n"); }
static void hostname(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "kpio\n"); }
static void pid_max(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "4194304\n"); }
static void cap_last_cap(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "40\n"); }
static void ngroups_max(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "%u\n", LX_GROUPS_MAX); }
static void overcommit(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "1\n"); }
static void max_map_count(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "65530\n"); }
static void nr_open(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "%u\n", LX_FD_LIMIT); }
static void pipe_max(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "1048576\n"); }

static void domainname(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "(none)\n"); }
static void overflow_id(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "65534\n"); }
static void somaxconn(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "4096\n"); }
static void entropy(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "256\n"); }

static void uuid(struct lx_thread *t, struct lx_text *text) {
    uint8_t b[16];
    (void)kpio_random_get(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < sizeof b; i++) lx_text_add(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    lx_text_add(text, "\n");
}

#define NAME(number, name, shown) {number, #name},
static void tell_unserved(void *context, uint64_t number, bool use, uint64_t times) {
    static const struct {
        uint16_t number;
        char name[24];
    } names[] = {LX_CALLS(NAME)};
    const char *name = "unknown";
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].number == number) name = names[i].name;
    lx_text_add(context, "%lu %s %s%lu\n", (unsigned long)number, name, use ? "flags " : "", (unsigned long)times);
}
static void unimplemented(struct lx_thread *t, struct lx_text *text) { text->error = lx_unserved_counts(t, tell_unserved, text); }

// Where programs look for the name of a terminal whose number they have.
static void tty_drivers(struct lx_thread *t, struct lx_text *text) {
    lx_text_add(text, "%-20s %-11s %3u %s %s\n", "/dev/tty", "/dev/tty", 5, "0", "system:/dev/tty");
    lx_text_add(text, "%-20s %-11s %3u %s %s\n", "/dev/console", "/dev/console", 5, "1", "system:console");
    lx_text_add(text, "%-20s %-11s %3u %s %s\n", "/dev/ptmx", "/dev/ptmx", 5, "2", "system");
    lx_text_add(text, "%-20s %-11s %3u %s %s\n", "pty_slave", "/dev/pts", 136, "0-31", "pty:slave");
}

static const struct lx_text_node nodes[] = {
    {"", NULL, 0},
    {"cpuinfo", cpuinfo, 0},
    {"filesystems", filesystems, 0},
    {"kpio", NULL, 0},
    {"kpio/mounts", lx_proc_fuse_mounts, 0},
    {"kpio/unimplemented", unimplemented, 0},
    {"loadavg", loadavg, 0},
    {"meminfo", meminfo, 0},
    {"stat", stat, 0},
    {"sys", NULL, 0},
    {"sys/fs", NULL, 0},
    {"sys/fs/nr_open", nr_open, 0644},
    {"sys/fs/pipe-max-size", pipe_max, 0644},
    {"sys/kernel", NULL, 0},
    {"sys/kernel/cap_last_cap", cap_last_cap, 0},
    {"sys/kernel/domainname", domainname, 0644},
    {"sys/kernel/hostname", hostname, 0644},
    {"sys/kernel/ngroups_max", ngroups_max, 0},
    {"sys/kernel/osrelease", osrelease, 0},
    {"sys/kernel/ostype", ostype, 0},
    {"sys/kernel/overflowgid", overflow_id, 0644},
    {"sys/kernel/overflowuid", overflow_id, 0644},
    {"sys/kernel/pid_max", pid_max, 0644},
    {"sys/kernel/random", NULL, 0},
    {"sys/kernel/random/entropy_avail", entropy, 0},
    {"sys/kernel/random/poolsize", entropy, 0},
    {"sys/kernel/random/uuid", uuid, 0},
    {"sys/kernel/version", osversion, 0},
    {"sys/net", NULL, 0},
    {"sys/net/core", NULL, 0},
    {"sys/net/core/somaxconn", somaxconn, 0644},
    {"sys/vm", NULL, 0},
    {"sys/vm/max_map_count", max_map_count, 0644},
    {"sys/vm/overcommit_memory", overcommit, 0644},
    {"tty", NULL, 0},
    {"tty/drivers", tty_drivers, 0},
    {"uptime", uptime, 0},
    {"version", version, 0},
};
const struct lx_text_tree lx_proc_machine = {nodes, ARRAY_SIZE(nodes)};
