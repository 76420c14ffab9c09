// The demonstration: steps that each add a row to the table at its end.
#pragma once
#include "user/libkpio/kpio.h"

#define PATIENCE_NS 300000000000ull  // for what must come, however busy the machine is: only against hanging

// A row: what was done, whether it went as it should, and figures.
void row(const char *what, bool good, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Asks init to do something to a service.
int64_t control(const char *service, const char *command);
int64_t control_program(const char *service, const char *command, const char *program);
uint64_t microseconds_since(uint64_t start);

void demo_apps(uint64_t began);  // WebAssembly programs; `began`: when this one did, in ns since the boot
void demo_services(void);   // a name becomes an endpoint, and what a call costs
void demo_crash(void);      // a bad pointer ends a process, and only that
void demo_hang(void);       // the watchdog
void demo_replace(void);    // a new version under load, with the old one's state
void demo_other_program(void);  // a new version from another file: kpio.successor=PATH
void demo_rng(void);
void demo_net(void);        // frames while their driver is killed and replaced
void demo_isolation(void);  // what a program cannot do
