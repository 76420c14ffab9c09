// The longest stretches of kernel code without a moment in which an interrupt is taken: a wake-up on that CPU waits for so many
// instructions. A stretch ends with `sti`, and where user code runs. For a machine with one CPU.
#pragma once
#include "tests/bench/plugin/qemu_plugin_api.h"

#include <stdint.h>
#include <stdio.h>

// Looks at a block that is translated. Stretches of fewer than `least` instructions are not kept.
void stretch_translate(struct qemu_plugin_tb *tb);
void stretch_init(uint64_t least);
// ,"stretches":[{"length":…,"times":…,"began":[…],"most":[[address,instructions],…]},…]: one for each place where a stretch spends
// most of its time and each way there, the longest of those. `began`: the blocks that ran first.
void stretch_write(FILE *out);
