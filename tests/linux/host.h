// What a program of tests/linux has to know of the system that it runs on.
#pragma once
#include "tests/linux/lt.h"  // first: it asks for all that Linux has

#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>

static inline int is_kpio(void) {
    struct utsname name;
    LT_OK(uname(&name));
    return strstr(name.version, "KPIO") != NULL;
}

// Mounts from here on are seen by this program and its children alone, where that has to be asked for.
static inline void mount_apart(void) {
    static int apart;
    if (is_kpio() || apart) return;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) LT_SKIP("this host lets nobody mount");
    apart = 1;
}
