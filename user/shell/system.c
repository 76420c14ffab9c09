// memory, disks, log, caps, services and their control, bench.
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "protocols/gen/init.h"
#include "user/shell/shell.h"

const char *kind_name(uint32_t kind) {
    static const char *const names[KPIO_KIND_COUNT] = {
        "none", "job", "process", "thread", "vmo", "aspace", "endpoint", "reply", "event", "port", "timer", "irq",
        "mmio", "dma", "pci", "disk", "directory", "file", "pipe", "wasm_pool", "system", "counter", "fuse"};
    return kind < KPIO_KIND_COUNT ? names[kind] : "?";
}

const char *rights_text(uint32_t rights, char *buffer, size_t size) {
    static const char *const names[] = {"read", "write", "execute", "map", "dup", "transfer", "call", "receive",
                                        "manage", "kill", "inspect", "jit", "wait", "device", "log", "power", "badge",
                                        "expire", "audit"};
    size_t used = 0;
    buffer[0] = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(names) && used < size; i++)
        if (rights & 1u << i) used += fmt_print(buffer + used, size - used, "%s%s", used ? " " : "", names[i]);
    return buffer;
}

int64_t run_memory(unsigned count, char **words) {
    struct kpio_system_info info = {0};
    int64_t error = kpio_system_info(startup_handle("system"), &info);
    if (error) return error;
    print("memory      %8lu KiB, free %lu KiB\n", (unsigned long)(info.memory_total >> 10),
          (unsigned long)(info.memory_free >> 10));
    print("page array  %8lu KiB\nWASM pool   %8lu KiB, free %lu KiB\n", (unsigned long)(info.page_array_bytes >> 10),
          (unsigned long)(info.wasm_pool_bytes >> 10), (unsigned long)(info.wasm_pool_free >> 10));
    print("kernel      %8lu KiB image, %lu KiB objects, %lu stacks, %lu page tables\n",
          (unsigned long)(info.kernel_image_bytes >> 10), (unsigned long)(info.slub_bytes >> 10),
          (unsigned long)info.kernel_stacks, (unsigned long)info.page_tables);
    print("handles     %8lu\nobjects    ", (unsigned long)info.handles);
    for (unsigned kind = 0; kind < KPIO_KIND_COUNT; kind++)
        if (info.objects[kind] > 0) print(" %s %lu", kind_name(kind), (unsigned long)info.objects[kind]);
    print("\nCPUs        %u of %u, up %lu s, idle %lu s, %lu switches, %lu interrupts\n", info.cpu_online,
          info.cpu_possible, (unsigned long)(info.uptime_ns / 1000000000), (unsigned long)(info.idle_ns / 1000000000),
          (unsigned long)info.context_switches, (unsigned long)info.interrupts);
    return 0;
}

int64_t run_wasm(unsigned count, char **words) {
    struct kpio_wasm_account a;
    print("process  name                             current KiB    peak KiB  reserved KiB     limit KiB\n");
    for (uint64_t number = 0;;) {
        int64_t next = kpio_wasm_pool_list(startup_handle("system"), number, &a);
        if (next < 0) return next == -ENOENT ? 0 : next;
        number = (uint64_t)next;
        print("%7lu  %-31s  %12lu %11lu  %12lu", (unsigned long)a.process, a.name, (unsigned long)(a.current >> 10),
              (unsigned long)(a.peak >> 10), (unsigned long)(a.reserved >> 10));
        if (a.limit == UINT64_MAX) print("          none\n");
        else print("  %12lu\n", (unsigned long)(a.limit >> 10));
    }
}

int64_t run_disks(unsigned count, char **words) {
    struct kpio_disk_info d;
    print("name       MiB  block  first sector\n");
    for (uint32_t i = 0;; i++) {
        int64_t error = kpio_disk_list(startup_handle("system"), i, &d);
        if (error) return error == -ENOENT ? 0 : error;
        print("%-6s %7lu %6u  %12lu%s%s%s\n", d.name, (unsigned long)(d.sectors >> 11), d.block_size, (unsigned long)d.first_sector,
              d.flags & KPIO_DISK_READ_ONLY ? "  read-only" : "", d.flags & KPIO_DISK_DISCARD ? "  discard" : "",
              d.flags & KPIO_DISK_CLAIMED ? "  in use" : "");
    }
}

