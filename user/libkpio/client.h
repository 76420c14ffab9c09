// A client's end of a protocol: connects by name, and again when the server was lost.
#pragma once
#include <stdbool.h>

#include "abi/gen/stubs.h"

struct client {
    const char *name;                        // of the service; NULL: `endpoint` is all there is
    kpio_handle endpoint;                    // 0: not connected
    uint32_t lost;                           // how often the server was lost
    uint64_t timeout_ns;                     // of one message, and of connecting; 0: 30 s
    int64_t (*replay)(struct client *client);// sets up again what the server knew of this client; for `replay` messages
    bool replaying;
};
#define CLIENT_TIMEOUT_DEFAULT 30000000000ull
#define CLIENT_ATTEMPTS_MAX 10u

enum client_policy { CLIENT_RETRY, CLIENT_REPLAY, CLIENT_ERROR };
struct client_attempt {
    enum client_policy policy;
    uint32_t count;
};

// Connects if it is not: 0 or a negative errno.
int64_t client_connect(struct client *client);
// One message: the reply's header or a negative errno. The connection is dropped when the server is lost.
int64_t client_call(struct client *client, uint64_t header);
// Whether to send the message again, after `result`.
bool client_again(struct client *client, struct client_attempt *attempt, int64_t result);
void client_close(struct client *client);
