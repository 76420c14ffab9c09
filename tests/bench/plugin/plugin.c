// A QEMU plugin that counts, between the marks of lib/bench_mark.h, what an instruction count hides.
//
//   -plugin bench.so,out=FILE[,lines=on][,profile=on][,stretches=LEAST]
//
// For each report mark it writes a line of JSON to FILE: how many CR3 and MSR writes, XSAVEs and XRSTORs, locked
// operations and iterations of repeated string instructions ran between begin and end; with lines=on also the cache
// lines that two or more CPUs wrote in that time, and how often: a line's writes by all CPUs but the one that wrote it
// most, so that one visit to another CPU's line is one write. The worst of them come with the code that wrote them.
// Counting lines takes a call at each store, which is why it is an option. So is a profile: how often each instruction ran. And
// stretches of at least so many instructions without interrupts, of the whole run, as a last line with the mark -1.
//
// Each CPU counts for itself, without locks. A report adds up, which is why it must not be made while a window is open.
#include "tests/bench/plugin/qemu_plugin_api.h"

#include "tests/bench/plugin/decode.h"
#include "lib/bench_mark.h"
#include "tests/bench/plugin/lines.h"
#include "tests/bench/plugin/profile.h"
#include "tests/bench/plugin/stretch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_CPUS 64
#define WORST_SHOWN 8

EXPORT int qemu_plugin_version = QEMU_PLUGIN_API_VERSION;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

struct cpu {
    _Alignas(64) bool open;
    uint64_t counts[INSN_CLASSES];
    uint64_t number; // the last sixteen digits spelled: index and operations of the next report
    struct line_table lines;
};

static struct cpu cpus[MAX_CPUS];
static unsigned cpu_count;
static bool count_lines, profile, stretches;
static FILE *out;

// ---- reports ----

struct shared {
    uint64_t all_writes;    // to whatever line
    uint64_t lines, writes; // that are shared; what others than their main writer wrote
    struct line worst[WORST_SHOWN]; // by writes, most first
    uint64_t worst_cpus[WORST_SHOWN];
};

static void keep_worst(struct shared *shared, struct line line, uint64_t writers)
{
    for (int i = 0; i < WORST_SHOWN; i++) {
        if (line.writes <= shared->worst[i].writes)
            continue;
        struct line next = shared->worst[i];
        uint64_t next_writers = shared->worst_cpus[i];

        shared->worst[i] = line;
        shared->worst_cpus[i] = writers;
        line = next;
        writers = next_writers;
    }
}

// Adds one line, seen from the first CPU that wrote it (so that each line is looked at once).
static void add_shared(struct shared *shared, unsigned first, const struct line *line)
{
    struct line foreign = *line;  // its writes: those of all CPUs less the most of one
    uint64_t writers = 1ull << first, sum = line->writes, most = line->writes;

    shared->all_writes += line->writes;
    for (unsigned other = 0; other < cpu_count; other++) {
        const struct line *theirs = other == first ? NULL : lines_find(&cpus[other].lines, line->number);

        if (!theirs)
            continue;
        if (other < first)
            return;
        writers |= 1ull << other;
        sum += theirs->writes;
        if (theirs->writes > most) {
            most = theirs->writes;
        } else {
            foreign.pc = theirs->pc; // of a CPU that visits
            foreign.vaddr = theirs->vaddr;
        }
    }
    if ((writers & (writers - 1)) == 0)
        return;
    foreign.writes = sum - most;
    shared->lines++;
    shared->writes += foreign.writes;
    keep_worst(shared, foreign, writers);
}

static void write_shared(void)
{
    struct shared shared = {0};

    for (unsigned cpu = 0; cpu < cpu_count; cpu++)
        for (uint64_t i = 0; i < cpus[cpu].lines.size; i++)
            if (cpus[cpu].lines.slots[i].number)
                add_shared(&shared, cpu, &cpus[cpu].lines.slots[i]);
    fprintf(out, ",\"writes\":%llu,\"shared_lines\":%llu,\"shared_writes\":%llu,\"worst\":[",
            (unsigned long long)shared.all_writes, (unsigned long long)shared.lines, (unsigned long long)shared.writes);
    for (int i = 0; i < WORST_SHOWN && shared.worst[i].writes; i++)
        fprintf(out, "%s{\"vaddr\":%llu,\"pc\":%llu,\"writes\":%llu,\"cpus\":%llu}", i ? "," : "",
                (unsigned long long)shared.worst[i].vaddr, (unsigned long long)shared.worst[i].pc,
                (unsigned long long)shared.worst[i].writes, (unsigned long long)shared.worst_cpus[i]);
    fputc(']', out);
}

