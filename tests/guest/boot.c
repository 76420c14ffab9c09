// What a freshly booted system says of itself.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

KT_TEST(system_info_is_plausible) {
    struct kpio_system_info info = {0};
    KT_EQUAL(kpio_system_info(kt_system(), &info), 0);
    KT_CHECK(info.cpu_online >= 1 && info.cpu_online <= info.cpu_possible);
    KT_CHECK(info.memory_free > 0 && info.memory_free < info.memory_total);
    KT_CHECK(info.objects[KPIO_KIND_PROCESS] >= 2);
    KT_CHECK(info.handles > 0);
    KT_CHECK(info.tsc_hz > 0);
    kt_note("%u CPUs, %lu MiB free of %lu", info.cpu_online, (unsigned long)(info.memory_free >> 20),
            (unsigned long)(info.memory_total >> 20));
}

// The host says what machine this is: kpio.cpus, kpio.mib. Firmware keeps some memory; a tenth would be too much.
KT_TEST(the_whole_machine_is_there) {
    struct kpio_system_info info = {0};
    KT_EQUAL(kpio_system_info(kt_system(), &info), 0);
    uint64_t expected = kt_setting("mib", 0) << 20, found = info.memory_total;
    KT_EQUAL(info.cpu_online, kt_setting("cpus", info.cpu_online));
    KT_CHECK(expected == 0 || found <= expected);
    KT_CHECK(found >= expected - expected / 10);
}

KT_TEST(command_line_names_the_suite) {
    static char line[2048];
    int64_t length = KT_OK(kpio_system_boot_info(kt_system(), 0, line, sizeof(line) - 1));
    KT_CHECK(length > 0 && length < (int64_t)sizeof(line));
    bool found = false;
    for (const char *at = line; *at != 0; at++) found |= strncmp(at, "kpio.test=", 10) == 0;
    KT_CHECK(found);
}

KT_TEST(clocks_go_forward) {
    uint64_t before = (uint64_t)KT_OK(kpio_clock_get(0)), last = before;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = (uint64_t)KT_OK(kpio_clock_get(0));
        KT_CHECK(now >= last);
        last = now;
    }
    KT_CHECK(last > before);
    KT_CHECK(KT_OK(kpio_clock_get(1)) > 1000000000ll * 1000000000ll);  // after 2001
    KT_ERROR(kpio_clock_get(4), EINVAL);
}

KT_TEST(sleeping_takes_its_time) {
    uint64_t before = time_now();
    time_sleep_ms(20);
    KT_CHECK(time_now() - before >= 20000000);
}

KT_TEST(random_bytes_differ) {
    static uint64_t a[64], b[64];
    KT_EQUAL(kpio_random_get(a, sizeof(a)), 0);
    KT_EQUAL(kpio_random_get(b, sizeof(b)), 0);
    KT_CHECK(memcmp(a, b, sizeof(a)) != 0);
    for (unsigned i = 1; i < 64; i++) KT_CHECK(a[i] != a[0]);
}

KT_TEST(random_edges) {
    KT_EQUAL(kpio_random_get(KT_KERNEL_ADDRESS, 0), 0);
    KT_ERROR(kpio_random_get(KT_KERNEL_ADDRESS, 8), EFAULT);
    KT_ERROR(kpio_random_get(KT_UNMAPPED_ADDRESS, 8), EFAULT);
}

KT_TEST(unknown_system_calls_are_enosys) {
    static const uint64_t numbers[] = {0, 1, 39, 231, 0xfff, 0x1000 + SYSCALL_COUNT, 0x2000, UINT32_MAX, 1ull << 32,
                                       1ull << 32 | 0x1000, UINT64_MAX, 1ull << 63};
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t result = (int64_t)numbers[i];
        __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "rdx", "rsi", "rdi", "r8", "r9", "r10", "memory");
        KT_EQUAL(result, -ENOSYS);
    }
}

KT_TEST(nop_is_nothing) { KT_EQUAL(kpio_nop(), 0); }

KT_TEST(system_handle_rights) {
    struct kpio_system_info info;
    kpio_handle narrow = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_LOG));
    KT_ERROR(kpio_system_info(narrow, &info), EACCES);
    KT_ERROR(kpio_system_power(narrow, 0), EACCES);
    KT_ERROR(kpio_system_info(kt_job(), &info), EWRONGTYPE);
    KT_ERROR(kpio_system_info(kt_system(), KT_KERNEL_ADDRESS), EFAULT);
    KT_ERROR(kpio_system_power(kt_system(), 77), EINVAL);
    KT_ERROR(kpio_console_write(narrow, KT_UNMAPPED_ADDRESS, 10), EFAULT);
    kt_close(narrow);
}

// Loaders that set one up are those of images; the host says so: kpio.framebuffer=1.
KT_TEST(the_boot_framebuffer_can_be_drawn_on) {
    struct {
        uint64_t base, size, width, height, pitch, bits;
    } mode = {0};
    int64_t bytes = KT_OK(kpio_system_boot_info(kt_system(), 1, &mode, sizeof(mode)));
    kpio_handle framebuffer = startup_handle("framebuffer");
    KT_EQUAL(bytes != 0, kt_setting("framebuffer", 0));
    KT_EQUAL(framebuffer != KPIO_HANDLE_NONE, bytes != 0);
    if (bytes == 0) return;
    KT_CHECK(mode.width > 0 && mode.height > 0 && mode.pitch * mode.height <= mode.size && mode.bits == 32);
    KT_ERROR(kpio_mmio_create(kt_system(), mode.base, mode.size), EBUSY);  // it is init's
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(startup_handle("aspace"), framebuffer, 0, mode.size,
                                                  KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    for (uint64_t y = 0; y < mode.height; y += mode.height - 1)
        for (uint64_t x = 0; x < mode.width; x += mode.width - 1) {
            volatile uint32_t *pixel = (volatile uint32_t *)(at + y * mode.pitch + x * 4);
            *pixel = 0x00123456;
            KT_EQUAL(*pixel, 0x00123456u);
        }
    KT_EQUAL(kpio_aspace_unmap(startup_handle("aspace"), at, mode.size), 0);
}

KT_TEST(kernel_log_can_be_read) {
    static char text[4096];
    uint64_t position = 0;
    int64_t length = KT_OK(kpio_log_read(kt_system(), &position, text, sizeof(text)));
    KT_CHECK(length > 0);
    KT_CHECK(position >= (uint64_t)length);
}
