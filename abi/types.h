// Values and structures shared by the kernel and user space: rights, object kinds, signals, message and record layouts.
// Constants and plain structures only; sizes are fixed by assertions. Source: DESIGN section 3 (docs/architecture.md).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "abi/fs.h"

typedef int32_t kpio_handle;  // > 0; an index and a generation: an old value never names a newer object by accident
#define KPIO_HANDLE_NONE 0
typedef int64_t kpio_status;  // 0 or positive result, or negative errno (abi/errors.def)
#define KPIO_TIME_NEVER UINT64_MAX

// ---- object kinds ---------------------------------------------------------------------------------------------------
enum kpio_kind {
    KPIO_KIND_NONE, KPIO_KIND_JOB, KPIO_KIND_PROCESS, KPIO_KIND_THREAD, KPIO_KIND_VMO, KPIO_KIND_ASPACE,
    KPIO_KIND_ENDPOINT, KPIO_KIND_REPLY, KPIO_KIND_EVENT, KPIO_KIND_PORT, KPIO_KIND_TIMER, KPIO_KIND_IRQ,
    KPIO_KIND_MMIO, KPIO_KIND_DMA, KPIO_KIND_PCI, KPIO_KIND_DISK, KPIO_KIND_DIRECTORY, KPIO_KIND_FILE, KPIO_KIND_PIPE,
    KPIO_KIND_WASM_POOL, KPIO_KIND_SYSTEM, KPIO_KIND_COUNTER, KPIO_KIND_FUSE, KPIO_KIND_COUNT
};

// How a line of an I/O APIC works (irq_create); 0: edge, active high.
#define KPIO_IRQ_LEVEL      (1u << 0)
#define KPIO_IRQ_ACTIVE_LOW (1u << 1)

// ---- rights ---------------------------------------------------------------------------------------------------------
#define KPIO_RIGHT_READ      (1u << 0)   // vmo, pipe, file, counter: read; event: wait; port: wait; process, thread: read state
#define KPIO_RIGHT_WRITE     (1u << 1)   // vmo, pipe, file: write; event: signal; counter: add; port: post; timer: set
#define KPIO_RIGHT_EXECUTE   (1u << 2)   // vmo, directory, file: map executable
#define KPIO_RIGHT_MAP       (1u << 3)   // vmo, mmio, dma: map; aspace: place mappings
#define KPIO_RIGHT_DUPLICATE (1u << 4)   // duplicate, also copy in a message
#define KPIO_RIGHT_TRANSFER  (1u << 5)   // move or copy to another process
#define KPIO_RIGHT_CALL      (1u << 6)   // endpoint: call and send
#define KPIO_RIGHT_RECEIVE   (1u << 7)   // endpoint: receive; fuse: drive; event: be of its audience (PEER_GONE when none is left)
#define KPIO_RIGHT_MANAGE    (1u << 8)   // job: create in it, set limits; fuse: mount; process, thread: start, control
#define KPIO_RIGHT_KILL      (1u << 9)   // job, process, thread: end it
#define KPIO_RIGHT_INSPECT   (1u << 10)  // info calls
#define KPIO_RIGHT_JIT       (1u << 11)  // process: anonymous executable memory (given when the process is created)
#define KPIO_RIGHT_WAIT      (1u << 12)  // be waited on by a port
#define KPIO_RIGHT_DEVICE    (1u << 13)  // pci, system: reach device memory, DMA and interrupts
#define KPIO_RIGHT_LOG       (1u << 14)  // system: console and kernel log
#define KPIO_RIGHT_POWER     (1u << 15)  // system: power off, reboot
#define KPIO_RIGHT_BADGE     (1u << 16)  // endpoint: set a badge on a duplicate (a badged duplicate loses it)
#define KPIO_RIGHT_EXPIRE    (1u << 17)  // reserved for future use by handle_expire; set on every new handle
#define KPIO_RIGHT_AUDIT     (1u << 18)  // system: read the audit ring, mark handles audited
#define KPIO_RIGHTS_ALL      0x7ffffu
#define KPIO_RIGHTS_SAME     0x80000000u // handle_dup: keep the rights of the source

