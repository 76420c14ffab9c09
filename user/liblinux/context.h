// What liblinux knows of the program that it serves. It has no variables of its own: everything hangs off the thread, which
// the thread block's user_data[0] leads to.
//
//     thread block ─▶ struct lx_thread ─▶ struct lx_process ─▶ struct lx_space
//                     registers, signal    descriptors, signal   heap, what is mapped
//                     mask, stacks         actions, ids, cwd
//
// Threads share a process; processes share a space between vfork and exec. A fork copies all three with the address space.
// Locks, in order: process->mail_lock, process->children_lock, process->files_lock, process->signal_lock, space->lock.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "abi/types.h"
#include "lib/list.h"
#include "user/libkpio/linux_launch.h"
#include "user/liblinux/linux.h"
#include "user/liblinux/offsets.h"

struct lx_process;
struct lx_space;
struct lx_files;

struct lx_fd {               // an entry of the table of descriptors (fd.h)
    kpio_handle handle, second;
    uint8_t kind, flags;     // LX_KIND_*, LX_FD_*
    uint16_t device;         // LX_DEVICE_*; of files, directories and paths: their type, mode >> 12
    uint32_t extra;          // the kind's own; of files, directories and paths: LX_O_* that stay as they were opened
};

// The program's registers: at the top of the thread's stack in liblinux while a call is served. In the order of a
// kpio_exception_frame.
struct lx_registers {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, rip, rflags, rsp;
};

struct lx_limit {
    uint64_t current, most;
};

struct lx_lock {
    uint32_t word;                  // 0 free, 1 held, 2 held and somebody waits
};

// Signals that were sent and not taken yet: a bit for each number that has one, and their siginfo in the order of coming.
struct lx_pending {
    uint64_t set;
    struct list queue;              // struct lx_signal
};

// What kpio_thread_set_schedule was told; affinity 0: nothing yet.
struct lx_schedule {
    uint32_t class_, priority;
    uint64_t affinity;
};

#define LX_NO_CALL UINT64_MAX
struct lx_thread {
    uint64_t stack;                 // top of the stack in liblinux; a call's registers are the first thing on it
    uint32_t pending;               // something is to be done before the program goes on: signals; set by anybody, atomic
    uint32_t in_use;                // its area belongs to it; 0: another thread may have it
    uint64_t call;                  // number of the call that is served; LX_NO_CALL: none is
    struct lx_process *process;
    struct kpio_thread_block *block;
    struct list_node node;          // process->threads; guarded by process->signal_lock
    kpio_handle handle;             // the kernel's thread; 0: the first thread of a process, process->thread
    uint32_t tid;
    uint64_t area, area_size;       // the mapping that holds this structure and the stacks
    uint64_t exception_stack, exception_stack_size;
    uint64_t clear_tid;             // address to clear and wake at the end (set_tid_address, CLONE_CHILD_CLEARTID)
    uint64_t robust_list;
    uint64_t rseq;                  // 0: none
    uint32_t rseq_size, rseq_signature;
    uint64_t serial;                // of its last message to a server (node.h); unique with the thread's id
    // Signals (signal.h). Changed by the thread itself, under process->signal_lock, or only its own.
    uint64_t blocked;               // mask
    uint64_t waiting;               // that rt_sigtimedwait waits for
    struct lx_pending pending_signals;  // sent to this thread
    uint64_t saved_mask;            // what to go back to after rt_sigsuspend and its like
    bool restore_mask;
    bool whole;                     // lx_registers has all registers of an interrupted program: rcx and r11 too
    bool faulted;                   // `fault` is to become a signal
    bool restarting;                // the call goes on that a signal without a handler ended, up to restart_deadline
    uint64_t restart_deadline;
    struct {
        uint64_t kind, error, address;
    } fault;                        // the last one
    uint64_t altstack, altstack_size;
    uint32_t altstack_flags;
    struct lx_schedule schedule;
    uint64_t slack;                 // of timers, as it was set; 0: the usual one
    struct lx_trace_native *native; // of a call whose native calls are told (trace_native.c), or NULL
    // What a new thread begins with.
    uint64_t fs_base;
    uint32_t mxcsr;
    uint16_t fpu_control;
    struct lx_thread *next_area;    // in the list of areas that threads left (thread.c)
    struct {
        uint64_t flags, child_tid, tls;
        uint32_t parent;
        bool strangers;             // other threads ran (strangers.h)
    } fork;                         // what the first thread of a new process is to know (fork.c)
    char name[16];
};

