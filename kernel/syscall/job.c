#include "kernel/object/id.h"
#include "kernel/sched/sched.h"
#include "kernel/syscall/args.h"

int64_t sys_job_create(uint64_t parent, uint64_t limits_at, uint64_t name_at, uint64_t name_len, uint64_t e, uint64_t f) {
    struct object *o;
    struct kpio_job_limits limits;
    char name[KPIO_NAME_MAX + 1];
    int error = syscall_get(parent, KPIO_KIND_JOB, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    error = syscall_read_name(name_at, name_len, name);
    if (!error && copy_from_user(&limits, user_ptr(limits_at), sizeof(limits)) != 0) error = -EFAULT;
    struct job *job = NULL;
    if (!error) error = job_create(job_of(o), &limits, name, &job);
    object_put(o);
    return error ? error : handle_install(&job->object);
}

int64_t sys_job_set_limits(uint64_t job, uint64_t limits_at, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    struct kpio_job_limits limits;
    int error = syscall_get(job, KPIO_KIND_JOB, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    if (copy_from_user(&limits, user_ptr(limits_at), sizeof(limits)) != 0) error = -EFAULT;
    else job_set_limits(job_of(o), &limits);
    object_put(o);
    return error;
}

int64_t sys_job_info(uint64_t job, uint64_t info_at, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)job, KPIO_KIND_JOB, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_job_info info;
    job_get_info(job_of(o), &info);
    return copy_to_user(user_ptr(info_at), &info, sizeof(info));
}

int64_t sys_job_kill(uint64_t job, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(job, KPIO_KIND_JOB, KPIO_RIGHT_KILL, &o);
    if (error) return error;
    job_kill(job_of(o));
    object_put(o);
    return 0;
}

enum { LIST_JOBS, LIST_PROCESSES, LIST_THREADS, LIST_COUNT };

// Whether o is what a listing of `job` asks for.
static bool listed(const struct object *o, const struct job *job, uint64_t what) {
    switch (o->kind) {
    case KPIO_KIND_JOB: return what == LIST_JOBS && container_of(o, const struct job, object)->parent == job;
    case KPIO_KIND_PROCESS: {
        const struct process *p = container_of(o, const struct process, object);
        return what == LIST_PROCESSES && p->job == job && p->state != KPIO_PROCESS_DEAD;
    }
    case KPIO_KIND_THREAD: {
        const struct thread_object *t = container_of(o, const struct thread_object, object);
        return what == LIST_THREADS && t->thread.process->job == job && !t->gone;
    }
    default: return false;
    }
}

#define LIST_BATCH 64

int64_t sys_job_list(uint64_t job, uint64_t what, uint64_t ids_at, uint64_t count, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(job, KPIO_KIND_JOB, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    if ((uint32_t)what >= LIST_COUNT) {
        object_put(o);
        return -EINVAL;
    }
    uint64_t ids[LIST_BATCH], found = 0, written = 0;
    uint32_t cursor = 0, batch = 0;
    bool more = true;
    while (more && !error) {
        struct object *each = id_next(&cursor, &more);
        if (each != NULL && listed(each, job_of(o), (uint32_t)what)) {
            found++;
            if (written + batch < count) ids[batch++] = each->id;
        }
        // `each` is not used beyond this: an empty stretch or a full batch is a place to let others run.
        bool pause = each == NULL || batch == LIST_BATCH;
        if (pause && batch > 0) {
            if (copy_to_user(user_ptr(ids_at + written * sizeof(ids[0])), ids, batch * sizeof(ids[0])) != 0)
                error = -EFAULT;
            written += batch;
            batch = 0;
        }
        if (pause && sched_preempt_point()) break;
    }
    object_put(o);
    return error ? error : (int64_t)found;
}

// Takes a reference to the job or process of that id if it is below `job`.
static struct object *find_below(uint64_t id, const struct job *job) {
    struct object *o = id_find(id);
    if (o == NULL) return NULL;
    const struct job *at = o->kind == KPIO_KIND_JOB       ? job_of(o)->parent
                           : o->kind == KPIO_KIND_PROCESS ? process_of(o)->job
                                                          : NULL;
    return at != NULL && job_is_within(at, job) && object_tryget(o) ? o : NULL;
}

int64_t sys_job_open(uint64_t job, uint64_t id, uint64_t rights, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)job, KPIO_KIND_JOB, KPIO_RIGHT_INSPECT, &h);
    if (error) return error;
    uint32_t asked = (uint32_t)rights, most = h->rights;
    struct object *o = find_below(id, job_of(h->object));
    if (o == NULL) return -ENOENT;
    // What a job handle allows, it allows on what is in the job: READ and the like come with INSPECT.
    if (o->kind == KPIO_KIND_PROCESS) most |= KPIO_RIGHT_READ;
    most &= o->ops->rights;
    if (asked != KPIO_RIGHTS_SAME && (asked & ~most) != 0) {
        object_put(o);
        return -EINVAL;
    }
    return handle_install_in(&current_process()->handles, o, asked == KPIO_RIGHTS_SAME ? most : asked);
}
