#include "kernel/fs/vfs/test/power_cuts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void power_log_free(struct power_log *log)
{
    recorder_free(&log->record);
    power_events_free(&log->events);
    free(log->medium);
}

static int by_value(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static bool orders(const struct recorded *r) { return r->op == BLOCK_FLUSH || r->flags & BLOCK_FUA; }

static bool writes(const struct recorded *r, uint64_t sector)
{
    return r->op == BLOCK_WRITE && r->sector <= sector && r->sector + r->bytes / SECTOR_SIZE > sector;
}

// A quarter right after a flush or a write that is one, a quarter right before one, a quarter with the plan's sector on its
// way, and a quarter anywhere; in order.
static size_t *choose_cuts(const struct power_log *log, const struct power_plan *plan, uint64_t *random)
{
    size_t *chosen = malloc(plan->cuts * sizeof *chosen), count = log->record.count;

    if (chosen == NULL)
        abort();
    for (unsigned i = 0; i < plan->cuts; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        size_t at = (*random >> 33) % count;

        for (size_t steps = 0; i % 4 == 2 && steps < count && !writes(&log->record.log[at], plan->sector); steps++)
            at = (at + 1) % count;
        while (i % 4 < 2 && at + 1 < count && !orders(&log->record.log[at]))
            at++;
        chosen[i] = at + (i % 4 == 0);
    }
    qsort(chosen, plan->cuts, sizeof *chosen, by_value);
    return chosen;
}

static void *memory(uint64_t bytes)
{
    void *made = malloc(bytes);

    if (made == NULL)
        abort();
    return made;
}

static const char *const mode_names[] = {"all arrived", "only what is certain", "some writes", "some sectors", "one write torn"};

unsigned power_check_cuts(const struct power_log *log, const struct power_plan *plan)
{
    struct power_cut cut;
    uint64_t random = plan->seed;
    unsigned faults = 0;
    bool progress = getenv("KPIO_PROGRESS") != NULL;
    uint8_t *image = memory(log->bytes), *medium = memory(log->bytes);

    memcpy(medium, log->medium, log->bytes);
    size_t *chosen = choose_cuts(log, plan, &random);
    power_cut_begin(&cut, &log->record, medium);
    for (unsigned i = 0; i < plan->cuts && faults < plan->enough; i++) {
        struct power_model *model = power_model_at(&log->events, chosen[i]);
        enum cut_mode mode = (enum cut_mode)((i * 7 + plan->seed) % CUT_MODES);
        char text[POWER_FAULT_ROOM] = "";

        power_cut_advance(&cut, chosen[i]);
        power_cut_image(&cut, mode, plan->seed + i, image, log->bytes);
        plan->judge(plan->context, model, image, log->bytes, text);
        power_model_free(model);
        if (text[0] != 0 && faults++ < 5 && !plan->quiet)
            printf("cut at request %zu of %zu (%s): %s\n", chosen[i], log->record.count, mode_names[mode], text);
        if (progress && (i + 1) % 10 == 0)
            printf("PROGRESS %u of %u cuts, %u faults\n", i + 1, plan->cuts, faults), fflush(stdout);
    }
    free(chosen);
    free(image);
    free(medium);
    return faults;
}
