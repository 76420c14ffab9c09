// System-call fuzzer: calls from the grammar that abi/generate.py makes of syscalls.def, with arguments that are mostly
// well-formed and sometimes anything. A child process in a job with quotas makes the calls from several threads; it may
// well end itself, then another goes on with the next seed. What counts is that the kernel lives, loses nothing, and that
// enough calls succeed to reach beyond the checks.
//
//   kpio.seed=N          first seed (1)              kpio.fuzz_calls=N    calls in all (40,000; long form 10,000,000)
//   kpio.fuzz_threads=N  threads of the child (4; with 1, one CPU and QEMU counting instructions as its clock a run repeats
//                        exactly, which the hash that is printed then shows)
#include "lib/util.h"
#include "tests/guest/fuzz/fuzz.h"
#include "tests/guest/kt/coverage.h"
#include "tests/guest/kt/driver.h"

#define FUZZED_DEVICE (0x1af4u | 0x1044u << 16)  // virtio-rng: harmless, and in every test machine

static const char *const kind_names[KPIO_KIND_COUNT] = {
    "none", "job", "process", "thread", "vmo", "aspace", "endpoint", "reply", "event", "port", "timer", "irq",
    "mmio", "dma", "pci", "disk", "directory", "file", "pipe", "wasm_pool", "system", "counter", "fuse"};

