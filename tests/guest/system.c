// What the system tells about itself: counters, the audit ring, chance, time, the log, coverage.
#include "abi/audit.h"
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define RECORDS 64u

static int64_t call(uint64_t number) {
    int64_t result = (int64_t)number;
    uint64_t rdi = 0, rsi = 0, rdx = 0;
    __asm__ volatile("syscall" : "+a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx)::"rcx", "r11", "r8", "r9", "r10", "memory");
    return result;
}

KT_TEST(unknown_numbers) {
    KT_ERROR(call(SYSCALL_BASE + SYSCALL_COUNT), ENOSYS);
    KT_ERROR(call(SYSCALL_BASE - 1), ENOSYS);
    KT_ERROR(call(0), ENOSYS);
    KT_ERROR(call(UINT64_MAX), ENOSYS);
    KT_ERROR(call(SYS_nop + (1ull << 32)), ENOSYS);  // all 64 bits count
}

// ---- counters ----------------------------------------------------------------------------------------------------------

static struct kpio_system_info info_now(void) {
    struct kpio_system_info info = {0};
    KT_EQUAL(kpio_system_info(kt_system(), &info), 0);
    return info;
}

KT_TEST(info_adds_up) {
    struct kpio_system_info info = info_now();
    uint64_t mib = kt_setting("mib", 0), cpus = kt_setting("cpus", 0);
    KT_CHECK(info.memory_free > 0 && info.memory_free < info.memory_total);
    KT_CHECK(info.wasm_pool_free <= info.wasm_pool_bytes && info.wasm_pool_bytes < info.memory_total);
    if (mib != 0) KT_CHECK(info.memory_total <= mib << 20 && info.memory_total > (mib << 20) - (16 << 20));
    if (cpus != 0) KT_EQUAL(info.cpu_online, cpus);
    KT_CHECK(info.kernel_image_bytes > 100000 && info.kernel_image_bytes < 64 << 20);
    KT_EQUAL(info.objects[KPIO_KIND_NONE], 0);
    KT_EQUAL(info.objects[KPIO_KIND_SYSTEM], 1);
    KT_CHECK(info.objects[KPIO_KIND_PROCESS] >= 2);  // init and this one
    KT_CHECK(info.handles > 5 && info.kernel_stacks > info.cpu_online && info.slub_bytes > 0 && info.page_tables > 0);
    KT_CHECK(info.tsc_hz > 1000000 && info.realtime_ns > info.uptime_ns);
    uint64_t switches = info.context_switches;
    time_sleep_ms(5);
    struct kpio_system_info later = info_now();
    KT_CHECK(later.uptime_ns >= info.uptime_ns + 5000000 && later.context_switches > switches);
    KT_EQUAL(later.boot_to_init_insns, info.boot_to_init_insns);
}

KT_TEST(info_counts_objects_handles_and_pages) {
    struct kpio_system_info before = info_now();
    kpio_handle event = KT_HANDLE(kpio_event_create()), again = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(1024 * 4096, 0));
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_COMMIT, 0, 1024 * 4096), 0);
    struct kpio_system_info with = info_now();
    KT_EQUAL(with.objects[KPIO_KIND_EVENT], before.objects[KPIO_KIND_EVENT] + 1);
    KT_EQUAL(with.objects[KPIO_KIND_VMO], before.objects[KPIO_KIND_VMO] + 1);
    KT_EQUAL(with.handles, before.handles + 3);
    KT_CHECK(with.memory_free + 1000 * 4096 < before.memory_free);
    kt_close(again);
    kt_close(event);
    kt_close(vmo);
}

