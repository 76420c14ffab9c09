// Access to configuration space: the memory-mapped window that ACPI's MCFG names, else the two I/O ports.
#pragma once
#include "kernel/arch/x86_64/arch.h"
#include "kernel/hal/pci_config.h"

// Finds the window. To be called once, before the others. False: this machine has no PCI.
bool ecam_init(void);
const struct pci_config *ecam_config(void);
// Physical addresses of the window; size 0: none.
struct mem_range ecam_range(void);