// ---- messages -------------------------------------------------------------------------------------------------------
// A message: a header word, up to 4,096 bytes of payload in the sending thread's message page, up to 4 handles in its
// thread block. The kernel copies payload from page to page and never interprets it.
//   bits 0..12 payload bytes (0..4096) | bits 13..15 handles (0..4) | bits 16..30 reserved, 0 | bits 32..62 label
// On return from a call or receive, rax holds the header of what arrived (>= 0) or a negative errno.
#define KPIO_MESSAGE_MAX 4096u
#define KPIO_MESSAGE_HANDLES_MAX 4u
#define KPIO_MESSAGE(label, bytes, handles) \
    ((uint64_t)(uint32_t)(label) << 32 | (uint64_t)(handles) << 13 | (uint64_t)(bytes))
#define KPIO_MESSAGE_BYTES(header) ((uint32_t)((header) & 0x1fff))
#define KPIO_MESSAGE_HANDLES(header) ((uint32_t)((header) >> 13 & 7))
#define KPIO_MESSAGE_LABEL(header) ((uint32_t)((header) >> 32 & 0x7fffffff))
#define KPIO_MESSAGE_RESERVED 0x800000007fff0000ull

// A handle in a message: sent with at most `rights`; KPIO_SEND_COPY makes a child, KPIO_SEND_MOVE takes it away.
struct kpio_message_handle {
    kpio_handle handle;  // after receiving: the new handle, or 0 if the receiver's table or quota had no room
    uint32_t rights;     // after receiving: its rights | 0; KPIO_RIGHTS_SAME keeps all
    uint16_t mode;       // KPIO_SEND_*
    uint16_t kind;       // after receiving: KPIO_KIND_*
    uint32_t reserved;
};
enum { KPIO_SEND_COPY = 0, KPIO_SEND_MOVE = 1 };

// ---- the thread block -----------------------------------------------------------------------------------------------
// One per thread, 4 KiB, mapped read-write in its process at an address of the kernel's choice, together with the
// message page that follows it (block + 4096). Made by thread_create, gone with the thread.
struct kpio_thread_block {
    uint64_t self;            // user address of this block
    uint64_t message;         // user address of the 4,096-byte message page
    uint64_t thread_id;
    uint64_t process_id;
    // Linux system calls (foreign numbers) in a process that registered an entry: where they came from.
    uint64_t foreign_rip, foreign_rsp, foreign_rflags;
    uint64_t user_data[4];    // free for the thread
    uint64_t badge;           // of the handle that the message last received came through
    uint64_t path_key;        // after EREMOTE: the local mount's key
    uint64_t path_bytes;      // ... and length of what is left of the path, which is in the message page, terminated
    uint64_t message_bytes;   // of the message last read from a pipe that keeps them apart: its whole length
    uint64_t reserved0;
    struct kpio_message_handle handles[KPIO_MESSAGE_HANDLES_MAX];  // of the message last sent or received
    uint64_t reserved1[8];
};
_Static_assert(sizeof(struct kpio_message_handle) == 16, "ABI");
_Static_assert(offsetof(struct kpio_thread_block, handles) == 128, "ABI");
#define KPIO_THREAD_BLOCK_SIZE 8192u  // block and message page

