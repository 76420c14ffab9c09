// Locks that sleep, for host tests with one thread: a lock that is taken while it is held would wait for ever, so it is a
// failure here.
#include "kernel/core/assert.h"
#include "kernel/sched/mutex.h"

#define weak __attribute__((weak))
#define HELD ((struct thread *)8)

weak void mutex_init(struct mutex *m, const char *name) { m->owner = NULL, (void)name; }
weak bool mutex_is_held(const struct mutex *m) { return m->owner != NULL; }
weak void mutex_lock(struct mutex *m)
{
    verify(m->owner == NULL);
    m->owner = HELD;
}
weak int mutex_lock_killable(struct mutex *m)
{
    mutex_lock(m);
    return 0;
}
weak bool mutex_trylock(struct mutex *m)
{
    if (m->owner != NULL)
        return false;
    m->owner = HELD;
    return true;
}
weak void mutex_unlock(struct mutex *m)
{
    verify(m->owner != NULL);
    m->owner = NULL;
}

weak void rw_mutex_init(struct rw_mutex *m, const char *name) { m->readers = 0, m->writing = false, (void)name; }
weak void rw_mutex_lock_shared(struct rw_mutex *m)
{
    verify(!m->writing);
    m->readers++;
}
weak void rw_mutex_unlock_shared(struct rw_mutex *m)
{
    verify(m->readers > 0);
    m->readers--;
}
weak void rw_mutex_lock(struct rw_mutex *m)
{
    verify(!m->writing && m->readers == 0);
    m->writing = true;
}
weak int rw_mutex_lock_shared_killable(struct rw_mutex *m)
{
    rw_mutex_lock_shared(m);
    return 0;
}
weak int rw_mutex_lock_killable(struct rw_mutex *m)
{
    rw_mutex_lock(m);
    return 0;
}
weak void rw_mutex_unlock(struct rw_mutex *m)
{
    verify(m->writing);
    m->writing = false;
}
weak void rw_mutex_downgrade(struct rw_mutex *m)
{
    rw_mutex_unlock(m);
    rw_mutex_lock_shared(m);
}

weak void completion_init(struct completion *c, const char *name) { c->done = false, (void)name; }
weak void completion_signal(struct completion *c) { c->done = true; }
weak void completion_wait(struct completion *c) { verify(c->done); }
