// Apps in words.
#pragma once
#include "user/appd/apps.h"

// Of its artifact, in a few words.
const char *describe_state(const struct app_version *version);
// Lines: what it is, asked for and was granted. The length; cut to fit.
size_t describe_app(const struct app_version *version, char *text, size_t size);
