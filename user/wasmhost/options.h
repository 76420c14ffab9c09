// The command line of wasmhost. Flags are named as the wasmtime command names them.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Exit statuses besides the program's own.
enum {
    STATUS_REFUSED = 1,    // it called a function of the host as none can be called: no errno tells of that
    STATUS_USAGE = 2,      // the command line, or a file that cannot be run as asked
    STATUS_TIMEOUT = 124,  // its wall time or CPU time is over
    STATUS_TRAP = 134,     // as a shell shows SIGABRT, and the wasmtime command a trap
};

enum mode { MODE_AOT, MODE_JIT, MODE_INTERP };

struct preopen {
    char *host, *guest;
    bool read_only;
};

struct options {
    enum mode mode;
    const char *file;             // what it is called, by itself and in messages
    const char *place;            // where it is
    const char **arguments;       // of the program, its name first
    size_t argument_count;
    struct preopen *preopens;
    size_t preopen_count;
    const char **names, **values; // of its environment
    size_t variable_count;
    int64_t memory;               // most bytes of a linear memory; -1: as the module says
    uint64_t timeout_nanos;       // wall time; 0: none
    uint64_t cpu_nanos;           // CPU time, of all threads; 0: no limit
    int64_t files;                // most files that are open at a time; -1: as the system says
    int64_t stack;                // bytes of the program's stack; -1: the engine's
    int64_t table_elements;       // most elements of a table
    int64_t tables, memories, instances;  // most that are made; -1: the engine's
    bool trap_on_grow_failure;    // what cannot grow ends the program
    bool verbose;                 // tells by what it is run
};

// Ends the process with a message where argv is wrong (STATUS_USAGE) or asks for help (0). What *out points to lasts as long as argv.
void options_parse(int argc, char **argv, struct options *out);
