// The driver of virtio's file system device: a folder of the host behind a FUSE channel. It carries messages and understands none
// but INIT: a request is copied once by the kernel, into memory for the device, and a reply once, out of it.
//
//   receive  takes requests from the kernel, each into a free slot, and gives them to the device
//   answer   waits for the device, and gives replies to the kernel; notices when the device says nothing any more
//   service  (the first thread) answers init's pings
//
// The channel is "fuse" among its handles, or init is asked for it by the device's tag. When the device lies, the driver ends, and
// init resets the device and starts the next, which goes on where this one was (session.c). When the device does not answer at all
// the driver ends for good: its host's daemon is gone.
//
// Settings, for tests: end_after=N   ends at the Nth request, as a driver with a bug would.
//                      begin_anew    takes no session over, as if the host knew none.
#include "drivers/fs/virtio_fs/driver.h"
#include "lib/string.h"
#include "lib/text.h"
#include "lib/util.h"
#include "protocols/gen/init.h"

#define REQUEST_MAX (FS_SLOT_BYTES - 1024u)  // there is room for a small reply behind the largest request
#define SILENCE_NS 10000000000ull            // after which the device is asked whether it is there, and time for the answer
// The driver's state is its host's: what is open goes on when the driver is started again. It looks itself whether its host is there.
#define REQUEST_SECONDS 120
#define GONE_FOR_GOOD 0                      // exit status, after which init starts none again
#define TO_BE_STARTED_AGAIN 1

static struct driver driver;

_Noreturn static void end(int64_t status, const char *what, int64_t error) {
    if (error != 0) print("%s: %s: %s\n", driver.tag, what, error_name(error));
    else print("%s: %s\n", driver.tag, what);
    process_exit(status);
}

// ---- replies -------------------------------------------------------------------------------------------------------------------

static void reply_error(struct driver *d, uint64_t unique, int32_t error) {
    const struct fuse_out_header h = {sizeof h, error, unique};
    const struct kpio_io_vector part = {(uint64_t)&h, sizeof h};
    (void)kpio_fuse_reply(d->channel, &part, 1);
}

static void reply_init(struct driver *d, uint64_t unique, const struct fuse_init_out *init) {
    const struct fuse_out_header h = {sizeof h + sizeof *init, 0, unique};
    const struct kpio_io_vector parts[] = {{(uint64_t)&h, sizeof h}, {(uint64_t)init, sizeof *init}};
    (void)kpio_fuse_reply(d->channel, parts, 2);
}

// ENOENT: nobody waits for it any more. A device that changes its reply meanwhile may have the kernel find none (EINVAL).
static void reply_whole(struct driver *d, const struct fs_answer *answer) {
    const struct kpio_io_vector part = {(uint64_t)answer->reply, answer->bytes};
    if (kpio_fuse_reply(d->channel, &part, 1) == -EINVAL) reply_error(d, answer->unique, -EIO);
}

static void answered(struct driver *d, const struct fs_answer *answer) {
    const struct fuse_init_out *init = NULL;
    bool is_init = answer->opcode == FUSE_INIT && answer->reply != NULL;
    if (is_init) init = session_begin(answer->reply, answer->bytes);
    if (init != NULL) reply_init(d, answer->unique, init);
    else if (answer->answers && (answer->reply == NULL || is_init)) reply_error(d, answer->unique, -EIO);
    else if (answer->answers) reply_whole(d, answer);
    device_slot_free(d, answer->slot);
}

// ---- threads -------------------------------------------------------------------------------------------------------------------

static void forward(struct driver *d, uint32_t slot, uint32_t bytes) {
    const struct fuse_in_header *h = (const struct fuse_in_header *)d->ring.slot[slot].memory;
    const struct fuse_init_out *init = h->opcode == FUSE_INIT ? session_answer() : NULL;
    uint64_t unique = h->unique;
    int error = 0;
    if (init != NULL) reply_init(d, unique, init);
    else error = device_send(d, slot, bytes);
    if (error != 0) reply_error(d, unique, -EIO);
    if (error != 0 || init != NULL) device_slot_free(d, slot);
}

