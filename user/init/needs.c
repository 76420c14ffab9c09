// A service starts once those that it needs are ready. It does not wait for one that will not come (failed, refused,
// stopped), nor longer than its patience: then it starts without, which the log says, and finds out when it calls.
#include "user/init/supervisor.h"

enum readiness { READY, COMING, ABSENT };

static enum readiness readiness_of(const struct supervised *s) {
    switch (s->state) {
    case SERVICE_RUNNING: return s->replacing || s->hung ? COMING : READY;
    case SERVICE_STARTING:
    case SERVICE_WAITING:
    case SERVICE_NEEDING: return COMING;
    default: return ABSENT;
    }
}

static const struct supervised *needed(const struct supervised *s, uint32_t i) {
    char name[SERVICE_NAME_MAX + 1];
    return text_copy(name, sizeof(name), s->manifest.needs[i]) ? supervisor_find(name) : NULL;
}

static void say_what_lacks(const struct supervised *s) {
    for (uint32_t i = 0; i < s->manifest.need_count; i++) {
        const struct supervised *need = needed(s, i);
        enum readiness readiness = need != NULL ? readiness_of(need) : ABSENT;
        if (readiness == READY) continue;
        print("init: %s: starts without %.*s, which ", s->manifest.name, TEXT_ARG(s->manifest.needs[i]));
        if (readiness == ABSENT) print("does not run\n");
        else print("is not ready after %lu ms\n", (unsigned long)(s->manifest.patience / 1000000));
    }
}

bool needs_are_met(const struct supervised *s, uint64_t now) {
    for (uint32_t i = 0; i < s->manifest.need_count && now < s->due; i++) {
        const struct supervised *need = needed(s, i);
        if (need != NULL && readiness_of(need) == COMING) return false;
    }
    say_what_lacks(s);
    return true;
}
