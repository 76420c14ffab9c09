#include "user/libkpio/thread.h"

#include "lib/string.h"
#include "user/libkpio/startup.h"
#include "user/libkpio/wait.h"

#define STACK_DEFAULT 65536u
#define PAGE 4096u

void thread_begin(struct thread *thread, struct kpio_thread_block *block);
_Noreturn void thread_main(struct thread *thread, struct kpio_thread_block *block);

static bool has_fsgsbase(void) {
    uint32_t eax = 7, ebx, ecx = 0, edx;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx & 1;
}

void thread_set_block(struct kpio_thread_block *block) {
    if (has_fsgsbase())
        __asm__ volatile("wrfsbase %0" : : "r"((uint64_t)block) : "memory");
    else
        (void)kpio_thread_set_bases((uint64_t)block, 0);
}

void thread_main(struct thread *thread, struct kpio_thread_block *block) {
    block->user_data[THREAD_SLOT_STARTUP] = thread->startup;
    thread_set_block(block);
    thread->result = thread->run(thread->arg);
    for (;;) (void)kpio_thread_exit();
}

// A stack with an inaccessible page below: the reservation stays where no page is mapped over it.
static int stack_map(struct thread *thread) {
    kpio_handle aspace = startup_handle("aspace");
    int64_t vmo = kpio_vmo_create(thread->stack_size, 0);
    if (vmo < 0) return (int)vmo;
    int64_t base = kpio_aspace_map(aspace, 0, 0, thread->stack_size + PAGE, KPIO_MAP_RESERVE, 0);
    int64_t result = base;
    if (base > 0)
        result = kpio_aspace_map(aspace, (kpio_handle)vmo, 0, thread->stack_size,
                                 KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, (uint64_t)base + PAGE);
    if (base > 0 && result < 0) (void)kpio_aspace_unmap(aspace, (uint64_t)base, thread->stack_size + PAGE);
    (void)kpio_handle_close((uint64_t)vmo);
    if (result < 0) return (int)result;
    thread->stack = (void *)result;
    return 0;
}

static void stack_unmap(struct thread *thread) {
    if (thread->stack == NULL) return;
    (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)thread->stack - PAGE, thread->stack_size + PAGE);
    thread->stack = NULL;
}

int thread_spawn(struct thread *thread, const char *name, int64_t (*run)(void *), void *arg, void *stack,
                 uint64_t stack_size) {
    *thread = (struct thread){.stack_size = stack_size ? stack_size : STACK_DEFAULT, .run = run, .arg = arg,
                               .startup = (uint64_t)startup_page()};
    if (stack == NULL) {
        int error = stack_map(thread);
        if (error) return error;
    }
    uint64_t top = (uint64_t)(stack != NULL ? stack : thread->stack) + thread->stack_size;
    int64_t handle = kpio_thread_create(startup_handle("process"), name, strlen(name));
    int64_t result = handle;
    if (handle > 0) {
        thread->handle = (kpio_handle)handle;
        result = kpio_thread_start(thread->handle, (uint64_t)thread_begin, top, (uint64_t)thread);
        if (result < 0) (void)kpio_handle_close((uint64_t)handle);
    }
    if (result < 0) {
        stack_unmap(thread);
        return (int)result;
    }
    return 0;
}

int thread_join(struct thread *thread, int64_t *result) {
    // A word that the thread sets could not tell when it has left its stack; the kernel can.
    int error = wait_terminated(thread->handle, KPIO_TIME_NEVER, NULL);
    if (error) return error;
    if (result != NULL) *result = thread->result;
    (void)kpio_handle_close((uint64_t)thread->handle);
    stack_unmap(thread);
    return 0;
}

void mutex_lock(struct mutex *mutex) {
    uint32_t seen = 0;
    if (__atomic_compare_exchange_n(&mutex->word, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(&mutex->word, 2, __ATOMIC_ACQUIRE) != 0)
        (void)kpio_futex_wait((uint64_t)&mutex->word, 2, UINT32_MAX, KPIO_TIME_NEVER, 0);
}

void mutex_unlock(struct mutex *mutex) {
    if (__atomic_exchange_n(&mutex->word, 0, __ATOMIC_RELEASE) == 2)
        (void)kpio_futex_wake((uint64_t)&mutex->word, 1, UINT32_MAX, 0);
}
