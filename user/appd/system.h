// System apps: those of the boot archive, as /lib/kpio/apps/NAME.app (a manifest) and NAME.wasm beside it.
#pragma once
#include "user/libkpio/process.h"

// Installs those that are not installed in this version with this module. Who made the archive grants what their manifests ask for, but
// no directories. What fails is told in the log.
void system_apps_install(const struct archive *archive);
