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

static bool is_needed(const struct supervised *s, const struct supervised *other) {
    for (uint32_t i = 0; i < s->manifest.need_count; i++)
        if (text_equal(s->manifest.needs[i], text_of(other->manifest.family))) return true;
    return false;
}

static void say_what_lacks(const struct supervised *s) {
    for (size_t i = 0; i < supervisor.count; i++) {
        const struct supervised *need = &supervisor.services[i];
        enum readiness readiness = readiness_of(need);
        if (readiness == READY || !is_needed(s, need) || supervisor_has_no_work_for(need)) continue;
        const char *service = s->manifest.name, *name = need->manifest.name;
        const unsigned long patience_ms = (unsigned long)(s->manifest.patience / 1000000);
        if (readiness == ABSENT) print("init: %s: starts without %s, which does not run\n", service, name);
        else print("init: %s: starts without %s, which is not ready after %lu ms\n", service, name, patience_ms);
    }
}

bool needs_are_met(const struct supervised *s, uint64_t now) {
    for (size_t i = 0; i < supervisor.count && now < s->due; i++)
        if (readiness_of(&supervisor.services[i]) == COMING && is_needed(s, &supervisor.services[i])) return false;
    say_what_lacks(s);
    return true;
}
