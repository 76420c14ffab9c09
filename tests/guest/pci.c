// PCI functions, device registers, DMA memory and interrupts: what the calls refuse, and what the end of a function takes.
#include "tests/guest/kt/driver.h"

#define RNG (0x1af4u | 0x1044u << 16)
#define LEAST_MMIO 0x1000

static kpio_handle open_rng(void) {
    if (kt_device_find(RNG, 0) < 0) kt_skip("this machine has no such PCI device");
    int64_t address = KT_OK(kt_device_find(RNG, 0));
    return KT_HANDLE(kpio_pci_open(kt_system(), (uint64_t)address));
}

// The first BAR that is there.
static kpio_handle open_bar(kpio_handle pci) {
    for (uint32_t i = 0; i < 6; i++) {
        int64_t bar = kpio_pci_bar(pci, i);
        if (bar <= 0) continue;
        int64_t at = kpio_aspace_map(kt_aspace(), (kpio_handle)bar, 0, LEAST_MMIO, KPIO_MAP_READ, 0);
        if (at > 0) {
            KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, LEAST_MMIO), 0);
            return (kpio_handle)bar;
        }
        KT_ERROR(at, EPERM);  // the MSI-X table
        kt_close((kpio_handle)bar);
    }
    kt_fail(__FILE__, __LINE__, "no BAR can be mapped");
}

KT_TEST(list) {
    uint64_t all[64], one[1];
    int64_t count = kpio_pci_list(kt_system(), all, 64);
    KT_CHECK(count >= 0);
    if (count == 0) kt_skip("this machine has no PCI");
    KT_EQUAL(kpio_pci_list(kt_system(), one, 1), count);
    KT_EQUAL(one[0], all[0]);
    KT_EQUAL(kpio_pci_list(kt_system(), NULL, 0), count);
    KT_ERROR(kpio_pci_list(kt_system(), KT_KERNEL_ADDRESS, 64), EFAULT);
    KT_ERROR(kpio_pci_list(kt_job(), all, 64), EWRONGTYPE);
}

KT_TEST(open_one_at_a_time) {
    kpio_handle pci = open_rng();
    uint64_t address = (uint64_t)kt_device_find(RNG, 0);
    KT_ERROR(kpio_pci_open(kt_system(), address), EBUSY);
    KT_ERROR(kpio_pci_open(kt_system(), 0xfff8), ENOENT);
    KT_ERROR(kpio_pci_open(kt_system(), 1ull << 40), ENOENT);
    kt_close(pci);
    pci = KT_HANDLE(kpio_pci_open(kt_system(), address));  // waits for the reset
    kt_close(pci);
}

KT_TEST(bridges_belong_to_the_kernel) {
    uint64_t all[64];
    int64_t count = kpio_pci_list(kt_system(), all, 64);
    for (int64_t i = 0; i < count && i < 64; i++)
        if (all[i] >> 56 == 6) KT_ERROR(kpio_pci_open(kt_system(), all[i] & 0xffff), EBUSY);
}

KT_TEST(needs_the_right) {
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_LOG));
    uint64_t all[4];
    KT_ERROR(kpio_pci_list(weak, all, 4), EACCES);
    KT_ERROR(kpio_pci_open(weak, 0), EACCES);
    KT_ERROR(kpio_mmio_create(weak, 0xa0000, 4096), EACCES);
    KT_ERROR(kpio_irq_create(weak, 5, 0), EACCES);
    kt_close(weak);
}

KT_TEST(configuration_space) {
    kpio_handle pci = open_rng();
    KT_EQUAL(kpio_pci_config_read(pci, 0, 4), RNG);
    KT_EQUAL(kpio_pci_config_read(pci, 2, 2), RNG >> 16);
    KT_ERROR(kpio_pci_config_read(pci, 0, 3), EINVAL);
    KT_ERROR(kpio_pci_config_read(pci, 1, 2), EINVAL);
    KT_ERROR(kpio_pci_config_read(pci, 4096, 4), EINVAL);
    KT_ERROR(kpio_pci_config_read(pci, UINT32_MAX - 3, 4), EINVAL);
    for (uint32_t offset = 0x10; offset < 0x28; offset += 4) KT_ERROR(kpio_pci_config_write(pci, offset, 4, 0), EPERM);
    KT_ERROR(kpio_pci_config_write(pci, 4, 2, 6), EPERM);     // bus mastering
    KT_ERROR(kpio_pci_config_write(pci, 0x30, 4, 1), EPERM);  // ROM
    for (uint32_t offset = 0x40; offset < 0x100; offset += 4) KT_ERROR(kpio_pci_config_write(pci, offset, 4, 0), EPERM);
    KT_EQUAL(kpio_pci_config_write(pci, 0xc, 1, 16), 0);
    kt_close(pci);
}

