// A version that takes over is on trial until it is ready. One that ends before that, is not ready in time or cannot be started
// gives way to the version before, which gets its state as it was handed over: what became of it since is dropped.
#include "user/init/supervisor.h"

#include "lib/string.h"

// The new version writes to the state that it gets; a copy of it stays as it is.
static void state_rescue(struct supervised *s) {
    struct kpio_vmo_info info;
    if (s->saved == 0) return;
    int64_t copy = kpio_vmo_info(s->saved, &info);
    if (copy == 0) copy = kpio_vmo_clone(s->saved, KPIO_CLONE_SNAPSHOT, 0, info.size);
    if (copy > 0) s->rescued = (kpio_handle)copy;
    else print("init: %s: no copy of its state: %s\n", s->manifest.name, error_name(copy));
}

static void state_restore(struct supervised *s) {
    if (s->rescued == 0) return;
    if (s->saved > 0) (void)kpio_handle_close((uint64_t)s->saved);
    s->saved = s->rescued;
    s->rescued = KPIO_HANDLE_NONE;
}

void trial_begin(struct supervised *s) {
    if (s->on_trial) {  // the version before has never been ready either
        state_restore(s);
    } else {
        s->previous_version = s->version;
        memcpy(s->previous, s->program, sizeof(s->previous));
    }
    s->on_trial = s->manifest.serves;
    if (s->on_trial) state_rescue(s);
    s->version++;
    if (s->successor[0] == 0) return;
    memcpy(s->program, s->successor, sizeof(s->program));
    s->successor[0] = 0;
    print("init: %s: version %u is %s\n", s->manifest.name, s->version, s->program);
}

void trial_passed(struct supervised *s) {
    if (s->rescued > 0) (void)kpio_handle_close((uint64_t)s->rescued);
    s->rescued = KPIO_HANDLE_NONE;
    s->on_trial = false;
}

void trial_failed(struct supervised *s) {
    print("init: %s: version %u was never ready: back to version %u, %s\n", s->manifest.name, s->version, s->previous_version,
          s->previous);
    memcpy(s->program, s->previous, sizeof(s->program));
    s->version = s->previous_version;
    state_restore(s);
    s->on_trial = false;
}
