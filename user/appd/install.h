// Installing and updating: what is asked, is read, compiled and only then made the app of its name.
#pragma once
#include "user/appd/apps.h"

#define INSTALL_TEXT_MAX 1024u

struct install {
    struct text manifest;
    kpio_handle module;              // a file to read, the caller's; 0: the module is in memory
    const void *data;
    uint64_t size;
    struct app_grants grants;        // but for directories, which are granted afterwards
    enum apps_rule rule;
};
// 0, or a negative errno. text, terminated: what to tell a person, either way. What was there before an error stays.
[[nodiscard]] int64_t install_app(const struct install *install, char text[INSTALL_TEXT_MAX]);
