// Memory filled with a word right after something died, while what it held is being freed: whoever still writes there,
// a device foremost, is caught.
#pragma once

// Takes memory in place of the oldest of the last few, which is checked and given back. Fails the case when one changed.
void kt_canary_place(void);
// Checks and gives back all.
void kt_canary_end(void);