struct lx_process {
    struct lx_space *space;
    uint32_t pid, ppid;
    kpio_handle handle, thread;     // its own process, and its first thread
    kpio_handle root, cwd;          // directories
    // Kind LOCAL: it is in a local mount; DIRECTORY: cwd has another root (chroot) or fewer rights than root.
    struct lx_fd cwd_local;
    kpio_handle memory_fs;          // a directory of a tmpfs: memfd, text of /proc; or 0
    kpio_handle posixd;             // or 0: alone (posix.h)
    kpio_handle mail_thread;        // that posixd tells of signals
    uint32_t mail;                  // posixd has some; atomic
    bool mail_held;                 // and keeps it until there is room (lx_signals_full); guarded by signal_lock
    struct lx_lock mail_lock;       // one thread fetches at a time, so that what was sent in an order comes in it
    kpio_handle program;            // the executable's file, or 0
    kpio_handle system;             // the system, with INSPECT for what /proc tells of it and LOG for what a trace tells; or 0
    uint32_t trace;                 // LX_TRACE_* (trace.h)
    uint32_t trace_pid;             // the only process that is traced; 0: its children too
    struct lx_fd trace_output;      // kind NONE: the console, or descriptor 2
    uint32_t umask;
    uint32_t uid, gid, euid, egid, suid, sgid;  // plain data: no authority follows from them
    uint32_t groups[LX_GROUPS_MAX], group_count;
    struct lx_limit limits[LX_LIMITS];  // limits.h
    uint32_t persona;               // personality
    uint16_t io_priority;           // ioprio_set's; 0: none
    struct lx_lock files_lock, signal_lock;
    struct lx_files *files;
    struct list threads;
    uint32_t thread_count;
    struct lx_pending pending_signals;  // sent to the process
    uint32_t queued_signals;        // entries of all queues
    uint32_t stopped;               // a stop signal has stopped it: its threads wait for the word to become 0
    struct lx_signal_state *signals;
    uint8_t death_signal;           // prctl(PR_SET_PDEATHSIG)
    bool reaper;                    // prctl(PR_SET_CHILD_SUBREAPER)
    bool processes_limited;         // RLIMIT_NPROC was set
    bool undumpable, no_new_privileges, barrier_registered, keep_capabilities, no_huge_pages;
    struct lx_lock children_lock;
    struct list children;           // struct lx_child
    kpio_handle children_port;      // where their ends are told; 0: nobody wants to know
    kpio_handle vfork_event;        // of a child that shares its parent's memory: what the parent waits for; or 0
    uint64_t children_cpu;          // ns of CPU of children that were waited for
    struct lx_timers *timers;       // timer.h; NULL until there is one
    struct lx_signalfd *signalfds;  // signalfd.h; guarded by signal_lock
    char name[16];
    char *executable;               // its path, on the heap; NULL: not known
};

struct lx_space {
    kpio_handle aspace;
    struct lx_lock lock;
    uint32_t processes;             // that use it
    uint64_t brk_start, brk, brk_end;   // brk_end: of its mapping; 0: not made yet
    uint64_t liblinux, liblinux_size;   // where this library is
    kpio_handle image;              // the VMO that it comes from
    uint64_t image_offset, image_size;
    uint64_t arguments, arguments_size, environment, environment_size, auxv, auxv_size;  // for /proc
    // The heap (heap.h).
    struct lx_lock heap_lock;
    void *heap_free[16];
    char *heap_chunk;
    uint64_t heap_left;
    uint64_t vdso;                  // address of the vDSO's image; 0: none
    uint64_t barrier_page;          // of membarrier; 0: none yet
    struct lx_thread *free_areas;   // that threads left; guarded by lock
    uint32_t free_area_count;
    uint32_t state_size;            // bytes of the extended state; 0: FXSAVE's
    uint64_t state_features;        // XCR0
};

// Of the running thread: without %fs, which is the program's.
static inline struct lx_process *lx_process(const struct lx_thread *t) { return t->process; }
static inline struct lx_space *lx_space(const struct lx_thread *t) { return t->process->space; }
static inline struct lx_registers *lx_registers(const struct lx_thread *t) {
    return (struct lx_registers *)(t->stack - sizeof(struct lx_registers));
}

_Static_assert(offsetof(struct kpio_thread_block, foreign_rip) == TB_FOREIGN_RIP, "entry.S");
_Static_assert(offsetof(struct kpio_thread_block, foreign_rsp) == TB_FOREIGN_RSP, "entry.S");
_Static_assert(offsetof(struct kpio_thread_block, foreign_rflags) == TB_FOREIGN_RFLAGS, "entry.S");
_Static_assert(offsetof(struct kpio_thread_block, user_data) == TB_THREAD, "entry.S");
_Static_assert(offsetof(struct lx_thread, stack) == LX_THREAD_STACK, "entry.S");
_Static_assert(offsetof(struct lx_thread, pending) == LX_THREAD_PENDING, "entry.S");
_Static_assert(offsetof(struct lx_thread, call) == LX_THREAD_CALL, "entry.S");
_Static_assert(offsetof(struct lx_registers, r15) == REGS_R15, "entry.S");
_Static_assert(offsetof(struct lx_registers, r11) == REGS_R11, "entry.S");
_Static_assert(offsetof(struct lx_registers, rax) == REGS_RAX, "entry.S");
_Static_assert(offsetof(struct lx_registers, rcx) == REGS_RCX, "entry.S");
_Static_assert(offsetof(struct lx_registers, rdi) == REGS_RDI, "entry.S");
_Static_assert(offsetof(struct lx_registers, rip) == REGS_RIP, "entry.S");
_Static_assert(offsetof(struct lx_registers, rflags) == REGS_RFLAGS, "entry.S");
_Static_assert(offsetof(struct lx_registers, rsp) == REGS_RSP, "entry.S");
_Static_assert(sizeof(struct lx_registers) == REGS_SIZE, "entry.S");
