// What both sides of protocols/appd.def know.
#pragma once

enum { APPD_GRANT_ENVIRONMENT = 1 << 0, APPD_GRANT_JIT = 1 << 1, APPD_GRANT_WRITE = 1 << 2 };