KT_TEST(registers) {
    kpio_handle pci = open_rng();
    KT_ERROR(kpio_pci_bar(pci, 6), EINVAL);
    KT_ERROR(kpio_pci_bar(pci, UINT32_MAX), EINVAL);
    KT_ERROR(kpio_pci_bar(pci, 2), ENOENT);
    kpio_handle bar = open_bar(pci);
    KT_ERROR(kpio_aspace_map(kt_aspace(), bar, 1ull << 40, 4096, KPIO_MAP_READ, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), bar, 0, 1ull << 40, KPIO_MAP_READ, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), bar, 0, 4096, KPIO_MAP_READ | KPIO_MAP_EXECUTE, 0), EACCES);
    KT_ERROR(kpio_vmo_read(bar, 0, &pci, 4), EWRONGTYPE);
    kt_close(bar);
    kt_close(pci);
}

static uint32_t read_register(uint64_t at) { return *(volatile uint32_t *)at; }

KT_CHILD(touches_registers) {
    int64_t at = kpio_aspace_map(startup_handle("aspace"), startup_handle("bar"), 0, LEAST_MMIO, KPIO_MAP_READ, 0);
    if (at < 0) return 1;
    (void)read_register((uint64_t)at);
    (void)kpio_event_signal(startup_handle("ready"), 0, 1);
    for (;;) {
        (void)read_register((uint64_t)at);
        time_sleep_ms(1);
    }
}

