#include "user/init/plan.h"

#include "lib/string.h"

// The next one from `i` on that a need of that name means.
static size_t find(const struct service_manifest *services, size_t count, size_t i, struct text name) {
    while (i < count && !text_equal(text_of(services[i].family), name)) i++;
    return i;
}

static bool is_placed(const uint32_t *order, size_t placed, size_t index) {
    for (size_t i = 0; i < placed; i++)
        if (order[i] == index) return true;
    return false;
}

enum readiness { READY, WAITS, NEVER };

static enum readiness check_needs(const struct service_manifest *services, size_t count, size_t index,
                                  const uint32_t *order, size_t placed, const char *wrong[]) {
    enum readiness result = READY;
    for (uint32_t n = 0; n < services[index].need_count; n++) {
        size_t need = find(services, count, 0, services[index].needs[n]);
        if (need == count) {
            wrong[index] = "needs a service that does not exist";
            return NEVER;
        }
        for (; need < count; need = find(services, count, need + 1, services[index].needs[n])) {
            if (wrong[need] != NULL) {
                wrong[index] = "needs a service that was refused";
                return NEVER;
            }
            if (!is_placed(order, placed, need)) result = WAITS;
        }
    }
    return result;
}

size_t plan_order(const struct service_manifest *services, size_t count, const bool *refused, uint32_t order[SERVICES_MAX],
                  const char *wrong[SERVICES_MAX]) {
    size_t placed = 0;
    bool moved = true;

    for (size_t i = 0; i < count; i++) wrong[i] = refused != NULL && refused[i] ? "refused" : NULL;
    while (moved) {  // each pass places or refuses one at least
        moved = false;
        for (size_t i = 0; i < count; i++) {
            if (wrong[i] != NULL || is_placed(order, placed, i)) continue;
            enum readiness readiness = check_needs(services, count, i, order, placed, wrong);
            if (readiness == READY) order[placed++] = (uint32_t)i;
            moved |= readiness != WAITS;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (wrong[i] == NULL && !is_placed(order, placed, i)) wrong[i] = "needs itself, through others or directly";
    return placed;
}

uint64_t backoff_ended(struct backoff *backoff, uint64_t ran) {
    if (ran >= BACKOFF_RAN_LONG) {
        backoff->next = 0;
        backoff->in_a_row = 0;
    }
    backoff->in_a_row++;
    uint64_t delay = backoff->next != 0 ? backoff->next : backoff->first;
    backoff->next = delay > backoff->longest / 2 ? backoff->longest : delay * 2;
    return delay;
}
