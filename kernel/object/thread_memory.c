#include "kernel/object/thread_memory.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/stack.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/vmo.h"
#include "lib/string.h"

static struct kmem_cache thread_cache;  // a thread with its extended state behind it

#define STATE_AT align_up(sizeof(struct thread_object), CACHE_LINE)

void thread_memory_init(void) { slub_cache_init(&thread_cache, "thread", STATE_AT + fpu_state_size, CACHE_LINE); }

uint32_t thread_memory_bytes(void) {
    return (uint32_t)(STATE_AT + fpu_state_size + (PAGE_SIZE << CONFIG_KERNEL_STACK_ORDER));
}

struct thread_object *thread_memory_object(void) {
    struct thread_object *t = slub_alloc(&thread_cache);
    if (t == NULL) return NULL;
    memset(t, 0, sizeof(*t));
    t->thread.fpu = (char *)t + STATE_AT;
    fpu_state_init(t->thread.fpu);
    return t;
}

// The block and the message page are a VMO of their own, so that whatever the process does with the mapping the kernel's
// view of the pages stays. A process keeps one that a thread left, mapped, for the next thread: that needs neither memory
// nor page tables, and the block alone is set anew (what is in the message page is the process's own).
int thread_pages_make(struct job *job, struct aspace *a, struct thread_pages *pages) {
    *pages = (struct thread_pages){0};
    int error = vmo_create_contiguous(job, KPIO_THREAD_BLOCK_SIZE, 0, &pages->vmo);
    if (error != 0) return error;
    pages->block = phys_to_virt(pages->vmo->base);
    pages->message = (char *)pages->block + PAGE_SIZE;
    const struct aspace_map request = {
        .vmo = pages->vmo,
        .size = KPIO_THREAD_BLOCK_SIZE,
        .flags = KPIO_MAP_READ | KPIO_MAP_WRITE | ASPACE_MAP_NO_CLONE,
        .max_prot = KPIO_MAP_READ | KPIO_MAP_WRITE,
    };
    int64_t address = aspace_map(a, &request);
    if (address < 0) {
        thread_pages_drop(a, pages);
        return (int)address;
    }
    pages->user = (uint64_t)address;
    return 0;
}

void thread_pages_drop(struct aspace *a, struct thread_pages *pages) {
    if (pages->vmo == NULL) return;
    if (pages->user != 0) (void)aspace_unmap(a, pages->user, KPIO_THREAD_BLOCK_SIZE);
    vmo_put(pages->vmo);
    *pages = (struct thread_pages){0};
}

void thread_pages_give(struct thread_object *t, const struct thread_pages *pages) {
    t->pages = *pages;
    t->thread.block = pages->block;
    t->thread.message_page = pages->message;
    pages->block->self = pages->user;
    pages->block->message = pages->user + PAGE_SIZE;
    pages->block->thread_id = t->object.id;
    pages->block->process_id = t->thread.process->id;
}

static bool pages_reuse(struct process *p, struct aspace *a, struct thread_pages *pages) {
    spin_lock(&p->lock);
    bool take = p->spare.vmo != NULL && p->aspace == a;
    if (take) {
        *pages = p->spare;
        p->spare.vmo = NULL;
    }
    spin_unlock(&p->lock);
    if (!take) return false;
    if (!aspace_shows(a, pages->user, KPIO_THREAD_BLOCK_SIZE, pages->vmo)) {  // the process has put something else there
        vmo_put(pages->vmo);
        return false;
    }
    memset(pages->block, 0, sizeof(*pages->block));
    return true;
}

int thread_memory_alloc(struct thread_object *t) {
    struct process *p = t->thread.process;
    struct thread_pages pages;
    t->thread.stack_top = kernel_stack_alloc();
    if (t->thread.stack_top == 0) return -ENOMEM;
    int error = 0;
    if (!pages_reuse(p, t->thread.aspace, &pages)) error = thread_pages_make(p->job, t->thread.aspace, &pages);
    if (error != 0) thread_memory_free(t);
    else thread_pages_give(t, &pages);
    return error;
}

// Leaves them to the next thread, unless some are left already or there will be none.
static bool pages_keep(struct thread_object *t) {
    struct process *p = t->thread.process;
    if (t->pages.user == 0) return false;
    spin_lock(&p->lock);
    bool keep = p->spare.vmo == NULL && p->state <= KPIO_PROCESS_RUNNING && p->live_threads > 1 && p->exec == NULL &&
                p->aspace == t->thread.aspace;
    if (keep) p->spare = t->pages;
    spin_unlock(&p->lock);
    return keep;
}

void thread_memory_unmap(struct thread_object *t) {
    if (t->pages.vmo == NULL) return;
    if (pages_keep(t)) t->pages = (struct thread_pages){0};
    else thread_pages_drop(t->thread.aspace, &t->pages);
}

void thread_memory_free(struct thread_object *t) { kernel_stack_free(t->thread.stack_top); }