KT_TEST(registers_go_with_the_function) {
    kpio_handle pci = open_rng(), bar = open_bar(pci), ready = KT_HANDLE(kpio_event_create());
    const struct process_grant grants[] = {{"bar", bar, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
                                           {"ready", ready, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    kpio_handle child = kt_spawn("touches_registers", grants, 2);
    KT_EQUAL(kpio_event_wait(ready, 1, 0, kt_soon()), 1);
    kt_close(pci);  // the driver is gone; somebody else still has its registers mapped
    int64_t status = kt_wait(child);
    KT_CHECK(status != 0 && status != 1);  // a fault ended it
    KT_ERROR(kpio_aspace_map(kt_aspace(), bar, 0, LEAST_MMIO, KPIO_MAP_READ, 0), EDESTROYED);
    kt_close(bar);
    kt_close(ready);
}

KT_TEST(revoking_the_function_takes_what_came_from_it) {
    uint64_t address;
    kpio_handle pci = open_rng(), bar = open_bar(pci);
    kpio_handle dma = KT_HANDLE(kpio_dma_create(pci, 4096, 0, &address)), irq = KT_HANDLE(kpio_pci_irq(pci, 0));
    int64_t ended = KT_OK(kpio_handle_revoke(pci, 1));
    KT_CHECK(ended >= 4);
    KT_ERROR(kpio_irq_wait(irq, 0), EBADF);
    KT_ERROR(kpio_handle_close((uint64_t)bar), EBADF);
    KT_ERROR(kpio_handle_close((uint64_t)dma), EBADF);
    pci = open_rng();
    kt_close(pci);
}

KT_TEST(dma_memory) {
    kpio_handle pci = open_rng();
    uint64_t address = 1;
    KT_ERROR(kpio_dma_create(pci, 0, 0, &address), EINVAL);
    KT_ERROR(kpio_dma_create(pci, 1ull << 40, 0, &address), EINVAL);
    KT_ERROR(kpio_dma_create(pci, 4096, 0x80, &address), EINVAL);
    KT_ERROR(kpio_dma_create(pci, 4096, 0, KT_KERNEL_ADDRESS), EFAULT);
    KT_ERROR(kpio_dma_create(kt_job(), 4096, 0, &address), EWRONGTYPE);
    KT_EQUAL(address, 1);
    kpio_handle dma = KT_HANDLE(kpio_dma_create(pci, 3 * 4096 + 1, 1, &address));
    KT_CHECK(address % 4096 == 0 && address < 1ull << 32);
    int64_t at = KT_OK(kpio_aspace_map(kt_aspace(), dma, 0, 4 * 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    for (unsigned i = 0; i < 4 * 4096; i++) KT_CHECK(((volatile uint8_t *)at)[i] == 0);
    KT_ERROR(kpio_aspace_map(kt_aspace(), dma, 0, 5 * 4096, KPIO_MAP_READ, 0), EINVAL);
    KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, 4 * 4096), 0);
    kt_close(dma);
    kt_close(pci);
}

KT_TEST(dma_memory_outlives_its_handle_until_the_reset) {
    kpio_handle pci = open_rng();
    struct kpio_system_info info;
    uint64_t address;
    kt_close(KT_HANDLE(kpio_dma_create(pci, 64 * 4096, 0, &address)));
    KT_EQUAL(kpio_system_info(kt_system(), &info), 0);
    KT_EQUAL(info.objects[KPIO_KIND_DMA], 1);  // the device may still write there
    KT_EQUAL(kpio_pci_reset(pci), 0);
    KT_EQUAL(kpio_system_info(kt_system(), &info), 0);
    KT_EQUAL(info.objects[KPIO_KIND_DMA], 0);
    kt_close(pci);
}

KT_TEST(interrupts) {
    kpio_handle pci = open_rng();
    KT_ERROR(kpio_pci_irq(pci, 4096), EINVAL);
    kpio_handle irq = KT_HANDLE(kpio_pci_irq(pci, 0));
    KT_ERROR(kpio_pci_irq(pci, 0), EBUSY);
    KT_ERROR(kpio_irq_wait(irq, 1), ETIMEDOUT);
    KT_EQUAL(kpio_irq_ack(irq), 0);
    kt_close(irq);
    irq = KT_HANDLE(kpio_pci_irq(pci, 0));  // again, once nobody has it
    kt_close(irq);
    kt_close(pci);
    KT_ERROR(kpio_irq_create(kt_system(), 100000, 0), EINVAL);
    KT_ERROR(kpio_irq_create(kt_system(), 5, 0x10), EINVAL);
}

KT_TEST(waiting_for_an_interrupt_ends_with_the_function) {
    kpio_handle pci = open_rng(), irq = KT_HANDLE(kpio_pci_irq(pci, 0));
    kt_close(pci);
    int64_t result = kpio_irq_wait(irq, kt_soon());
    KT_ERROR(result, EDESTROYED);
    kt_close(irq);
}

KT_TEST(device_memory_is_no_back_door) {
    KT_ERROR(kpio_mmio_create(kt_system(), 0x100000, 4096), EINVAL);      // RAM
    KT_ERROR(kpio_mmio_create(kt_system(), 0xfee00000, 4096), EINVAL);    // the local APIC
    KT_ERROR(kpio_mmio_create(kt_system(), 0xfec00000, 4096), EINVAL);    // an I/O APIC
    KT_ERROR(kpio_mmio_create(kt_system(), 0xb0000000, 4096), EINVAL);    // configuration space
    KT_ERROR(kpio_mmio_create(kt_system(), 0, 1ull << 40), EINVAL);
    KT_ERROR(kpio_mmio_create(kt_system(), UINT64_MAX - 4095, 8192), EINVAL);
    KT_ERROR(kpio_mmio_create(kt_system(), 1, 1), EINVAL);
}

// ---- a function's handle that is closed while something is got through it -------------------------------------------------

static kpio_handle through;
static volatile bool stop;

static int64_t get_registers(void *arg) {
    while (!stop) {
        int64_t bar = kpio_pci_bar(__atomic_load_n(&through, __ATOMIC_RELAXED), 4);
        if (bar > 0) (void)kpio_handle_close((uint64_t)bar);
        else if (bar != -EBADF && bar != -EBUSY) return bar;
    }
    return 0;
}

KT_TEST(closing_what_is_got_through) {
    enum { THREADS = 3 };
    static struct thread threads[THREADS];
    kpio_handle pci = open_rng();
    through = KT_HANDLE(kpio_handle_dup(pci, KPIO_RIGHTS_SAME));
    stop = false;
    for (unsigned i = 0; i < THREADS; i++) KT_EQUAL(thread_spawn(&threads[i], "getter", get_registers, NULL, NULL, 0), 0);
    for (uint64_t end = time_after_ms(kt_long() ? 30000 : 1000); time_now() < end;) {
        kpio_handle next = KT_HANDLE(kpio_handle_dup(pci, KPIO_RIGHTS_SAME));
        kt_close(__atomic_exchange_n(&through, next, __ATOMIC_RELAXED));
    }
    stop = true;
    for (unsigned i = 0; i < THREADS; i++) {
        int64_t result = 1;
        KT_EQUAL(thread_join(&threads[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    kt_close(through);
    kt_close(pci);
}