static struct progress *map_progress(kpio_handle vmo, uint64_t bytes) {
    return (struct progress *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, bytes, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
}

// What is left in the job.
static void report_job(kpio_handle job) {
    uint64_t ids[16];
    struct kpio_job_info info;
    if (kpio_job_info(job, &info) == 0)
        kt_note("job has %lu processes, %lu threads, %lu handles", (unsigned long)info.used.processes,
                (unsigned long)info.used.threads, (unsigned long)info.used.handles);
    int64_t count = kpio_job_list(job, 1, ids, ARRAY_SIZE(ids));
    for (int64_t i = 0; i < count && i < (int64_t)ARRAY_SIZE(ids); i++) {
        int64_t h = kpio_job_open(job, ids[i], KPIO_RIGHT_INSPECT);
        struct kpio_process_info process;
        if (h <= 0) continue;
        if (kpio_process_info((kpio_handle)h, &process) == 0)
            kt_note("process %s: state %u, %lu threads", process.name, process.state, (unsigned long)process.threads);
        kt_close((kpio_handle)h);
    }
}

static void report_calls(const struct progress *p) {
    for (uint64_t i = 0; i < p->threads; i++) {
        uint64_t number = __atomic_load_n(&p->inside[i], __ATOMIC_RELAXED);
        bool known = number >= SYSCALL_BASE && number - SYSCALL_BASE < SYSCALL_COUNT;
        kt_note("thread %lu is in %s", (unsigned long)i, known ? fuzz_calls[number - SYSCALL_BASE].name : number ? "another" : "none");
    }
}

#define STUCK_MS KT_HANG_MS

// Until the child ends. Calls that are slow are none of a hang: one is that no call is made any more.
static bool ends_by_itself(kpio_handle child, kpio_handle job, const struct progress *p) {
    uint64_t before;
    do {
        before = p->calls;
        if (wait_terminated(child, time_after_ms(STUCK_MS), NULL) == 0) return true;
    } while (before != p->calls);
    kt_note("seed %lu: no call for %u s", (unsigned long)p->seed, STUCK_MS / 1000);
    report_calls(p);
    report_job(job);
    return false;
}

// The root of the file system on the disk after the raw one, or after that, ...: 0 where there is none. Mounted anew for each
// child; the mount before ends a little after its last handle.
static kpio_handle volume_mount(uint32_t index) {
    const uint8_t name[] = {'v', 'd', (uint8_t)('b' + index)};
    int64_t root, disk = kpio_disk_open(kt_system(), name, sizeof name);
    if (disk < 0) return 0;
    uint64_t until = kt_soon();
    while ((root = kpio_fs_mount("", (kpio_handle)disk, 0, NULL)) == -EBUSY && time_now() < until) time_sleep_ms(2);
    if (root < 0) kt_fail(__FILE__, __LINE__, "vd%c is not mounted: error %d", name[2], (int)-root);
    kt_close((kpio_handle)disk);
    return (kpio_handle)root;
}

static void run_child(kpio_handle vmo, struct progress *p) {
    struct kpio_job_limits limits = {.pages = 6000, .handles = 8000, .threads = 200, .kernel_bytes = 8 << 20, .processes = 60};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"fuzz", 4));
    // Not DEVICE: most functions of a test machine cannot be reset, and DMA memory of such a one is lost for good.
    uint32_t system_rights = KPIO_RIGHT_INSPECT | KPIO_RIGHT_AUDIT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_LOG | KPIO_RIGHT_MANAGE;
    int64_t pci = kpio_pci_open(kt_system(), (uint64_t)kt_device_find(FUZZED_DEVICE, 0));
    int64_t disk = kpio_disk_open(kt_system(), (const uint8_t *)"vda", 3);
    struct process_grant grants[5 + VOLUMES] = {
        {"progress", vmo, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
        {"job", job, KPIO_RIGHTS_ALL & ~KPIO_RIGHT_KILL, KPIO_SEND_COPY},
        {"fuzz_system", kt_system(), system_rights, KPIO_SEND_COPY},
    };
    uint32_t count = 3;
    if (pci > 0) grants[count++] = (struct process_grant){"pci", (kpio_handle)pci, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    if (disk > 0) grants[count++] = (struct process_grant){"disk", (kpio_handle)disk, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle volumes[VOLUMES];
    for (uint32_t i = 0; i < VOLUMES; i++) {
        volumes[i] = volume_mount(i);
        if (volumes[i] > 0) grants[count++] = (struct process_grant){volume_names[i], volumes[i], KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    }
    struct kpio_handle_info info;
    KT_EQUAL(kpio_handle_info(job, &info), 0);
    grants[1].rights = info.rights & ~KPIO_RIGHT_KILL;
    kpio_handle child = kt_spawn_in(job, "fuzzer", grants, count);
    // What is left of it is ended from outside, which must work in any state.
    bool ended = ends_by_itself(child, job, p);
    if (!ended) KT_EQUAL(kpio_process_kill(child, 9), 0);
    KT_EQUAL(kpio_job_kill(job), 0);
    int error = wait_terminated(job, kt_soon(), NULL);
    if (error != 0) {
        kt_note("seed %lu: its job does not end", (unsigned long)p->seed);
        report_job(job);
    }
    KT_EQUAL(error, 0);
    kt_close(child);
    if (pci > 0) kt_close((kpio_handle)pci);
    if (disk > 0) kt_close((kpio_handle)disk);
    for (uint32_t i = 0; i < VOLUMES; i++)
        if (volumes[i] > 0) kt_close(volumes[i]);
    (void)kpio_console_write(kt_system(), (const uint8_t *)"\n", 1);  // the calls may have left a line open
    kt_close(job);
    if (!ended) kt_fail(__FILE__, __LINE__, "seed %lu: its calls hung", (unsigned long)p->seed);
}

// Of each kind of object, in per cent, where there were enough calls to tell.
#define LEAST_SUCCESS 30u
#define COUNTING_CALLS 400u

static void report(const struct progress *p, uint64_t children) {
    uint64_t calls = 0, succeeded = 0;
    const char *worst = NULL;
    for (uint32_t kind = 0; kind < KPIO_KIND_COUNT; kind++) {
        uint64_t of = p->kind[kind].calls, good = p->kind[kind].succeeded;
        if (of == 0) continue;
        calls += of;
        succeeded += good;
        kt_note("%s: %lu calls, %lu %% succeeded", kind_names[kind], (unsigned long)of, (unsigned long)(good * 100 / of));
        if (of >= COUNTING_CALLS && good * 100 < of * LEAST_SUCCESS && worst == NULL) worst = kind_names[kind];
    }
    for (uint32_t i = 0; i < SYSCALL_COUNT && kt_setting("fuzz_verbose", 0); i++)
        kt_note("%s: %lu of %lu", fuzz_calls[i].name, (unsigned long)p->call[i].succeeded, (unsigned long)p->call[i].calls);
    kt_note("all: %lu calls, %lu %% succeeded, %lu children", (unsigned long)calls,
            (unsigned long)(succeeded * 100 / calls), (unsigned long)children);
    if (p->threads == 1) kt_note("hash of all calls: %lx", (unsigned long)p->hash);
    if (worst != NULL) kt_fail(__FILE__, __LINE__, "less than %u %% of the calls on %s succeed", LEAST_SUCCESS, worst);
}

KT_TEST(random_calls_harm_nobody) {
    uint64_t bytes = align_up(sizeof(struct progress), 4096), children = 0;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(bytes, 0));
    struct progress *p = map_progress(vmo, bytes);
    uint64_t total = kt_setting("fuzz_calls", kt_long() ? 10000000 : 40000), seed = kt_setting("seed", 1);
    p->threads = kt_setting("fuzz_threads", 4);
    if (p->threads > MAX_THREADS) p->threads = MAX_THREADS;
    // A child that ends itself has used part of the budget; a few calls are set aside so that each child makes some.
    for (p->calls = 0; p->calls < total; children++) {
        uint64_t before = p->calls;
        p->seed = seed + children;
        p->budget = p->calls + 20000 < total ? p->calls + 20000 : total;
        if (children % 16 == 0) kt_note("seed %lu after %lu calls", (unsigned long)p->seed, (unsigned long)p->calls);
        run_child(vmo, p);
        KT_CHECK(p->calls > before);
    }
    report(p, children);
    KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)p, bytes), 0);
    kt_close(vmo);
}

// Nothing but what has run so far, for the host: last, so that all of the above counts.
KT_TEST(coverage) { kt_print_coverage(); }