// ---- exceptions -----------------------------------------------------------------------------------------------------
enum kpio_exception {
    KPIO_EXC_INTERRUPT = 256,  // thread_interrupt; below that: the CPU's vector
    KPIO_EXC_NO_MEMORY = 257,  // a page could not be had within the job's quota
    KPIO_EXC_REVOKED = 258,    // an access to a mapping whose handle was revoked
    KPIO_EXC_RESTART = 259,    // the thread's restart area or section cannot be used; it has no area any more
};
// Pushed on the thread's exception stack by the kernel; thread_exception_return takes it back, changed or not. The
// extended state follows at xstate (an XSAVE area, standard format). Entry gets its address in rdi.
struct kpio_exception_frame {
    uint64_t kind;            // enum kpio_exception, or a CPU vector (0..31)
    uint64_t error;           // the CPU's error code
    uint64_t address;         // faulting address (page faults), or the interrupt's cookie
    uint64_t xstate;          // user address of the extended state in this frame, 64-byte aligned
    uint64_t xstate_size;
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t rip, rflags, rsp, fs_base, gs_base;
    uint64_t reserved;
};
_Static_assert(sizeof(struct kpio_exception_frame) == 26 * 8, "ABI");

// ---- restartable sections -------------------------------------------------------------------------------------------
// A thread that has such an area (thread_set_restart) reads there which CPU it is on, and may work on what belongs to that CPU in
// a section that is either done to its last instruction without a break or begun again. Whenever the thread goes on in user mode
// and may have been away from its CPU, or was interrupted by an exception, `section` becomes 0, and a thread that was in that
// section goes on at its abort address.
struct kpio_restart_area {
    uint32_t cpu_start, cpu;  // the CPU, twice; written when it has changed
    uint64_t section;         // struct kpio_restart_section; written by the thread as it enters, 0: it is in none
    uint32_t flags;           // 0
    uint32_t node;            // of memory; 0
    uint32_t lane;            // no two threads that run at the same time have the same; the CPU
    uint32_t reserved;
};
struct kpio_restart_section {
    uint32_t version, flags;  // 0
    uint64_t start, length;   // of the code
    uint64_t abort;           // outside of it; the four bytes in front are the signature that thread_set_restart was told
};
_Static_assert(sizeof(struct kpio_restart_area) == 32 && sizeof(struct kpio_restart_section) == 32, "ABI");

// ---- signals of objects, for ports and waits --------------------------------------------------------------------------
#define KPIO_SIGNAL_USER_MASK 0x00ffffffu  // event: bits set by event_signal
#define KPIO_SIGNAL_TERMINATED (1u << 24)  // process, thread, job empty
#define KPIO_SIGNAL_READABLE   (1u << 25)  // endpoint: a caller waits; pipe: data or end; counter: not 0
#define KPIO_SIGNAL_WRITABLE   (1u << 26)  // pipe: room (4,096 bytes, of the smallest 1); counter: below its most
#define KPIO_SIGNAL_PEER_GONE  (1u << 27)  // pipe: other end closed; endpoint: nobody can receive any more; event: its audience is gone
#define KPIO_SIGNAL_FIRED      (1u << 28)  // timer expired; irq raised
#define KPIO_SIGNAL_REVOKED    (1u << 29)  // the handle that the binding went through is gone (delivered once)

#define KPIO_SIGNAL_DATA       (1u << 30)  // pipe: data, where READABLE may mean the end

#define KPIO_SIGNALS_ALL 0x7fffffffu

// What handle_wait_many waits for.
struct kpio_wait_item {
    kpio_handle handle;
    uint32_t signals;         // wanted; REVOKED is always told
    uint32_t asserted;
    uint32_t value;           // lower half of what a packet tells (kpio_port_packet), such as an exit status
};
_Static_assert(sizeof(struct kpio_wait_item) == 16, "ABI");

struct kpio_port_packet {
    uint64_t key;      // as given to port_bind or port_post
    uint32_t signals;  // what is asserted of the asked ones
    uint32_t kind;     // KPIO_KIND_* of the source, KPIO_KIND_PORT for posted packets
    uint64_t value;    // event: bits; timer, irq: times fired since; process: exit status; posted: the poster's word
};
_Static_assert(sizeof(struct kpio_port_packet) == 24, "ABI");