// A look finishes nothing that is being freed; all else is as in the exact one.
KT_TEST(a_look_costs_nobody) {
    struct kpio_system_info look = {0}, exact = info_now();
    KT_EQUAL(kpio_system_look(kt_system(), &look), 0);
    KT_EQUAL(look.memory_total, exact.memory_total);
    KT_EQUAL(look.tsc_hz, exact.tsc_hz);
    KT_EQUAL(look.cpu_online, exact.cpu_online);
    KT_CHECK(look.uptime_ns >= exact.uptime_ns && look.memory_free > 0 && look.memory_free <= look.memory_total);
    for (unsigned i = 0; i < 300; i++) kt_close(KT_HANDLE(kpio_event_create()));
    KT_EQUAL(kpio_system_look(kt_system(), &look), 0);
    KT_CHECK(look.objects[KPIO_KIND_EVENT] >= exact.objects[KPIO_KIND_EVENT]);
    KT_EQUAL(info_now().objects[KPIO_KIND_EVENT], exact.objects[KPIO_KIND_EVENT]);
}

KT_TEST(info_arguments) {
    struct kpio_system_info info;
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_LOG));
    KT_ERROR(kpio_system_info(weak, &info), EACCES);
    KT_ERROR(kpio_system_look(weak, &info), EACCES);
    KT_ERROR(kpio_system_look(kt_system(), KT_UNMAPPED_ADDRESS), EFAULT);
    KT_ERROR(kpio_system_info(kt_job(), &info), EWRONGTYPE);
    KT_ERROR(kpio_system_info(0, &info), EBADF);
    KT_ERROR(kpio_system_info(kt_system(), KT_KERNEL_ADDRESS), EFAULT);
    KT_ERROR(kpio_system_info(kt_system(), KT_UNMAPPED_ADDRESS), EFAULT);
    KT_ERROR(kpio_system_info(kt_system(), KT_NULL_PAGE), EFAULT);
    KT_ERROR(kpio_system_power(weak, 2), EACCES);
    KT_ERROR(kpio_system_power(kt_system(), 4), EINVAL);
    KT_ERROR(kpio_system_bench(weak, 0, 1), EACCES);
    KT_ERROR(kpio_system_bench(kt_system(), 99, 1), EINVAL);
    KT_ERROR(kpio_system_bench(kt_system(), 0, UINT64_MAX), EINVAL);
    KT_CHECK(kpio_system_bench(kt_system(), 0, 100) > 0);
    KT_CHECK(kpio_system_bench(kt_system(), 1, 100) > 0);
    kt_close(weak);
    // Looking at the system is not using it.
    weak = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_INSPECT | KPIO_RIGHT_LOG));
    KT_EQUAL(kpio_system_info(weak, &info), 0);
    KT_ERROR(kpio_system_bench(weak, 0, 1), EACCES);
    KT_ERROR(kpio_system_boot_info(weak, 0, NULL, 0), EACCES);
    KT_ERROR(kpio_coverage_read(weak, 0, NULL, 0), EACCES);
    kt_close(weak);
}

KT_TEST(boot_information) {
    char line[1024] = {0};
    uint64_t frame[6];
    int64_t length = KT_OK(kpio_system_boot_info(kt_system(), 0, line, sizeof(line)));
    KT_CHECK(length > 0 && (uint64_t)length < sizeof(line) && strlen(line) == (uint64_t)length);
    KT_CHECK(strncmp(line, "kpio.test=system", 16) == 0 || length > 16);
    memset(line, 'x', sizeof(line));
    KT_EQUAL(kpio_system_boot_info(kt_system(), 0, line, 4), length);  // the whole length, four bytes
    KT_EQUAL(line[4], 'x');
    KT_EQUAL(kpio_system_boot_info(kt_system(), 0, NULL, 0), length);
    KT_ERROR(kpio_system_boot_info(kt_system(), 0, KT_KERNEL_ADDRESS, 10), EFAULT);
    KT_ERROR(kpio_system_boot_info(kt_system(), 9, line, 10), EINVAL);
    KT_ERROR(kpio_system_boot_info(kt_job(), 0, line, 10), EWRONGTYPE);
    KT_CHECK(kpio_system_boot_info(kt_system(), 1, frame, sizeof(frame)) >= 0);
    KT_CHECK(kpio_system_boot_info(kt_system(), 2, NULL, 0) >= 0);
}

