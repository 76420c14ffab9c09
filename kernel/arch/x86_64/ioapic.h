// I/O APICs: from global system interrupts to vectors. See arch_gsi_route and arch_gsi_mask in arch.h.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// One I/O APIC of the MADT. Bad ones are reported and ignored.
void ioapic_add(uint64_t base, uint32_t gsi_base);
// An ISA interrupt that arrives elsewhere or with another polarity or trigger.
void ioapic_add_override(uint8_t isa, uint32_t gsi, bool level, bool active_low);
// Where an ISA interrupt arrives.
void ioapic_isa(uint8_t isa, uint32_t *gsi, bool *level, bool *active_low);
// Masks the two 8259s.
void pic_disable(void);
