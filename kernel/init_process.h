// The first process.
#pragma once

// Loads the program boot_options.init from the boot archive and starts it with the handles that abi/startup.h promises.
// False, after a message that names what is wrong and where, when it cannot.
[[nodiscard]] _Bool init_process_start(void);