// ---- records of the info calls ----------------------------------------------------------------------------------------
struct kpio_handle_info {
    uint32_t kind, rights;
    uint64_t badge, object_id;   // object ids are unique since boot
    uint64_t expiry;             // KPIO_TIME_NEVER: none
    uint32_t children, flags;
    kpio_handle value;           // in the table that it is in
    uint32_t reserved;
};
struct kpio_job_limits {         // UINT64_MAX: no own limit (the parent's still holds)
    uint64_t pages, handles, threads, kernel_bytes, processes;
};
struct kpio_job_info {
    uint64_t id, parent_id;
    struct kpio_job_limits limit, used, peak;
    char name[32];
};
struct kpio_process_info {
    uint64_t id, job_id;
    uint32_t state;              // KPIO_PROCESS_*
    int32_t status;              // exit status, once dead
    uint64_t threads, handles, pages, cpu_ns;
    char name[32];
};
// Exit status of a process that the kernel ended: by job_kill -ECANCELED, by a fault this less the kind (enum kpio_exception
// or the CPU's vector).
#define KPIO_STATUS_FAULT (-1000)
enum { KPIO_FORK_SHARE = 1 << 0 };  // process_fork: in the same address space
enum { KPIO_PROCESS_NEW, KPIO_PROCESS_RUNNING, KPIO_PROCESS_DYING, KPIO_PROCESS_DEAD };
struct kpio_thread_info {
    uint64_t id, process_id;
    uint32_t state, cpu;         // KPIO_THREAD_*
    uint32_t class_, priority;   // KPIO_SCHED_*
    uint64_t affinity, online;   // CPUs that it may run on, and all: a bit each
    uint64_t cpu_ns;
    char name[32];
};
// READY: also when it was woken, or moves, and is on its way to a CPU. BLOCKED: it waits.
enum { KPIO_THREAD_NEW, KPIO_THREAD_READY, KPIO_THREAD_RUNNING, KPIO_THREAD_BLOCKED, KPIO_THREAD_DEAD };
enum { KPIO_SCHED_FAIR, KPIO_SCHED_REALTIME, KPIO_SCHED_IDLE };
struct kpio_vmo_info {
    uint64_t id, size, committed_pages;
    uint32_t flags, kind;        // KPIO_VMO_*
};
// Entries of a Linux program's auxiliary vector: handles, for a program that knows native calls too. On its address space; on the driver's
// end of a FUSE channel and on a disk, if it was given such. Linux has no such entries.
#define KPIO_AT_ASPACE 0x4b50494f
#define KPIO_AT_FUSE   0x4b504950
#define KPIO_AT_DISK   0x4b504951
struct kpio_wasm_account {       // bytes of the WASM pool that one instance has
    uint64_t process;            // id of the one that opened it
    uint64_t current, peak, reserved, limit;
    char name[32];
};
struct kpio_system_info {
    uint64_t boot_to_init_insns; // TSC ticks from the first kernel instruction to init's first
    uint64_t memory_total, memory_free, page_array_bytes, wasm_pool_bytes, wasm_pool_free, kernel_image_bytes;
    uint64_t objects[KPIO_KIND_COUNT];  // live, by kind
    uint64_t handles, slub_bytes, kernel_stacks, page_tables;
    uint32_t cpu_online, cpu_possible;
    uint64_t uptime_ns, realtime_ns, tsc_hz;
    uint64_t idle_ns, context_switches, interrupts, rcu_pending;
};

// A page that every process may map for reading (system_page). The fields change together: sequence is odd meanwhile, and
// different afterwards. Monotonic nanoseconds: ((TSC - base) * mult) >> shift, 128 bits in between; only with KPIO_CLOCK_TSC.
enum { KPIO_CLOCK_TSC = 1 << 0 };
struct kpio_system_page {
    uint32_t sequence, flags;
    uint32_t mult, shift;
    uint64_t base;               // TSC at monotonic 0
    uint64_t realtime_base;      // UNIX nanoseconds at monotonic 0
    uint64_t tsc_hz;
    uint32_t cpus, reserved;     // CPUs that are on
};
_Static_assert(sizeof(struct kpio_system_page) == 48, "ABI");

