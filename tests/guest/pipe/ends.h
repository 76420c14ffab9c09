// Pipes of the cases here: one with both of its ends, and its end.
#pragma once
#include "tests/guest/kt/kt.h"

struct ends {
    kpio_handle reader, writer;
};

static inline struct ends make(uint32_t mode) {
    struct ends p = {};
    p.reader = KT_HANDLE(kpio_pipe_create(mode, 4096, &p.writer));
    return p;
}

static inline void end(struct ends p) {
    kt_close(p.reader);
    kt_close(p.writer);
}
