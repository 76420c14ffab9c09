// The disk in memory that a boot loader brought (boot_info.disk): a CD's root file system.
#pragma once

// Registers it as "ram0", with its partitions, if there is one. Called once.
void ramdisk_init(void);