enum { KPIO_DISK_READ_ONLY = 1 << 0, KPIO_DISK_DISCARD = 1 << 1, KPIO_DISK_PARTITION = 1 << 2, KPIO_DISK_CLAIMED = 1 << 3 };
struct kpio_disk_info {
    uint64_t sectors, first_sector;  // of 512 bytes; first_sector: where a partition begins on its disk
    uint32_t block_size, physical_block_size, flags, reserved;
    char name[16], disk[16];         // disk: of a partition
    uint64_t requests, interrupts;   // since boot, of the whole disk: what it was given to do, how often it told of its end
};
_Static_assert(sizeof(struct kpio_disk_info) == 80, "ABI");

// ---- memory -----------------------------------------------------------------------------------------------------------
enum {
    KPIO_VMO_RESIZABLE = 1 << 0,
    KPIO_VMO_CONTIGUOUS = 1 << 1,
    KPIO_VMO_LARGE = 1 << 2,      // prefer 2 MiB pages
    KPIO_VMO_POOL = 1 << 3,       // pages from the WASM pool
};
enum { KPIO_CLONE_SNAPSHOT, KPIO_CLONE_OVERLAY };
enum {
    KPIO_MAP_READ = 1 << 0, KPIO_MAP_WRITE = 1 << 1, KPIO_MAP_EXECUTE = 1 << 2,
    KPIO_MAP_FIXED = 1 << 3,          // exactly at the address, replacing what is there
    KPIO_MAP_FIXED_NOREPLACE = 1 << 4,// exactly there, EEXIST when something is
    KPIO_MAP_POPULATE = 1 << 5,       // allocate and map all pages now
    KPIO_MAP_PRIVATE = 1 << 6,        // copy on write within this mapping (overlay)
    KPIO_MAP_RESERVE = 1 << 7,        // no vmo: an inaccessible range that costs nothing
    KPIO_MAP_LOCAL_SHARE = 1 << 8,    // inherited by aspace_clone as the same memory, not as a snapshot
    KPIO_MAP_ANONYMOUS = 1 << 9,      // no vmo: zeroed memory of the address space, which goes as it is unmapped
};
enum { KPIO_MOVE_MAYMOVE = 1 << 0, KPIO_MOVE_FIXED = 1 << 1 };  // aspace_move; FIXED needs MAYMOVE
enum { KPIO_ADVISE_DONTNEED, KPIO_ADVISE_POPULATE_READ, KPIO_ADVISE_POPULATE_WRITE, KPIO_ADVISE_SYNC };  // aspace_advise
enum {
    KPIO_VMO_OP_COMMIT, KPIO_VMO_OP_DECOMMIT, KPIO_VMO_OP_ZERO,
};

// ---- counters ---------------------------------------------------------------------------------------------------------
enum { KPIO_COUNTER_SEMAPHORE = 1 << 0 };  // counter_create: each read takes 1, not all
enum { KPIO_COUNTER_NOWAIT = 1 << 0 };     // counter_read, counter_add: EAGAIN instead of waiting
#define KPIO_COUNTER_VALUE_MAX (UINT64_MAX - 1)

// ---- FUSE channels ------------------------------------------------------------------------------------------------------
enum { KPIO_FUSE_STARTING, KPIO_FUSE_READY, KPIO_FUSE_GONE, KPIO_FUSE_ENDED };  // kpio_fuse_info: state
struct kpio_fuse_info {
    uint32_t state, mounted;          // KPIO_FUSE_*; 1: it is a mount's
    uint32_t queued, sent;            // requests that wait to be taken, to be answered
    uint64_t requests, replies, failed, timeouts, interrupts, forgets, drivers;  // so far
    uint64_t latency_ns, longest_ns;  // of all replies together, of one: from taken to answered
    uint64_t driver;                  // id of the process that received last; 0: none
    uint64_t reads, reads_asked;      // of files, by those who use the mount; messages that this took
};
_Static_assert(sizeof(struct kpio_fuse_info) == 112, "ABI");

