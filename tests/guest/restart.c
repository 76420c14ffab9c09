// Restart areas: what they tell, and how sections end.
#include "lib/string.h"
#include "tests/guest/kt/fork.h"

#define SIGNATURE 0x1badfaceu

static struct kpio_restart_area area __attribute__((aligned(32)));
static struct kpio_restart_section section;
static uint32_t inside;

// stay(area, section, word): sets *word in the section and stays there; 1 when it was aborted. There is no signature in front of
// stay_unsigned.
int64_t stay(struct kpio_restart_area *in, const struct kpio_restart_section *which, uint32_t *word);
extern const char stay_start[], stay_end[], stay_abort[], stay_unsigned[];
__asm__(".text\n"
        "stay:\n"
        "    mov %rsi, 8(%rdi)\n"
        "stay_start:\n"
        "    movl $1, (%rdx)\n"
        "1:  pause\n"
        "    jmp 1b\n"
        "stay_end:\n"
        "    .long 0x1badface\n"
        "stay_abort:\n"
        "    mov $1, %eax\n"
        "    ret\n"
        "    .long 0xcccccccc\n"
        "stay_unsigned:\n"
        "    mov $2, %eax\n"
        "    ret\n");

static void set_section(const char *abort) {
    inside = 0;
    area = (struct kpio_restart_area){.cpu = 1000};
    section = (struct kpio_restart_section){
        .start = (uint64_t)stay_start, .length = (uint64_t)(stay_end - stay_start), .abort = (uint64_t)abort};
}

static uint32_t cpus(void) {
    struct kpio_thread_info info = {0};
    KT_EQUAL(kpio_thread_info(startup_handle("thread"), &info), 0);
    return 64 - (uint32_t)__builtin_clzll(info.online);
}

static void pin(kpio_handle thread, uint64_t set) { KT_EQUAL(kpio_thread_set_schedule(thread, KPIO_SCHED_FAIR, 1024, set), 0); }

KT_TEST(arguments) {
    KT_ERROR(kpio_thread_set_restart((uint64_t)&area + 8, SIGNATURE), EINVAL);
    KT_ERROR(kpio_thread_set_restart((uint64_t)KT_KERNEL_ADDRESS, SIGNATURE), EINVAL);
    KT_ERROR(kpio_thread_set_restart(32, SIGNATURE), EINVAL);
    KT_EQUAL(kpio_thread_set_restart(0, SIGNATURE), 0);
}

KT_TEST(it_tells_the_cpu) {
    kpio_handle self = startup_handle("thread");
    uint32_t count = cpus();
    set_section(stay_abort);
    KT_EQUAL(kpio_thread_set_restart((uint64_t)&area, SIGNATURE), 0);
    for (uint32_t i = 0; i < 3 * count; i++) {
        pin(self, 1ull << i % count);
        KT_EQUAL(__atomic_load_n(&area.cpu, __ATOMIC_RELAXED), i % count);
        KT_EQUAL(__atomic_load_n(&area.cpu_start, __ATOMIC_RELAXED), i % count);
        KT_EQUAL(__atomic_load_n(&area.lane, __ATOMIC_RELAXED), i % count);
    }
    KT_EQUAL(kpio_thread_set_restart(0, 0), 0);
    area.cpu = 1000;
    pin(self, 1);
    KT_EQUAL(__atomic_load_n(&area.cpu, __ATOMIC_RELAXED), 1000);
    pin(self, (1ull << count) - 1);
}

// ---- sections -------------------------------------------------------------------------------------------------------------

static char exception_stack[32768] __attribute__((aligned(64)));
static struct kpio_exception_frame seen;
static uint64_t section_seen;
static bool unusable;

static bool note(struct kpio_exception_frame *frame, void *context) {
    seen = *frame;
    section_seen = area.section;
    if (frame->kind != KPIO_EXC_RESTART) return true;
    unusable = true;
    frame->rip = (uint64_t)stay_abort;
    return true;
}

static int64_t stay_as(void *arg) {
    int64_t error = exception_set(note, NULL, exception_stack, sizeof(exception_stack));
    if (error == 0) error = kpio_thread_set_restart((uint64_t)&area, SIGNATURE);
    if (error != 0) return error;
    int64_t result = stay(&area, arg, &inside);
    __atomic_store_n(&inside, 1, __ATOMIC_RELEASE);  // preemption may come between entering the section and its first store
    return result;
}

