// The system object: a handle on it with the right rights is what lets a process see the whole machine, write to the
// console, switch it off. There is one.
#pragma once
#include "kernel/object/object.h"

extern struct object *system_object;
void system_object_init(void);

// TSC ticks from the first kernel instruction to init's first. Noted once, by the first thread that enters user mode.
extern uint64_t system_boot_ticks;
void system_note_boot(void);

// Finishes what is being freed. Blocks; no lock held.
void system_settle(void);
// What is being freed is still counted, unless system_settle came before.
void system_get_info(struct kpio_system_info *info);
