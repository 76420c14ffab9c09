// What the kernel's start calls of this folder.
#pragma once

void ipc_init(void);  // caches of all kinds of objects here; after job_init