int64_t run_log(unsigned count, char **words) {
    static char text[4096];
    uint64_t position = 0;
    for (;;) {
        int64_t got = kpio_log_read(startup_handle("system"), &position, text, sizeof(text));
        if (got <= 0) return got;
        print_text(text, (size_t)got);
    }
}

int64_t run_caps(unsigned count, char **words) {
    const struct kpio_startup *page = startup_page();
    char text[160];
    for (uint32_t i = 0; i < page->handle_count; i++) {
        struct kpio_handle_info info = {0};
        int64_t error = kpio_handle_info(page->handles[i].handle, &info);
        print("%-10s %-10s %s\n", page->handles[i].name, error ? error_name(error) : kind_name(info.kind),
              rights_text(info.rights, text, sizeof(text)));
    }
    return 0;
}

int64_t run_services(unsigned count, char **words) {
    struct client init = {.endpoint = startup_handle("init")};
    print("service      state       pid  ends  version  last exit\n");
    for (uint32_t i = 0;; i++) {
        struct init_list_request request = {i};
        struct init_list_reply s;
        int64_t error = init_list(&init, &request, &s);
        if (error) return error == -ENOENT ? 0 : error;
        print("%-12s %-9s %5lu %5u %8u  %ld\n", s.name, s.state, (unsigned long)s.pid, s.restarts, s.version,
              (long)s.last_exit);
    }
}

int64_t run_control(unsigned count, char **words) {
    struct client init = {.endpoint = startup_handle("init")};
    struct init_control_request request = {};
    struct init_control_reply reply;
    if (strlen(words[1]) >= sizeof(request.name)) return -ENOENT;
    (void)fmt_print(request.name, sizeof(request.name), "%s", words[1]);
    (void)fmt_print(request.command, sizeof(request.command), "%s", words[0]);
    if (count > 2 && strlen(words[2]) >= sizeof(request.program)) return -ENOENT;
    if (count > 2) (void)fmt_print(request.program, sizeof(request.program), "%s", words[2]);
    return init_control(&init, &request, &reply);
}

// ---- bench ------------------------------------------------------------------------------------------------------------------
static void null_call(void *context) { (void)kpio_nop(); }
static void clock_call(void *context) { (void)kpio_clock_get(0); }
static void dup_call(void *context) {
    int64_t copy = kpio_handle_dup(*(kpio_handle *)context, KPIO_RIGHTS_SAME);
    if (copy > 0) (void)kpio_handle_close((uint64_t)copy);
}
static void map_call(void *context) {
    kpio_handle aspace = startup_handle("aspace");
    int64_t at = kpio_aspace_map(aspace, *(kpio_handle *)context, 0, 4096, KPIO_MAP_READ, 0);
    if (at > 0) (void)kpio_aspace_unmap(aspace, (uint64_t)at, 4096);
}

static void time_call(const char *name, void (*call)(void *), void *context) {
    enum { ROUNDS = 2000 };
    uint64_t start = time_now();
    for (unsigned i = 0; i < ROUNDS; i++) call(context);
    print("  %-28s %6lu ns\n", name, (unsigned long)((time_now() - start) / ROUNDS));
}

int64_t run_bench(unsigned count, char **words) {
    int64_t vmo = kpio_vmo_create(4096, 0);
    if (vmo < 0) return vmo;
    kpio_handle handle = (kpio_handle)vmo;
    time_call("null system call", null_call, NULL);
    time_call("reading the clock", clock_call, NULL);
    time_call("handle duplicated and closed", dup_call, &handle);
    time_call("page mapped and unmapped", map_call, &handle);
    print("Times of this machine; `kpio bench kernel` counts instructions.\n");
    return kpio_handle_close((uint64_t)vmo);
}