// ---- the audit ring ------------------------------------------------------------------------------------------------------

static struct kpio_audit_record records[RECORDS];

// Goes to the ring's end and returns the position there.
static uint64_t audit_end(void) {
    uint64_t position = 0;
    while (KT_OK(kpio_audit_read(kt_system(), &position, (uint8_t *)records, sizeof(records))) > 0) continue;
    return position;
}

static unsigned read_audit(uint64_t *position) {
    int64_t bytes = KT_OK(kpio_audit_read(kt_system(), position, (uint8_t *)records, sizeof(records)));
    KT_EQUAL(bytes % (int64_t)sizeof(records[0]), 0);
    return (unsigned)bytes / sizeof(records[0]);
}

KT_TEST(denials_are_on_record) {
    kpio_handle event = KT_HANDLE(kpio_event_create()), weak = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ));
    struct kpio_handle_info info;
    uint64_t position = audit_end(), before = time_now();
    KT_ERROR(kpio_event_signal(weak, 0, 1), EACCES);
    KT_EQUAL(kpio_handle_info(event, &info), 0);
    KT_EQUAL(read_audit(&position), 1);
    KT_EQUAL(records[0].event, KPIO_AUDIT_DENIED);
    KT_EQUAL(records[0].error, -EACCES);
    KT_EQUAL(records[0].handle, weak);
    KT_EQUAL(records[0].kind, KPIO_KIND_EVENT);
    KT_EQUAL(records[0].object_id, info.object_id);
    KT_EQUAL(records[0].rights & KPIO_RIGHT_WRITE, KPIO_RIGHT_WRITE);
    KT_EQUAL(records[0].process_id, thread_self()->process_id);
    KT_EQUAL(records[0].thread_id, thread_self()->thread_id);
    KT_CHECK(records[0].time_ns >= before && records[0].time_ns <= time_now());
    kt_close(weak);
    kt_close(event);
}

KT_TEST(audited_handles_are_on_record) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(kpio_handle_audit(kt_system(), event, 1), 0);
    uint64_t position = audit_end();
    KT_EQUAL(kpio_event_signal(event, 0, 1), 1);
    kpio_handle child = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    KT_EQUAL(kpio_event_signal(child, 0, 1), 1);  // what is derived is audited too
    kt_close(child);
    KT_EQUAL(kpio_handle_revoke(event, 0), 0);
    unsigned seen[KPIO_AUDIT_TRANSFER + 1] = {0};
    for (unsigned n; (n = read_audit(&position)) > 0;)
        for (unsigned i = 0; i < n; i++) seen[records[i].event]++;
    KT_CHECK(seen[KPIO_AUDIT_USE] >= 2 && seen[KPIO_AUDIT_DUP] == 1 && seen[KPIO_AUDIT_CLOSE] == 1);
    KT_CHECK(seen[KPIO_AUDIT_REVOKE] == 1 && seen[KPIO_AUDIT_DENIED] == 0);
    KT_EQUAL(kpio_handle_audit(kt_system(), event, 0), 0);
    position = audit_end();
    KT_EQUAL(kpio_event_signal(event, 0, 1), 1);
    KT_EQUAL(read_audit(&position), 0);
    kt_close(event);
}

KT_TEST(the_ring_overwrites_its_oldest) {
    kpio_handle event = KT_HANDLE(kpio_event_create()), weak = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ));
    uint64_t position = audit_end(), start = position, seen = 0;
    for (unsigned i = 0; i < 3000; i++) KT_ERROR(kpio_event_signal(weak, 0, 1), EACCES);
    uint64_t first = 0, last = 0;
    for (unsigned n; (n = read_audit(&position)) > 0; seen += n)
        for (unsigned i = 0; i < n; i++) {
            if (seen + i == 0) first = last = records[i].sequence;
            else KT_EQUAL(records[i].sequence, ++last);
        }
    KT_EQUAL(seen, 1024);
    KT_EQUAL(first, start / sizeof(records[0]) + 3000 - 1024);  // the gap tells how many were lost
    kt_close(weak);
    kt_close(event);
}