static void reach_inside(void) {
    while (__atomic_load_n(&inside, __ATOMIC_ACQUIRE) == 0) KT_EQUAL(kpio_thread_yield(), 0);
}

static void begin(struct thread *thread, const char *abort, const struct kpio_restart_section *which) {
    set_section(abort);
    unusable = false;
    memset(&seen, 0, sizeof(seen));
    section_seen = 1;
    KT_EQUAL(thread_spawn(thread, "stay", stay_as, (void *)which, NULL, 0), 0);
}

static void interrupt(const struct thread *thread) {
    int64_t error = kpio_thread_interrupt(thread->handle, 7);
    KT_CHECK(error == 0 || error == -EINVAL);  // preemption was first, and it has ended
}

KT_TEST(an_interrupt_ends_a_section) {
    static struct thread thread;
    int64_t result = 0;
    begin(&thread, stay_abort, &section);
    reach_inside();
    interrupt(&thread);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, 1);
    KT_EQUAL(area.section, 0);
    if (seen.kind == 0) return;
    KT_EQUAL(seen.kind, KPIO_EXC_INTERRUPT);
    KT_EQUAL(section_seen, 0);
    KT_CHECK(seen.rip < (uint64_t)stay_start || seen.rip >= (uint64_t)stay_end);
}

static int64_t spin(void *over) {
    while (!__atomic_load_n((bool *)over, __ATOMIC_RELAXED)) __asm__ volatile("pause");
    return 0;
}

// With two that spin for each CPU it has none for itself.
KT_TEST(preemption_ends_a_section) {
    static struct thread thread, others[16];
    static bool over;
    uint32_t count = cpus() < 8 ? 2 * cpus() : 16;
    int64_t result = 0;
    over = false;
    for (uint32_t i = 0; i < count; i++) KT_EQUAL(thread_spawn(&others[i], "spin", spin, &over, NULL, 16384), 0);
    begin(&thread, stay_abort, &section);
    KT_EQUAL(thread_join(&thread, &result), 0);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < count; i++) KT_EQUAL(thread_join(&others[i], NULL), 0);
    KT_EQUAL(result, 1);
    KT_EQUAL(seen.kind, 0);
}

// The area is forgotten, so nothing happens a second time.
KT_TEST(what_cannot_be_is_an_exception) {
    static struct thread thread;
    int64_t result = 0;
    struct kpio_restart_section later = {.version = 1}, nowhere = {.start = UINT64_MAX, .length = 1};
    const struct kpio_restart_section *const sections[] = {&section, &later, &nowhere, (void *)64};
    for (unsigned i = 0; i < 4; i++) {
        begin(&thread, stay_unsigned, sections[i]);
        reach_inside();
        interrupt(&thread);
        KT_EQUAL(thread_join(&thread, &result), 0);
        KT_EQUAL(result, 1);
        KT_EQUAL(unusable, true);
        KT_EQUAL(section_seen, (uint64_t)sections[i]);
    }
}

// ---- execve -------------------------------------------------------------------------------------------------------------

static uint8_t new_stack[32768] __attribute__((aligned(16)));

static int64_t arrive(void *arg) { return 7; }
static int64_t stay_on(void *arg) {
    for (;;) __asm__ volatile("pause");
    return 0;
}

// The others have to end first: who waits for that may find itself on another CPU, to be told to an area that is gone then.
static int64_t exec_with_an_area(void *arg) {
    static struct thread others[3];
    area = (struct kpio_restart_area){.cpu = 1000};
    if (kpio_thread_set_restart((uint64_t)&area, SIGNATURE) != 0) return 1;
    for (unsigned i = 0; i < 3; i++)
        if (thread_spawn(&others[i], "other", stay_on, NULL, NULL, 16384) != 0) return 2;
    return kt_exec_new(arrive, NULL, new_stack, sizeof new_stack);
}

KT_TEST(exec_ends_it_wherever_it_goes_on) {
    for (unsigned i = 0; i < 20; i++) {
        int64_t status = 0;
        kpio_handle process = kt_fork(exec_with_an_area, NULL);
        KT_EQUAL(wait_terminated(process, kt_soon(), &status), 0);
        KT_EQUAL(status, 7);
        kt_close(process);
    }
}
