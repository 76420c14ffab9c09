// The native calls of a Linux call, found by single steps: the library runs its handler with the trap flag set, and each exception
// looks whether the next instruction is a system call, or the last one was. Nothing is told meanwhile, as that would take the message
// page that the handler may be using: the lines are kept until the handler has ended. No cost where nobody is traced.
#include "abi/gen/names.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/trace.h"

#define TRAP_FLAG 0x100ull
#define VECTOR_DEBUG 1u
#define LINE_MAX 256u

struct lx_trace_native {
    bool entered;                       // the last step was into the kernel
    uint64_t number, arguments[6];
    size_t used;
    char text[16000];
};

#define NAME(name) #name,
static const char names[][32] = {KPIO_SYSCALLS(NAME)};
#define COUNT(name, count) count,
static const uint8_t counts[] = {KPIO_SYSCALL_ARGUMENTS(COUNT)};

static void set_flag(bool on) {
    const uint64_t flags = __builtin_ia32_readeflags_u64();
    __builtin_ia32_writeeflags_u64(on ? flags | TRAP_FLAG : flags & ~TRAP_FLAG);
}

void lx_trace_native_begin(struct lx_thread *t) {
    if (t->native == NULL) t->native = lx_alloc(lx_space(t), sizeof *t->native);  // else of a handler that did not return
    if (t->native == NULL) return;
    t->native->used = 0;
    t->native->entered = false;
    set_flag(true);
}

void lx_trace_native_end(struct lx_thread *t) {
    struct lx_trace_native *n = t->native;
    if (n == NULL) return;
    set_flag(false);
    if (n->used > 0) lx_trace_tell(t, n->text, n->used);
    t->native = NULL;
    lx_free(lx_space(t), n, sizeof *n);
}

__attribute__((format(printf, 2, 3))) static void add(struct lx_trace_native *n, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const size_t room = sizeof n->text - n->used;
    n->used += MIN(fmt_vprint(n->text + n->used, room, format, args), room - 1);
    va_end(args);
}

static void note(const struct lx_thread *t, struct lx_trace_native *n, int64_t result) {
    const uint64_t index = n->number - SYSCALL_BASE;
    if (sizeof n->text - n->used < LINE_MAX) return;  // what finds no room is not told
    add(n, "[%u]     %s(", t->tid, index < SYSCALL_COUNT ? names[index] : "?");
    for (unsigned i = 0; index < SYSCALL_COUNT && i < counts[index]; i++)
        add(n, n->arguments[i] < 4096 ? "%s%lu" : "%s%#lx", i > 0 ? ", " : "", (unsigned long)n->arguments[i]);
    add(n, ")");
    n->used += lx_trace_result(n->text + n->used, sizeof n->text - n->used, result);
    add(n, "\n");
}

bool lx_trace_native_step(struct lx_thread *t, struct kpio_exception_frame *frame) {
    struct lx_trace_native *n = t->native;
    const struct lx_space *space = lx_space(t);
    if (n == NULL || frame->kind != VECTOR_DEBUG) return false;
    const bool own = frame->rip >= space->liblinux && frame->rip < space->liblinux + space->liblinux_size;
    if (n->entered) note(t, n, (int64_t)frame->rax);
    n->entered = false;
    if (!own) {                         // a handler that does not return has led to the program
        frame->rflags &= ~TRAP_FLAG;
        return true;
    }
    const uint8_t *next = (const uint8_t *)frame->rip;
    if (next[0] == 0x0f && next[1] == 0x05) {
        n->entered = true;
        n->number = frame->rax;
        const uint64_t arguments[] = {frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9};
        memcpy(n->arguments, arguments, sizeof arguments);
    }
    return true;
}
