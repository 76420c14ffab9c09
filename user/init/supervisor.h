// The services at run time: one table, one lock. Three threads of init work on it:
//
//   supervisor  waits on a port for ends of processes, commands and due restarts; the only one that starts and ends them
//   names       answers the protocol `init`: connect, log, ready, list, control, keep
//   watchdog    pings running services and posts a command when one does not answer
//
//   STOPPED ──start──▶ NEEDING ──▶ STARTING ──ready──▶ RUNNING ──end──▶ WAITING ──due──▶ NEEDING ...
//                                     └─────end──────────────────────────┘ └─too many ends──▶ FAILED
//
// A version that takes over and ends in STARTING gives way to the one before, which starts at once (trial.c).
// NEEDING ends at once unless something that it needs is not ready yet.
#pragma once
#include "user/init/options.h"
#include "user/init/plan.h"
#include "user/libkpio/kpio.h"

enum service_state { SERVICE_STOPPED, SERVICE_STARTING, SERVICE_RUNNING, SERVICE_WAITING, SERVICE_FAILED, SERVICE_REFUSED,
                     SERVICE_NEEDING };

#define PROGRAM_PATH_MAX 128u

struct supervised {
    struct service_manifest manifest;
    char program[PROGRAM_PATH_MAX];    // the manifest's, or that of the last replacement
    char successor[PROGRAM_PATH_MAX];  // what replaces it when it ends; empty: the same program
    enum service_state state;
    kpio_handle process;        // 0 while none runs
    kpio_handle job;            // its own, for its limits; made once
    kpio_handle endpoint;       // init's side: to call, and to make duplicates for clients
    kpio_handle saved;          // its state, or 0
    bool on_trial;              // a version that takes over has not been ready yet. What to go back to then:
    char previous[PROGRAM_PATH_MAX];
    uint32_t previous_version;
    kpio_handle rescued;        // the state as it was handed over, or 0
    uint64_t pid, started, due; // ns; due: when to start again, when NEEDING: at the latest
    uint64_t ended;             // when it last ended; for the time to recover
    struct backoff backoff;
    uint32_t restarts, version;
    int64_t last_exit;
    bool stop_wanted, replacing, hung;
    const char *wrong;          // of a refused one
};

enum command { COMMAND_START, COMMAND_STOP, COMMAND_RESTART, COMMAND_REPLACE, COMMAND_KILL, COMMAND_HUNG, COMMAND_COUNT };

struct supervisor {
    struct mutex lock;
    struct supervised services[SERVICES_MAX];
    uint32_t order[SERVICES_MAX];
    size_t count, ordered;
    kpio_handle port, endpoint; // of init's own protocol
    const struct archive *archive;
    const struct options *options;
};
extern struct supervisor supervisor;

// Reads the manifests /etc/init/* into the table and plans the order of start; says what is wrong with which.
void supervisor_load(const struct archive *archive, const struct options *options);

// After supervisor_load: starts what the mode asks for, and runs until a service with main = yes ends: its exit status.
int64_t supervisor_run(void);

// ---- inside init --------------------------------------------------------------------------------------------------------
// The service of that name, or NULL.
struct supervised *supervisor_find(const char *name);
static inline uint32_t supervisor_index(const struct supervised *s) { return (uint32_t)(s - supervisor.services); }
// Whether it may serve the mount of that tag.
bool supervisor_may_mount(const struct supervised *s, const char *tag);
// How many mounts of the command line are for services of its manifest, if that is what they do.
size_t supervisor_mounts_of(const struct supervised *s);
// It serves mounts, and the command line has none for it.
static inline bool supervisor_has_no_work_for(const struct supervised *s) {
    return service_is_granted(&s->manifest, GRANT_MOUNT) && supervisor_mounts_of(s) == 0;
}
// Any thread: asks the supervisor. 0 or a negative errno.
int64_t supervisor_post(const struct supervised *s, enum command command);

// Lock held. Whether all that s needs is ready, or not worth waiting for until `now`; that is then said in the log.
bool needs_are_met(const struct supervised *s, uint64_t now);

// Supervisor thread, lock held. Starts a process for it: 0 or a negative errno, said in the log.
int64_t service_start(struct supervised *s);
// ... ends its process, if one runs; its end is noticed through the port.
void service_kill(struct supervised *s);
// ... asks it for its state, and keeps that; the process then ends by itself.
int64_t service_hand_over(struct supervised *s);

// Any thread, lock held. The next start is one of a new version: of the successor, if there is one.
void trial_begin(struct supervised *s);
// ... It is ready.
void trial_passed(struct supervised *s);
// ... It will not be: the next start is one of the version before.
void trial_failed(struct supervised *s);

// Names thread: serves init's protocol for ever.
int64_t names_main(void *arg);
// Lock held: answers those who wait to connect to a service that is ready now, or whose time is over.
void names_flush(uint64_t now);
// Lock held: the earliest time at which names_flush has something to do.
uint64_t names_due(void);
// Watchdog thread.
int64_t watchdog_main(void *arg);