KT_TEST(audit_arguments) {
    uint64_t position = 0;
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_audit_read(weak, &position, (uint8_t *)records, sizeof(records)), EACCES);
    KT_ERROR(kpio_audit_read(kt_job(), &position, (uint8_t *)records, sizeof(records)), EWRONGTYPE);
    KT_ERROR(kpio_audit_read(kt_system(), KT_KERNEL_ADDRESS, (uint8_t *)records, sizeof(records)), EFAULT);
    KT_ERROR(kpio_audit_read(kt_system(), &position, KT_UNMAPPED_ADDRESS, sizeof(records)), EFAULT);
    KT_EQUAL(position, 0);
    KT_EQUAL(kpio_audit_read(kt_system(), &position, (uint8_t *)records, sizeof(records[0]) - 1), 0);  // no whole record
    position = UINT64_MAX;
    KT_EQUAL(kpio_audit_read(kt_system(), &position, (uint8_t *)records, sizeof(records)), 0);
    KT_ERROR(kpio_handle_audit(kt_system(), kt_job(), 2), EINVAL);
    KT_ERROR(kpio_handle_audit(weak, kt_job(), 1), EACCES);
    kt_close(weak);
}

// ---- chance and time -----------------------------------------------------------------------------------------------------

KT_TEST(random_bytes) {
    static uint8_t a[4096], b[4096];
    unsigned bits[8] = {0}, equal = 0;
    KT_EQUAL(kpio_random_get(a, sizeof(a)), 0);
    KT_EQUAL(kpio_random_get(b, sizeof(b)), 0);
    for (unsigned i = 0; i < sizeof(a); i++) {
        equal += a[i] == b[i];
        for (unsigned bit = 0; bit < 8; bit++) bits[bit] += a[i] >> bit & 1;
    }
    KT_CHECK(equal < 64);  // 16 are expected
    for (unsigned bit = 0; bit < 8; bit++) KT_CHECK(bits[bit] > 1848 && bits[bit] < 2248);  // 2,048, 6 sigma are 192
    memset(a, 0, 64);
    KT_EQUAL(kpio_random_get(a, 5), 0);
    KT_CHECK(a[5] == 0 && a[6] == 0);
    KT_EQUAL(kpio_random_get(NULL, 0), 0);
    KT_ERROR(kpio_random_get(a, 4097), EINVAL);
    KT_ERROR(kpio_random_get(a, UINT64_MAX), EINVAL);
    KT_ERROR(kpio_random_get(KT_KERNEL_ADDRESS, 8), EFAULT);
    KT_ERROR(kpio_random_get(KT_UNMAPPED_ADDRESS, 8), EFAULT);
    KT_ERROR(kpio_random_get((uint8_t *)UINT64_MAX - 3, 8), EFAULT);
}

// The page tells the same time as the call, and cannot be written.
KT_TEST(page_of_the_clock) {
    kpio_handle vmo = (kpio_handle)KT_OK(kpio_system_page());
    kpio_handle space = kt_aspace();
    KT_ERROR(kpio_aspace_map(space, vmo, 0, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0), EACCES);
    KT_ERROR(kpio_aspace_map(space, vmo, 0, 4096, KPIO_MAP_READ | KPIO_MAP_EXECUTE, 0), EACCES);
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(space, vmo, 0, 4096, KPIO_MAP_READ, 0));
    const volatile struct kpio_system_page *page = (const volatile struct kpio_system_page *)at;
    KT_EQUAL(page->sequence & 1, 0);
    KT_CHECK(page->flags & KPIO_CLOCK_TSC);
    uint64_t before = (uint64_t)kpio_clock_get(0);
    unsigned __int128 ticks = __builtin_ia32_rdtsc() - page->base;
    uint64_t told = (uint64_t)(ticks * page->mult >> page->shift);
    uint64_t after = (uint64_t)kpio_clock_get(0);
    KT_CHECK(told >= before && told <= after);
    KT_CHECK(page->realtime_base + told <= (uint64_t)kpio_clock_get(1));
    KT_CHECK(page->cpus >= 1);
    KT_OK(kpio_aspace_unmap(space, at, 4096));
    KT_OK(kpio_handle_close((uint64_t)vmo));
}