// ---- mounts -------------------------------------------------------------------------------------------------------------
struct kpio_mount_info {              // mount_list
    uint64_t id, parent;              // of the mount, as in kpio_stat; of the one that it is in, 0: none
    uint64_t fs;                      // as in kpio_stat; 0: local
    uint64_t key;                     // of a local one
    uint32_t flags, reserved;         // KPIO_MOUNT_*
    char type[16], device[16];
    // FUSE only: what the mount's options say that it is, and what goes through it.
    char source[128], subtype[32];
    struct kpio_fuse_info fuse;
};
_Static_assert(sizeof(struct kpio_mount_info) == 344, "ABI");

// ---- pipes ------------------------------------------------------------------------------------------------------------
// MAILBOX: as DATAGRAM, but for a reader that waits though nobody can write; it comes to its end only by pipe_shut of its own end.
enum { KPIO_PIPE_STREAM, KPIO_PIPE_DATAGRAM, KPIO_PIPE_SEQPACKET, KPIO_PIPE_MAILBOX };
enum {
    KPIO_PIPE_NOWAIT = 1 << 0,
    KPIO_PIPE_TAKE_HANDLES = 1 << 1,  // pipe_read
    KPIO_PIPE_PEEK = 1 << 2,          // pipe_read: what is read stays; no handles are taken
    KPIO_PIPE_COPY_HANDLES = 1 << 3,  // pipe_receive, with PEEK
};
struct kpio_pipe_info {
    uint32_t mode, capacity;          // KPIO_PIPE_*; bytes
    uint32_t readable, room;          // bytes; the lengths that precede messages count
    uint32_t next;                    // bytes of the message that is read next
    uint32_t peer;                    // 1: somebody has a handle on the other end
    uint64_t id;                      // of the pipe: both ends tell the same
};
_Static_assert(sizeof(struct kpio_pipe_info) == 32, "ABI");
// pipe_send, pipe_receive. Counts and sizes are of what is sent; of the room there is, and then of all that came.
struct kpio_pipe_message {
    uint64_t parts, part_count;       // struct kpio_io_vector
    uint64_t handles, handle_count;   // struct kpio_message_handle, at most KPIO_PIPE_HANDLES_MAX
    uint64_t note, note_size;         // bytes, at most KPIO_PIPE_NOTE_MAX
};
_Static_assert(sizeof(struct kpio_pipe_message) == 48, "ABI");
#define KPIO_PIPE_HANDLES_MAX 512u
#define KPIO_PIPE_PARCELS_MAX 512u
#define KPIO_PIPE_NOTE_MAX    4096u
#define KPIO_PIPE_LABEL_MAX   256u
#define KPIO_PIPE_SEND_HANDLES(count) ((uint32_t)(count) << 8)  // pipe_write: 0..KPIO_MESSAGE_HANDLES_MAX

// ---- limits that the ABI names ------------------------------------------------------------------------------------------
#define KPIO_NAME_MAX 31u
#define KPIO_PORT_BATCH_MAX 64u
// Bits of handle_flags: what all handles on an object share. The rest are the holders' own, but for the highest.
#define KPIO_OBJECT_NONBLOCK 1ull      // pipes, counters, timers: calls that would wait say EAGAIN
#define KPIO_OBJECT_FLAGS    0x7fffffffffffffffull

enum {                                // port_watch: a mode, and
    KPIO_WATCH_ONCE, KPIO_WATCH_LEVEL, KPIO_WATCH_EDGE,
    KPIO_WATCH_CHANGE = 1 << 8,       // there is such a binding already; it becomes as told now
};
struct kpio_timer_info {
    uint64_t deadline, period;        // when it fires next, KPIO_TIME_NEVER: not; ns
};

#define KPIO_WAIT_ITEMS_MAX 1024u
#define KPIO_HANDLES_PER_PROCESS 262144u