static int64_t receive_main(void *arg) {
    struct driver *d = arg;
    uint64_t end_after = 0;
    if (startup_setting("end_after") != NULL) (void)text_to_u64(text_of(startup_setting("end_after")), &end_after);
    for (uint64_t number = 1;; number++) {
        uint32_t slot = device_slot_take(d);
        int64_t bytes = kpio_fuse_receive(d->channel, NULL, 0, d->ring.slot[slot].memory, REQUEST_MAX, KPIO_TIME_NEVER);
        if (number == end_after) end(TO_BE_STARTED_AGAIN, "ends here, as it was told to", 0);
        if (bytes >= (int64_t)sizeof(struct fuse_in_header)) forward(d, slot, (uint32_t)bytes);
        else if (bytes == -EINTR) device_slot_free(d, slot);
        else end(TO_BE_STARTED_AGAIN, "the mount has ended, or took this driver for lost", bytes);
    }
}

// When a device that goes on keeping to itself what it has is to be asked whether it is there.
static uint64_t patience_ends(struct driver *d) {
    mutex_lock(&d->lock);
    uint64_t since = fs_ring_in_flight(&d->ring) != 0 ? d->heard : time_now();
    mutex_unlock(&d->lock);
    return since + SILENCE_NS;
}

static void answer_main(struct driver *d) {
    for (uint64_t asked = 0;;) {
        int error = device_wait(d, d->probing ? asked + SILENCE_NS : patience_ends(d), answered);
        if (error != 0 && error != -ETIMEDOUT) end(TO_BE_STARTED_AGAIN, "the device failed", error);
        if (d->probing && time_now() >= asked + SILENCE_NS) end(GONE_FOR_GOOD, "the host does not answer any more", 0);
        if (d->probing || time_now() < patience_ends(d)) continue;
        asked = time_now();
        device_probe(d);
    }
}

static int64_t answer_thread(void *arg) {
    answer_main(arg);
    return 0;
}

// ---- life ----------------------------------------------------------------------------------------------------------------------

// Whether the host still knows what an earlier driver's mount named; asked before anybody waits for it.
static bool session_is_alive(struct driver *d) {
    uint64_t deadline = time_now() + SILENCE_NS;
    if (startup_setting("begin_anew") != NULL || !session_take_over()) return false;
    device_probe(d);
    while (d->probing) {
        int error = device_wait(d, deadline, answered);
        if (error == -ETIMEDOUT && time_now() >= deadline) end(GONE_FOR_GOOD, "the host does not answer any more", 0);
        if (error != 0 && error != -ETIMEDOUT) end(TO_BE_STARTED_AGAIN, "the device failed", error);
    }
    if (d->probe_error == 0) return true;
    session_forget();
    return false;
}

// The mount's end for this driver.
static void get_channel(struct driver *d, bool goes_on) {
    struct client init = {.endpoint = startup_handle("init")};
    struct init_serve_request request = {.fresh = !goes_on, .stateless = 1, .timeout = REQUEST_SECONDS};
    struct init_serve_reply reply;
    d->channel = startup_handle("fuse");
    if (d->channel > 0) return;
    memcpy(request.tag, d->tag, sizeof d->tag);
    int64_t error = init_serve(&init, &request, &reply);
    if (error == -ENOENT) end(GONE_FOR_GOOD, "nothing is to be mounted by this name", 0);
    if (error < 0 || reply.fuse <= 0) end(TO_BE_STARTED_AGAIN, "no mount", error < 0 ? error : -EMFILE);
    d->channel = reply.fuse;
}

static uint64_t dispatch(void *context, uint64_t header, uint64_t badge) { return KPIO_MESSAGE(ENOSYS, 0, 0); }

int main(int argc, char **argv) {
    static struct thread receiver, answerer;
    const struct service service = {.dispatch = dispatch};
    int error = device_open(&driver);
    if (error != 0) end(TO_BE_STARTED_AGAIN, "no device", error);
    get_channel(&driver, session_is_alive(&driver));
    error = thread_spawn(&receiver, "receive", receive_main, &driver, NULL, 0);
    if (error == 0 && startup_handle("service") == KPIO_HANDLE_NONE) answer_main(&driver);
    if (error == 0) error = thread_spawn(&answerer, "answer", answer_thread, &driver, NULL, 0);
    if (error != 0) end(TO_BE_STARTED_AGAIN, "no thread", error);
    return service_run(&service) == 0 ? 0 : 1;
}