// A thread that computes sees its own time pass, and the process's with it.
KT_TEST(clocks_of_cpu_time) {
    // The process's first: what passes between the two then counts for it, not against it.
    uint64_t process = (uint64_t)KT_OK(kpio_clock_get(2)), thread = (uint64_t)KT_OK(kpio_clock_get(3));
    uint64_t until = kt_soon();
    KT_CHECK((uint64_t)kpio_clock_get(2) >= thread);
    while ((uint64_t)kpio_clock_get(3) < thread + 1000000) KT_CHECK((uint64_t)kpio_clock_get(0) < until);
    KT_CHECK((uint64_t)kpio_clock_get(2) >= process + 1000000);
}

KT_TEST(clocks) {
    uint64_t last = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = (uint64_t)KT_OK(kpio_clock_get(0));
        KT_CHECK(now >= last);
        last = now;
    }
    KT_CHECK(kpio_clock_get(1) > 1600000000000000000);  // after 2020
    KT_ERROR(kpio_clock_get(4), EINVAL);
    KT_ERROR(kpio_clock_get(UINT32_MAX), EINVAL);
}

// ---- log, console, coverage ------------------------------------------------------------------------------------------------

KT_TEST(log_and_console) {
    char text[256];
    uint64_t position = 0;
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_INSPECT));
    KT_CHECK(kpio_log_read(kt_system(), &position, (uint8_t *)text, sizeof(text)) > 0);
    KT_CHECK(position > 0);
    KT_ERROR(kpio_log_read(weak, &position, (uint8_t *)text, sizeof(text)), EACCES);
    KT_ERROR(kpio_log_read(kt_system(), KT_UNMAPPED_ADDRESS, (uint8_t *)text, sizeof(text)), EFAULT);
    KT_ERROR(kpio_console_write(weak, (const uint8_t *)"x", 1), EACCES);
    KT_ERROR(kpio_console_write(kt_system(), KT_KERNEL_ADDRESS, 10), EFAULT);
    KT_EQUAL(kpio_console_write(kt_system(), (const uint8_t *)"", 0), 0);
    KT_ERROR(kpio_console_emit(weak, (const uint8_t *)"x", 1), EACCES);
    KT_ERROR(kpio_console_emit(kt_system(), KT_KERNEL_ADDRESS, 10), EFAULT);
    KT_EQUAL(kpio_console_emit(kt_system(), (const uint8_t *)"\n", 1), 1);
    KT_ERROR(kpio_console_read(weak, (uint8_t *)text, 1, 0), EACCES);
    KT_ERROR(kpio_console_read(kt_system(), (uint8_t *)text, 1, time_after_ms(2)), ETIMEDOUT);
    kt_close(weak);
}

KT_TEST(coverage_where_it_is_built) {
    uint64_t counters[8];
    int64_t got = kpio_coverage_read(kt_system(), 0, (uint8_t *)counters, sizeof(counters));
    if (got == -ENOSYS) kt_skip("this build counts no coverage");
    KT_EQUAL(got, sizeof(counters));
    KT_EQUAL(kpio_coverage_read(kt_system(), 1ull << 40, (uint8_t *)counters, sizeof(counters)), 0);
    KT_ERROR(kpio_coverage_read(kt_system(), 0, KT_KERNEL_ADDRESS, 64), EFAULT);
    KT_ERROR(kpio_coverage_read(kt_job(), 0, (uint8_t *)counters, 64), EWRONGTYPE);
}
