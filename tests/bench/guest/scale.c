// `kpio bench scale`: the same work on every CPU at once, each in processes of its own. The QEMU plugin notes between the
// marks which cache lines more than one CPU wrote; on these paths there should be none.
//
// This program starts itself again for each worker, with the role "WORK CPU". Workers meet in a shared page: all are
// ready, all go, all are done before one leaves, so that nobody's start or end falls into somebody's window.
#include "lib/fmt.h"
#include "lib/string.h"
#include "tests/bench/guest/lib/bench.h"

#define PAGE 4096u
#define OPERATIONS 2000u
#define WARM_UP 4000u  // until what is freed late comes back as fast as it goes
#define FAULT_PAGES 16u
#define CPUS_MAX 8u
#define LINE 64u

struct meeting {
    _Alignas(LINE) uint32_t ready;
    _Alignas(LINE) uint32_t go;
    _Alignas(LINE) uint32_t done;
};

struct work {
    const char *name;
    const char *server;  // the role of the process that it works with, or NULL
    void (*prepare)(uint32_t count);
    void (*operate)(uint32_t count);
};

// ---- the work ---------------------------------------------------------------------------------------------------------
static uint64_t region;
static kpio_handle region_vmo;

static void call_prepare(uint32_t count) {}

static void call(uint32_t count) {
    kpio_handle endpoint = startup_handle("endpoint");
    for (uint32_t i = 0; i < count; i++)
        (void)bench_check("ipc", kpio_ipc_call(endpoint, KPIO_MESSAGE(1, 0, 0), KPIO_TIME_NEVER));
}

// Pages that come and go: a fault takes a page that the same CPU gave back before, as it does where memory is in use. (A
// first touch of ever more pages ends at the common heap, which is where pages come from.)
static void fault_prepare(uint32_t count) {
    if (region) return;
    region_vmo = (kpio_handle)bench_check("fault", kpio_vmo_create(FAULT_PAGES * PAGE, 0));
    region = (uint64_t)bench_check("fault", kpio_aspace_map(startup_handle("aspace"), region_vmo, 0, FAULT_PAGES * PAGE,
                                                            KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
}

static void fault(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        *(volatile char *)(region + (uint64_t)(i % FAULT_PAGES) * PAGE) = 1;
        if (i % FAULT_PAGES == FAULT_PAGES - 1)
            (void)bench_check("fault", kpio_vmo_op(region_vmo, KPIO_VMO_OP_DECOMMIT, 0, FAULT_PAGES * PAGE));
    }
}

static void object(uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        (void)bench_check("object", kpio_handle_close((uint64_t)bench_check("object", kpio_event_create())));
}

static const struct work works[] = {
    {"ipc", "echo", call_prepare, call},
    {"fault", NULL, fault_prepare, fault},
    {"object", NULL, call_prepare, object},
};

// ---- a worker ---------------------------------------------------------------------------------------------------------
static struct meeting *meeting_open(kpio_handle vmo) {
    return (struct meeting *)bench_check("meeting", kpio_aspace_map(startup_handle("aspace"), vmo, 0, PAGE,
                                                                    KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
}

static void wait_until(const uint32_t *word, uint32_t value) {
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) (void)kpio_thread_yield();
}

static void stay_on_cpu(uint32_t cpu) {
    (void)bench_check("affinity", kpio_thread_set_schedule(startup_handle("thread"), KPIO_SCHED_FAIR, 1024, 1ull << cpu));
}

static int echo(void) {
    kpio_handle endpoint = startup_handle("endpoint");
    int64_t header = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    while (header >= 0) header = kpio_ipc_reply_receive(endpoint, KPIO_MESSAGE(1, 0, 0), KPIO_TIME_NEVER);
    return 0;
}

static int worker(const struct work *work, uint32_t workers) {
    struct meeting *meeting = meeting_open(startup_handle("meeting"));
    work->prepare(WARM_UP);
    work->operate(WARM_UP);
    work->prepare(OPERATIONS);
    (void)__atomic_fetch_add(&meeting->ready, 1, __ATOMIC_ACQ_REL);
    wait_until(&meeting->go, 1);
    bench_mark_begin();
    work->operate(OPERATIONS);
    bench_mark_end();
    (void)__atomic_fetch_add(&meeting->done, 1, __ATOMIC_ACQ_REL);
    wait_until(&meeting->done, workers);
    return 0;
}

// A role is "WORK CPU WORKERS", each number one digit.
static int run_role(const char *role) {
    size_t length = strlen(role);
    uint32_t cpu = (uint32_t)(role[length - 3] - '0'), workers = (uint32_t)(role[length - 1] - '0');
    stay_on_cpu(cpu);
    if (strncmp(role, "echo ", 5) == 0) return echo();
    for (uint32_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
        if (strncmp(role, works[i].name, strlen(works[i].name)) == 0) return worker(&works[i], workers);
    return 1;
}

// ---- the whole --------------------------------------------------------------------------------------------------------
static kpio_handle start(const char *work, uint32_t cpu, uint32_t workers, kpio_handle meeting, kpio_handle endpoint) {
    const struct process_grant grants[] = {{"meeting", meeting, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
                                           {"endpoint", endpoint, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    char role[32];
    (void)fmt_print(role, sizeof(role), "%s %u %u", work, cpu, workers);
    return bench_spawn(role, grants, 2);
}

static void measure(const struct work *work, uint32_t workers, uint32_t mark) {
    kpio_handle processes[CPUS_MAX], servers[CPUS_MAX], endpoints[CPUS_MAX];
    kpio_handle vmo = (kpio_handle)bench_check("meeting", kpio_vmo_create(PAGE, 0));
    struct meeting *meeting = meeting_open(vmo);

    for (uint32_t cpu = 0; cpu < workers; cpu++) {
        endpoints[cpu] = (kpio_handle)bench_check("endpoint", kpio_endpoint_create());
        servers[cpu] = work->server ? start(work->server, cpu, workers, vmo, endpoints[cpu]) : 0;
        processes[cpu] = start(work->name, cpu, workers, vmo, endpoints[cpu]);
    }
    wait_until(&meeting->ready, workers);
    __atomic_store_n(&meeting->go, 1, __ATOMIC_RELEASE);
    for (uint32_t cpu = 0; cpu < workers; cpu++) {
        int64_t status = 0;
        (void)bench_check(work->name, wait_terminated(processes[cpu], KPIO_TIME_NEVER, &status));
        if (status != 0) bench_fail(work->name, "a worker failed", status);
    }
    bench_mark_report(mark, workers * OPERATIONS);
    print("{\"name\":\"scale_%s\",\"unit\":\"ops\",\"value\":%u,\"mark\":%u}\n", work->name, workers * OPERATIONS, mark);
    for (uint32_t cpu = 0; cpu < workers; cpu++) {
        if (servers[cpu]) bench_reap(servers[cpu]);
        (void)kpio_handle_close((uint64_t)processes[cpu]);
        (void)kpio_handle_close((uint64_t)endpoints[cpu]);
    }
    (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)meeting, PAGE);
    (void)kpio_handle_close((uint64_t)vmo);
}

int main(int argc, char **argv) {
    struct kpio_system_info info;
    if (argc > 1) return run_role(argv[1]);
    (void)bench_check("system_info", kpio_system_info(startup_handle("system"), &info));
    uint32_t workers = info.cpu_online < CPUS_MAX ? info.cpu_online : CPUS_MAX;
    for (uint32_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) measure(&works[i], workers, i);
    return 0;
}
