// The part of protocols/posix.def that tells what processes are.
#pragma once
#include "protocols/gen/posix.h"
#include "user/posixd/posixd.h"

void about_say(const struct process *p, const struct posix_attach_request *request);  // state_lock is held
int64_t about_look(void *context, uint64_t badge, const struct posix_look_request *request, struct posix_look_reply *reply);
int64_t about_count(void *context, uint64_t badge, const struct posix_count_request *r, struct posix_count_reply *reply);
int64_t about_next(void *context, uint64_t badge, const struct posix_next_request *request, struct posix_next_reply *reply);
