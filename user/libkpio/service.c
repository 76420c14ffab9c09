#include "user/libkpio/service.h"

#include "protocols/gen/init.h"
#include "user/libkpio/startup.h"

static struct client init_client(void) { return (struct client){.endpoint = startup_handle("init")}; }

int64_t service_connect(const char *name, uint64_t timeout_ns) {
    struct client init = init_client();
    struct init_connect_request request = {.timeout_ns = timeout_ns};
    struct init_connect_reply reply;
    size_t length = strlen(name);

    if (length >= sizeof(request.name)) return -ENOENT;
    memcpy(request.name, name, length + 1);
    init.timeout_ns = timeout_ns + 1000000000ull;  // init answers in time; this is for when it does not
    int64_t error = init_connect(&init, &request, &reply);
    if (error) return error;
    return reply.endpoint > 0 ? reply.endpoint : -EMFILE;
}

void service_log(const char *text, size_t size) {
    struct client init = init_client();
    struct init_log_request request;
    struct init_log_reply reply;

    if (init.endpoint == 0) return;
    request.text_size = size < sizeof(request.text) ? (uint32_t)size : sizeof(request.text);
    memcpy(request.text, text, request.text_size);
    (void)init_log(&init, &request, &reply);
}

// Hands over the state and ends the service's life; what waits in the endpoint goes to the successor by EPIPE and name.
static int64_t service_retire(const struct service *service) {
    kpio_handle state = service->retire != NULL ? service->retire(service->context) : KPIO_HANDLE_NONE;
    if (state > 0) message_handle(0, state, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    return kpio_ipc_reply(KPIO_MESSAGE(0, 0, state > 0 ? 1 : 0));
}

int64_t service_run(const struct service *service) {
    struct client init = init_client();
    struct init_ready_request request;
    struct init_ready_reply ready;
    kpio_handle endpoint = startup_handle("service");
    int64_t error = init_ready(&init, &request, &ready);
    if (error) return error;

    int64_t header = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    for (;;) {
        if (header < 0 && header != -ECANCELED && header != -EINTR) return header;
        uint64_t reply = KPIO_REPLY_NONE;
        if (header >= 0) {
            uint32_t label = KPIO_MESSAGE_LABEL(header);
            if (label == SERVICE_RETIRE) return service_retire(service);
            reply = label == SERVICE_PING ? KPIO_MESSAGE(0, 0, 0)
                                          : service->dispatch(service->context, (uint64_t)header, thread_self()->badge);
        }
        header = reply == KPIO_REPLY_NONE ? kpio_ipc_receive(endpoint, KPIO_TIME_NEVER)
                                          : kpio_ipc_reply_receive(endpoint, reply, KPIO_TIME_NEVER);
    }
}
