// The stack frame that a handler finds (struct rt_sigframe of Linux for x86-64), and the way back from it:
//
//     interrupted rsp │ red zone, 128 bytes │ extended state, 64-byte aligned, with a magic number behind it │
//         siginfo │ ucontext │ return address = restorer   <- rsp in the handler, 8 below a multiple of 16
//
// Inside the extended state, where FXSAVE leaves 48 bytes to software, is said how long it is and what is in it.
#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/signal.h"

struct signal_stack {
    uint64_t at;
    uint32_t flags, pad;
    uint64_t size;
};
struct signal_registers {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, vector, old_mask, address, state, reserved[8];
};
struct signal_context {
    uint64_t flags, link;
    struct signal_stack stack;
    struct signal_registers registers;
    uint64_t mask;
};
struct signal_frame {
    uint64_t restorer;
    struct signal_context context;
    struct lx_siginfo info;
};
_Static_assert(sizeof(struct signal_registers) == 256 && sizeof(struct signal_context) == 304 && sizeof(struct signal_frame) == 440,
               "ABI");
enum { UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4 };

#define RED_ZONE 128u
#define LEGACY_SIZE 512u
#define HEADER_SIZE 64u
#define SOFTWARE_AT 464u
#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u
struct state_note {
    uint32_t magic, extended_size;
    uint64_t features;
    uint32_t size, pad[7];
};
_Static_assert(sizeof(struct state_note) == 48, "ABI");

// The state of a new process: nothing in use, exceptions masked. Components are initial because XSTATE_BV is zero.
static const struct {
    uint16_t control, unused[11];
    uint32_t mxcsr, mask;
    uint8_t rest[LEGACY_SIZE - 32 + HEADER_SIZE];
} initial_state __attribute__((aligned(64))) = {.control = 0x37f, .mxcsr = 0x1f80};
_Static_assert(sizeof initial_state == LEGACY_SIZE + HEADER_SIZE, "FXSAVE area and XSAVE header");

void lx_state_measure(struct lx_space *space) {
    uint32_t a = 1, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1u << 27)) return;  // OSXSAVE
    a = 0xd, c = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    space->state_size = b;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    space->state_features = (uint64_t)d << 32 | a;
}

// ---- the way in ---------------------------------------------------------------------------------------------------------

static uint64_t state_bytes(const struct lx_space *space) {
    return space->state_size == 0 ? LEGACY_SIZE : space->state_size + 4ull;
}

static int64_t push_state(const struct lx_space *space, uint64_t at) {
    static const uint8_t header[HEADER_SIZE];
    const uint32_t magic2 = MAGIC2;
    if (space->state_size == 0) return lx_legacy_save(at);
    const struct state_note note = {.magic = MAGIC1,
                                    .extended_size = (uint32_t)state_bytes(space),
                                    .features = space->state_features,
                                    .size = space->state_size};
    int64_t error = lx_copy_out(at + LEGACY_SIZE, header, sizeof header);
    if (error == 0) error = lx_state_save(at);
    if (error == 0) error = lx_copy_out(at + SOFTWARE_AT, &note, sizeof note);
    if (error == 0) error = lx_copy_out(at + space->state_size, &magic2, sizeof magic2);
    return error;
}

static bool on_altstack(const struct lx_thread *t, uint64_t rsp) {
    return !(t->altstack_flags & LX_SS_DISABLE) && rsp > t->altstack && rsp - t->altstack <= t->altstack_size;
}

// Where the state goes; 0: there is no room on the alternate stack.
static uint64_t place_state(const struct lx_thread *t, uint64_t rsp, const struct lx_signal_action *action, uint64_t *frame) {
    bool nested = on_altstack(t, rsp) && !(t->altstack_flags & (uint32_t)LX_SS_AUTODISARM);
    bool enter = action->flags & LX_SA_ONSTACK && !(t->altstack_flags & LX_SS_DISABLE) && !nested;
    uint64_t top = enter ? t->altstack + t->altstack_size : rsp - RED_ZONE;
    uint64_t state = align_down(top - state_bytes(lx_space(t)), 64);
    *frame = align_down(state - sizeof(struct signal_frame), 16) - 8;
    if ((enter || nested) && !on_altstack(t, *frame)) return 0;
    return state;
}

static void fill_registers(const struct lx_thread *t, const struct lx_registers *r, uint64_t mask, uint64_t state,
                           struct signal_registers *out) {
    *out = (struct signal_registers){
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = t->whole ? r->r11 : r->rflags,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rdi = r->rdi,
        .rsi = r->rsi,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .rdx = r->rdx,
        .rax = r->rax,
        .rcx = r->rcx,
        .rsp = r->rsp,
        .rip = r->rip,
        .rflags = r->rflags,
        .cs = 0x33,
        .ss = 0x2b,
        .error = t->fault.error,
        .vector = t->fault.kind,
        .old_mask = mask,
        .address = t->fault.address,
        .state = state,
    };
}