static void report(uint64_t number)
{
    static const char *const names[INSN_CLASSES] = {
        [INSN_CR3] = "cr3",       [INSN_MSR] = "msr",       [INSN_FSGS] = "fsgs", [INSN_XSAVE] = "xsave",
        [INSN_XRSTOR] = "xrstor", [INSN_LOCKED] = "locked", [INSN_REP] = "rep",
    };

    fprintf(out, "{\"mark\":%u,\"ops\":%u", (unsigned)(number >> 32), (unsigned)number);
    for (int class = 0; class < INSN_CLASSES; class++) {
        uint64_t sum = 0;

        if (!names[class])
            continue;
        for (unsigned cpu = 0; cpu < cpu_count; cpu++)
            sum += cpus[cpu].counts[class];
        fprintf(out, ",\"%s\":%llu", names[class], (unsigned long long)sum);
    }
    if (count_lines)
        write_shared();
    if (profile)
        profile_write(out);
    fputs("}\n", out);
    fflush(out);
    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        memset(cpus[cpu].counts, 0, sizeof cpus[cpu].counts);
        lines_clear(&cpus[cpu].lines);
    }
}

// ---- what runs with the guest ----

static void on_mark(unsigned vcpu, void *userdata)
{
    uintptr_t mark = (uintptr_t)userdata;
    struct cpu *cpu = &cpus[vcpu % MAX_CPUS];

    if (mark == BENCH_MARK_BEGIN)
        cpu->open = true;
    else if (mark == BENCH_MARK_END)
        cpu->open = false;
    else if (mark == BENCH_MARK_REPORT)
        report(cpu->number);
    else if ((mark & ~15ul) == BENCH_MARK_DIGIT)
        cpu->number = cpu->number << 4 | (mark & 15);
}

static void on_counted(unsigned vcpu, void *userdata)
{
    struct cpu *cpu = &cpus[vcpu % MAX_CPUS];

    if (cpu->open)
        cpu->counts[(uintptr_t)userdata]++;
}

static void on_instruction(unsigned vcpu, void *userdata)
{
    if (cpus[vcpu % MAX_CPUS].open)
        ((struct profile_slot *)userdata)->count++;
}

static void on_store(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    struct cpu *cpu = &cpus[vcpu % MAX_CPUS];
    struct qemu_plugin_hwaddr *where;
    uint64_t paddr, last = (1ull << qemu_plugin_mem_size_shift(info)) - 1;

    // QEMU 7.2 calls this for loads too, although only stores were asked for.
    if (!cpu->open || !qemu_plugin_mem_is_store(info))
        return;
    where = qemu_plugin_get_hwaddr(info, vaddr);
    if (!where || qemu_plugin_hwaddr_is_io(where))
        return;
    paddr = qemu_plugin_hwaddr_phys_addr(where);
    lines_add(&cpu->lines, paddr, vaddr, (uintptr_t)userdata);
    if (paddr >> LINE_SHIFT != (paddr + last) >> LINE_SHIFT)
        lines_add(&cpu->lines, paddr + last, vaddr + last, (uintptr_t)userdata);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    if (stretches)
        stretch_translate(tb);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint8_t mark = 0;
        enum insn_class class = insn_classify(qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn), &mark);

        if (class == INSN_MARK)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)mark);
        else if (class != INSN_OTHER)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_counted, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void *)(uintptr_t)class);
        struct profile_slot *slot = profile ? profile_slot(qemu_plugin_insn_vaddr(insn)) : NULL;

        if (slot)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_NO_REGS, slot);
        if (count_lines)
            qemu_plugin_register_vcpu_mem_cb(insn, on_store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
                                             (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
    }
}

static void on_end(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    if (stretches) {
        fputs("{\"mark\":-1", out);
        stretch_write(out);
        fputs("}\n", out);
    }
    fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    const char *path = NULL;

    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0)
            path = argv[i] + 4;
        else if (strcmp(argv[i], "lines=on") == 0)
            count_lines = true;
        else if (strcmp(argv[i], "profile=on") == 0)
            profile = true;
        else if (strncmp(argv[i], "stretches=", 10) == 0)
            stretch_init(strtoull(argv[i] + 10, NULL, 10)), stretches = true;
        else
            return fprintf(stderr, "kpio bench plugin: unknown option %s\n", argv[i]), -1;
    }
    if (!path || !(out = fopen(path, "w")))
        return fprintf(stderr, "kpio bench plugin: out=FILE is missing or cannot be written\n"), -1;
    cpu_count = (unsigned)info->system.smp_vcpus;
    if (cpu_count > MAX_CPUS)
        return fprintf(stderr, "kpio bench plugin: more than %d CPUs\n", MAX_CPUS), -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
