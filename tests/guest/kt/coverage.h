// Which basic blocks of a coverage build's kernel have run since boot, for the host to turn into lines.
#pragma once

// Prints lines `KCOV PLACE PLACE+ ...`: hexadecimal offsets in the kernel image, with + for those that ran. Nothing in
// builds without coverage.
void kt_print_coverage(void);