int64_t lx_frame_push(struct lx_thread *t, struct lx_registers *r, const struct lx_siginfo *info,
                      const struct lx_signal_action *action, uint64_t mask) {
    uint64_t at, state = place_state(t, r->rsp, action, &at);
    if (state == 0 || !(action->flags & LX_SA_RESTORER)) return -EFAULT;
    struct signal_frame frame;
    frame.restorer = action->restorer;
    frame.context.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (lx_space(t)->state_size != 0 ? UC_FP_XSTATE : 0);
    frame.context.link = 0;
    frame.context.stack = (struct signal_stack){.at = t->altstack, .flags = t->altstack_flags, .size = t->altstack_size};
    fill_registers(t, r, mask, state, &frame.context.registers);
    frame.context.mask = mask;
    frame.info = *info;
    int64_t error = push_state(lx_space(t), state);
    if (error == 0) error = lx_copy_out(at, &frame, sizeof frame);
    if (error == 0)
        error = lx_space(t)->state_size == 0 ? lx_legacy_load((uint64_t)&initial_state) : lx_state_load((uint64_t)&initial_state);
    if (error < 0) return error;
    if (t->altstack_flags & (uint32_t)LX_SS_AUTODISARM) {
        t->altstack_flags = LX_SS_DISABLE;
        t->altstack = t->altstack_size = 0;
    }
    r->rdi = (uint64_t)info->number;
    r->rsi = at + offsetof(struct signal_frame, info);
    r->rdx = at + offsetof(struct signal_frame, context);
    r->rax = 0;
    r->rip = action->handler;
    r->rsp = at;
    t->whole = false;
    return 0;
}

// ---- the way back -------------------------------------------------------------------------------------------------------

// Only legacy state, or a place that the processor does not load from: through a copy. Other components become initial.
static int64_t load_copied(const struct lx_space *space, uint64_t at, uint64_t size) {
    uint8_t room[8192 + 64], *copy = (uint8_t *)align_up((uint64_t)room, 64);
    if (size > 8192) return -EFAULT;
    memset(copy, 0, LEGACY_SIZE + HEADER_SIZE);
    int64_t error = lx_copy_in(copy, at, size);
    if (error < 0) return error;
    if (space->state_size == 0) return lx_legacy_load((uint64_t)copy);
    if (size == LEGACY_SIZE) copy[LEGACY_SIZE] = 3;  // XSTATE_BV: x87 and SSE
    return lx_state_load((uint64_t)copy);
}

static int64_t load_state(const struct lx_space *space, uint64_t at) {
    struct state_note note;
    uint32_t magic2 = 0;
    if (at == 0) return load_copied(space, (uint64_t)&initial_state, sizeof initial_state);
    int64_t error = lx_copy_in(&note, at + SOFTWARE_AT, sizeof note);
    if (error < 0) return error;
    bool extended = note.magic == MAGIC1 && note.size == space->state_size && space->state_size != 0 &&
                    note.features == space->state_features && lx_copy_in(&magic2, at + note.size, sizeof magic2) == 0 &&
                    magic2 == MAGIC2;
    if (!extended) return load_copied(space, at, LEGACY_SIZE);
    return at % 64 == 0 ? lx_state_load(at) : load_copied(space, at, note.size);
}

static void take_registers(const struct signal_registers *s, struct lx_registers *r) {
    *r = (struct lx_registers){
        .r15 = s->r15,
        .r14 = s->r14,
        .r13 = s->r13,
        .r12 = s->r12,
        .rbp = s->rbp,
        .rbx = s->rbx,
        .r11 = s->r11,
        .r10 = s->r10,
        .r9 = s->r9,
        .r8 = s->r8,
        .rax = s->rax,
        .rcx = s->rcx,
        .rdx = s->rdx,
        .rsi = s->rsi,
        .rdi = s->rdi,
        .rip = s->rip,
        .rflags = s->rflags,
        .rsp = s->rsp,
    };
}

int64_t lx_frame_pop(struct lx_thread *t, struct lx_registers *r) {
    struct signal_context context;
    int64_t error = lx_copy_in(&context, r->rsp, sizeof context);
    if (error == 0) error = load_state(lx_space(t), context.registers.state);
    if (error < 0) return error;
    lx_signal_set_mask(t, context.mask);
    take_registers(&context.registers, r);
    if (!on_altstack(t, r->rsp) || context.stack.flags & (uint32_t)LX_SS_AUTODISARM) {
        t->altstack = context.stack.at;
        t->altstack_size = context.stack.size;
        t->altstack_flags = context.stack.flags & (LX_SS_DISABLE | (uint32_t)LX_SS_AUTODISARM);
    }
    t->call = LX_NO_CALL;
    t->whole = true;
    t->restarting = false;
    return 0;
}
