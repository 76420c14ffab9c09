// Replies to requests that must not be done twice. One is committed together with what its request changed, and stays until it is
// known that its caller has it: a caller that was interrupted meanwhile, or whose posixd ended, sends the request again.
#include "lib/string.h"
#include "protocols/gen/node.h"
#include "protocols/gen/posix.h"
#include "user/posixd/posixd.h"

bool identify(uint64_t header, struct identity *out) {
    switch (KPIO_MESSAGE_LABEL(header)) {
    case NODE_OPEN: case NODE_READ: case NODE_WRITE: case NODE_IOCTL:
    case POSIX_TAKE: case POSIX_KILL: case POSIX_SETPGID: case POSIX_SETSID: case POSIX_STOP: case POSIX_SOCKET_BIND: break;
    default: return false;
    }
    if (KPIO_MESSAGE_BYTES(header) < sizeof *out) return false;
    memcpy(out, thread_message(), sizeof *out);
    return out->tid != 0;
}

static struct answer *change(const struct answer *a) { return state_change(a, sizeof *a); }

static void release(const struct answer *a) {
    if (a->open != 0) keep_drop_audience(a->open - 1, a->generation);
    *change(a) = (struct answer){0};
    uint32_t top = state->totals.answer_top;
    while (top > 0 && state->answers[top - 1].tid == 0) top--;
    if (top != state->totals.answer_top) totals_change()->answer_top = top;
}

// Who sends another request has the reply to the one before.
static const struct answer *find(const struct identity *id, uint32_t label) {
    const struct answer *found = NULL;
    for (uint32_t i = state->totals.answer_top; i-- > 0;) {
        const struct answer *a = &state->answers[i];
        if (a->tid != id->tid) continue;
        if (a->serial == id->serial && a->label == label) found = a;
        else release(a);
    }
    return found;
}

static const struct answer *find_room(void) {
    const struct answer *oldest = &state->answers[0];
    for (uint32_t i = 0; i < ANSWERS_MAX; i++) {
        const struct answer *a = &state->answers[i];
        if (a->tid == 0) {
            if (i >= state->totals.answer_top) totals_change()->answer_top = i + 1;
            return a;
        }
        if (a->order < oldest->order) oldest = a;
    }
    release(oldest);
    return oldest;
}

// The handles of an open: its event was kept for this.
static uint64_t open_again(const struct answer *a) {
    const struct open *o = &state->opens[a->open - 1];
    struct node_open_reply reply = {0};
    int64_t result = o->used && o->generation == a->generation ? kept_audience(a->open - 1, a->generation) : -EIO;
    if (result > 0) {
        reply.event = (kpio_handle)result;
        reply_closes(reply.event);
        result = open_endpoint(o);
    }
    if (result <= 0) {
        release(a);
        return KPIO_MESSAGE(result < 0 ? (uint32_t)-result : EIO, 0, 0);
    }
    reply.endpoint = (kpio_handle)result;
    reply_closes(reply.endpoint);
    return node_open_reply_encode(0, &reply);
}

uint64_t answer_again(const struct identity *id, uint64_t header) {
    const struct answer *a = find(id, KPIO_MESSAGE_LABEL(header));
    if (a == NULL) return KPIO_REPLY_NONE;
    (void)message_error(header, EIO);  // closes what handles came with it once more
    if (a->open != 0) return open_again(a);
    memcpy(thread_message(), state->answered[a - state->answers], KPIO_MESSAGE_BYTES(a->reply));
    return a->reply;
}

void answer_keep(const struct identity *id, uint32_t label, uint64_t reply) {
    const struct answer *room = find_room();
    const uint32_t bytes = KPIO_MESSAGE_BYTES(reply);
    struct kpio_handle_info info;
    struct answer a = {.tid = id->tid, .pid = id->pid, .label = label, .serial = id->serial, .reply = reply};
    if (label == NODE_OPEN && KPIO_MESSAGE_HANDLES(reply) == 2 && kpio_handle_info(thread_self()->handles[1].handle, &info) == 0) {
        const struct open *o = open_of(info.badge);
        a.open = (uint32_t)(o - state->opens) + 1;
        a.generation = o->generation;
    }
    a.order = totals_change()->order++;
    *change(room) = a;
    if (bytes > 0) memcpy(state_change(state->answered[room - state->answers], bytes), thread_message(), bytes);
}

void answer_delivered(const struct identity *id) {
    for (uint32_t i = state->totals.answer_top; i-- > 0;)
        if (state->answers[i].tid == id->tid) release(&state->answers[i]);
}

void answers_drop(uint32_t pid) {
    for (uint32_t i = state->totals.answer_top; i-- > 0;)
        if (state->answers[i].tid != 0 && state->answers[i].pid == pid) release(&state->answers[i]);
}

bool answer_has_open(uint32_t index, uint32_t generation) {
    for (uint32_t i = 0; i < state->totals.answer_top; i++)
        if (state->answers[i].open == index + 1 && state->answers[i].generation == generation) return true;
    return false;
}
