#include "kernel/hal/ecam.h"

#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"
#include "kernel/core/spinlock.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define BUS_SIZE (1ul << 20)

static struct mem_range window;          // of buses 0 .. window.size / BUS_SIZE - 1
static uint8_t *bus_registers[256];      // mapped when a bus is first looked at

// ---- the window ---------------------------------------------------------------------------------------------------------

static volatile uint8_t *register_of(uint16_t address, uint32_t offset) {
    unsigned bus = address >> 8;
    if ((bus + 1) * BUS_SIZE > window.size) return NULL;
    if (bus_registers[bus] == NULL) bus_registers[bus] = vmap_boot(paddr(window.base + bus * BUS_SIZE), BUS_SIZE, true);
    if (bus_registers[bus] == NULL) return NULL;
    return bus_registers[bus] + ((uint32_t)(address & 0xff) << 12) + offset;
}

static uint32_t window_read(void *context, uint16_t address, uint32_t offset, unsigned size) {
    volatile uint8_t *at = register_of(address, offset);
    if (at == NULL) return UINT32_MAX >> (32 - 8 * size);
    return size == 1 ? *at : size == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
}

static void window_write(void *context, uint16_t address, uint32_t offset, unsigned size, uint32_t value) {
    volatile uint8_t *at = register_of(address, offset);
    if (at == NULL) return;
    if (size == 1) *at = (uint8_t)value;
    else if (size == 2) *(volatile uint16_t *)at = (uint16_t)value;
    else *(volatile uint32_t *)at = value;
}

// ---- the ports ----------------------------------------------------------------------------------------------------------

static struct spinlock ports_lock = SPINLOCK_INIT("pci-ports");

static void port_select(uint16_t address, uint32_t offset) {
    uint32_t word = 1u << 31 | (uint32_t)address << 8 | (offset & 0xfc);
    __asm__ volatile("outl %0, %1" : : "a"(word), "Nd"((uint16_t)PORT_ADDRESS));
}

static uint32_t port_read(void *context, uint16_t address, uint32_t offset, unsigned size) {
    uint32_t word;
    spin_lock(&ports_lock);
    port_select(address, offset);
    __asm__ volatile("inl %1, %0" : "=a"(word) : "Nd"((uint16_t)PORT_DATA));
    spin_unlock(&ports_lock);
    return word >> 8 * (offset & 3) & UINT32_MAX >> (32 - 8 * size);
}

static void port_write(void *context, uint16_t address, uint32_t offset, unsigned size, uint32_t value) {
    uint16_t port = (uint16_t)(PORT_DATA + (offset & 3));
    spin_lock(&ports_lock);
    port_select(address, offset);
    if (size == 1) __asm__ volatile("outb %b0, %1" : : "a"(value), "Nd"(port));
    else if (size == 2) __asm__ volatile("outw %w0, %1" : : "a"(value), "Nd"(port));
    else __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
    spin_unlock(&ports_lock);
}

// The address register keeps what is written to it where there is a PCI host bridge behind it.
static bool ports_answer(void) {
    uint32_t word = 1u << 31, back = 0;
    __asm__ volatile("outl %0, %1" : : "a"(word), "Nd"((uint16_t)PORT_ADDRESS));
    __asm__ volatile("inl %1, %0" : "=a"(back) : "Nd"((uint16_t)PORT_ADDRESS));
    return back == word;
}

static struct pci_config config;

// Of segment 0, which holds all devices of the machines that we know; a window that does not start with bus 0 is ignored.
static bool window_find(void) {
    struct acpi_ecam found;
    for (unsigned n = 0; acpi_mcfg(n, &found); n++) {
        if (found.segment != 0 || found.first_bus != 0) continue;
        window = (struct mem_range){found.base, (found.last_bus + 1ul) * BUS_SIZE};
        return true;
    }
    return false;
}

bool ecam_init(void) {
    if (window_find()) {
        config = (struct pci_config){.read = window_read, .write = window_write, .space = 4096};
        return true;
    }
    config = (struct pci_config){.read = port_read, .write = port_write, .space = 256};
    return ports_answer();
}

const struct pci_config *ecam_config(void) { return &config; }
struct mem_range ecam_range(void) { return window; }
