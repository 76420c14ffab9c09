// ps, jobs, handles, kill: a walk over the jobs from the root.
#include "lib/string.h"
#include "user/shell/shell.h"

#define JOBS_MAX 64u
#define IDS_MAX 128u

enum { LIST_JOBS = 0, LIST_PROCESSES = 1 };

struct walk {
    kpio_handle jobs[JOBS_MAX];  // still to visit; the root is the shell's own handle
    uint32_t depth[JOBS_MAX];
    uint32_t count;
};

// What to do with each job, and each process in it; a negative result ends the walk, a positive one too, without error.
struct visitor {
    int64_t (*job)(kpio_handle job, const struct kpio_job_info *info, uint32_t depth, void *context);
    int64_t (*process)(kpio_handle process, const struct kpio_process_info *info, void *context);
    void *context;
};

static int64_t push_children(struct walk *walk, kpio_handle job, uint32_t depth) {
    static uint64_t ids[IDS_MAX];
    int64_t count = kpio_job_list(job, LIST_JOBS, ids, IDS_MAX);
    if (count < 0) return count;
    for (int64_t i = 0; i < count && i < IDS_MAX && walk->count < JOBS_MAX; i++) {
        int64_t child = kpio_job_open(job, ids[i], KPIO_RIGHTS_SAME);
        if (child < 0) continue;  // gone meanwhile
        walk->depth[walk->count] = depth + 1;
        walk->jobs[walk->count++] = (kpio_handle)child;
    }
    return 0;
}

static int64_t visit_processes(kpio_handle job, const struct visitor *visitor) {
    static uint64_t ids[IDS_MAX];
    struct kpio_process_info info;
    int64_t count = kpio_job_list(job, LIST_PROCESSES, ids, IDS_MAX), result = 0;
    for (int64_t i = 0; i < count && i < IDS_MAX && result == 0; i++) {
        int64_t process = kpio_job_open(job, ids[i], KPIO_RIGHTS_SAME);
        if (process < 0) continue;
        if (kpio_process_info((kpio_handle)process, &info) == 0)
            result = visitor->process((kpio_handle)process, &info, visitor->context);
        (void)kpio_handle_close((uint64_t)process);
    }
    return count < 0 ? count : result;
}

static int64_t walk_jobs(const struct visitor *visitor) {
    static struct walk walk;
    struct kpio_job_info info;
    int64_t result = 0;
    walk.jobs[0] = startup_handle("job");
    walk.depth[0] = 0;
    walk.count = 1;
    while (walk.count > 0) {
        kpio_handle job = walk.jobs[--walk.count];
        uint32_t depth = walk.depth[walk.count];
        if (result == 0) result = kpio_job_info(job, &info);
        if (result == 0 && visitor->job != NULL) result = visitor->job(job, &info, depth, visitor->context);
        if (result == 0 && visitor->process != NULL) result = visit_processes(job, visitor);
        if (result == 0) result = push_children(&walk, job, depth);
        if (depth > 0) (void)kpio_handle_close((uint64_t)job);
    }
    return result < 0 ? result : 0;
}

static int64_t show_process(kpio_handle process, const struct kpio_process_info *info, void *context) {
    static const char *const states[] = {"new", "running", "dying", "dead"};
    print("%5lu %5lu  %-8s %7lu %7lu %8lu %8lu  %.32s\n", (unsigned long)info->id, (unsigned long)info->job_id,
          info->state < 4 ? states[info->state] : "?", (unsigned long)info->threads, (unsigned long)info->handles,
          (unsigned long)(info->pages * 4), (unsigned long)(info->cpu_ns / 1000000), info->name);
    return 0;
}

int64_t run_ps(unsigned count, char **words) {
    print("  pid   job  state    threads handles      KiB   cpu ms  name\n");
    return walk_jobs(&(struct visitor){.process = show_process});
}

static void show_use(uint64_t used, uint64_t limit) {
    if (limit == UINT64_MAX)
        print(" %9lu", (unsigned long)used);
    else
        print(" %9lu of %lu", (unsigned long)used, (unsigned long)limit);
}

static int64_t show_job(kpio_handle job, const struct kpio_job_info *info, uint32_t depth, void *context) {
    print("%5lu %5lu ", (unsigned long)info->id, (unsigned long)info->parent_id);
    show_use(info->used.pages, info->limit.pages);
    show_use(info->used.handles, info->limit.handles);
    show_use(info->used.threads, info->limit.threads);
    print("  %*s%.32s\n", (int)(2 * depth), "", info->name);
    return 0;
}

int64_t run_jobs(unsigned count, char **words) {
    print("   id in job      pages   handles   threads  name\n");
    return walk_jobs(&(struct visitor){.job = show_job});
}

// ---- one process by its id ------------------------------------------------------------------------------------------------
struct search {
    uint64_t id;
    int64_t (*act)(kpio_handle process);
    int64_t result;
};

static int64_t act_if_found(kpio_handle process, const struct kpio_process_info *info, void *context) {
    struct search *search = context;
    if (info->id != search->id) return 0;
    search->result = search->act(process);
    return 1;
}

static int64_t with_process(const char *word, int64_t (*act)(kpio_handle process)) {
    struct search search = {.act = act, .result = -ENOENT};
    int64_t result = word_number(word, &search.id);
    if (result == 0) result = walk_jobs(&(struct visitor){.process = act_if_found, .context = &search});
    return result < 0 ? result : search.result;
}

static int64_t kill_process(kpio_handle process) { return kpio_process_kill(process, (uint64_t)(int64_t)-ECANCELED); }
int64_t run_kill(unsigned count, char **words) { return with_process(words[1], kill_process); }

static int64_t show_handles(kpio_handle process) {
    static struct kpio_handle_info infos[256];
    char text[96];
    int64_t count = kpio_process_handles(process, infos, 256);
    if (count < 0) return count;
    print("  object  kind        children  badge             rights\n");
    for (int64_t i = 0; i < count && i < 256; i++)
        print("%8lu  %-10s %9u  %-16lx  %s\n", (unsigned long)infos[i].object_id, kind_name(infos[i].kind),
              infos[i].children, (unsigned long)infos[i].badge, rights_text(infos[i].rights, text, sizeof(text)));
    if (count > 256) print("... and %ld more\n", (long)(count - 256));
    return 0;
}
int64_t run_handles(unsigned count, char **words) { return with_process(words[1], show_handles); }
