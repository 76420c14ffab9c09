#include "user/libkpio/client.h"

#include "user/libkpio/service.h"
#include "user/libkpio/wait.h"

static uint64_t timeout_of(const struct client *client) {
    return client->timeout_ns ? client->timeout_ns : CLIENT_TIMEOUT_DEFAULT;
}

// What a call says when the server, or the way to it, is gone.
static bool is_lost(int64_t result) { return result == -EPIPE || result == -EBADF || result == -ECANCELED; }

int64_t client_connect(struct client *client) {
    if (client->endpoint > 0) return 0;
    if (client->name == NULL) return -EPIPE;
    int64_t endpoint = service_connect(client->name, timeout_of(client));
    if (endpoint < 0) return endpoint;
    client->endpoint = (kpio_handle)endpoint;
    return 0;
}

int64_t client_call(struct client *client, uint64_t header) {
    int64_t result = kpio_ipc_call(client->endpoint, header, time_now() + timeout_of(client));
    if (is_lost(result) && client->name != NULL) {
        client->lost++;
        client_close(client);
    }
    return result;
}

void client_close(struct client *client) {
    if (client->endpoint > 0) (void)kpio_handle_close((uint64_t)client->endpoint);
    client->endpoint = KPIO_HANDLE_NONE;
}

bool client_again(struct client *client, struct client_attempt *attempt, int64_t result) {
    if (!is_lost(result) || attempt->policy == CLIENT_ERROR || client->name == NULL) return false;
    if (++attempt->count >= CLIENT_ATTEMPTS_MAX) return false;
    // Lost again at once: init has not noticed yet, and named the dead server once more.
    if (attempt->count > 1) time_sleep_ms(1ull << (attempt->count - 2));
    if (attempt->policy == CLIENT_RETRY) return true;
    if (client->replay == NULL || client->replaying) return false;
    client->replaying = true;  // what replay itself sends is not replayed
    int64_t error = client_connect(client);
    if (error == 0) error = client->replay(client);
    client->replaying = false;
    return error == 0 || is_lost(error);
}
