// Drivers of one file and one directory, each with one flaw, as what they answer: run by native drivers of the suite and by one in
// WebAssembly (tests/wasm/fs), so it needs nothing but the protocol.
#pragma once
#include "abi/fuse.h"

#define FLAWED_HANGS INT64_MIN      // it does not answer this one, nor any other from now on
#define FLAWED_SILENT INT64_MAX     // nothing is sent

struct flawed_call {
    const struct fuse_in_header *header;
    const void *body;               // behind the header, followed by a NUL
    uint8_t *reply;                 // where the reply's body goes
};
// Bytes of the reply's body, a negative errno, or one of the above. INIT, DESTROY and INTERRUPT do not come here. Flaws are texts;
// "honest" has none.
int64_t flawed_answer(const char *flaw, const struct flawed_call *call);
// A stateless driver of one file, whose content follows from the place.
int64_t one_file_answer(const struct flawed_call *call);
// One that hangs when it is to write.
int64_t no_writes_answer(const struct flawed_call *call);
