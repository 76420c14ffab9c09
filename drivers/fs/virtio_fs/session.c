#include "drivers/fs/virtio_fs/driver.h"
#include "lib/string.h"
#include "lib/util.h"
#include "protocols/gen/init.h"

#define STATE_VERSION 1u
#define STATE_BYTES 4096u

static struct state {           // in the VMO that init keeps
    uint32_t version, agreed;
    struct fuse_init_out init;
} state;

bool session_take_over(void) {
    struct state old;
    kpio_handle vmo = startup_handle("state");
    if (vmo <= 0 || kpio_vmo_read(vmo, 0, (uint8_t *)&old, sizeof old) != sizeof old) return false;
    if (old.version != STATE_VERSION || old.agreed == 0) return false;
    state = old;
    return true;
}

void session_forget(void) { state.agreed = 0; }

const struct fuse_init_out *session_answer(void) { return state.agreed != 0 ? &state.init : NULL; }

// Nobody keeps it where init is not there: the next driver begins anew then.
static void keep(void) {
    struct client init = {.endpoint = startup_handle("init")};
    struct init_keep_reply reply;
    if (init.endpoint == KPIO_HANDLE_NONE) return;
    int64_t vmo = kpio_vmo_create(STATE_BYTES, 0);
    int64_t error = vmo < 0 ? vmo : kpio_vmo_write((kpio_handle)vmo, 0, (const uint8_t *)&state, sizeof state);
    const struct init_keep_request request = {.state = (kpio_handle)vmo};
    if (error >= 0) error = init_keep(&init, &request, &reply);
    if (error < 0) print("the session is not kept for the next driver: %s\n", error_name(error));
}

const struct fuse_init_out *session_begin(const uint8_t *reply, uint32_t bytes) {
    struct fuse_out_header h;
    struct fuse_init_out out = {0};
    memcpy(&h, reply, sizeof h);
    if (h.error != 0 || bytes < sizeof h + FUSE_INIT_OUT_LEAST) return NULL;
    memcpy(&out, reply + sizeof h, MIN(bytes - sizeof h, sizeof out));
    out.max_write = MIN(out.max_write, FS_DATA_MAX);
    out.max_readahead = MIN(out.max_readahead, FS_DATA_MAX);
    if (out.flags & FUSE_MAX_PAGES) out.max_pages = (uint16_t)MIN((uint32_t)out.max_pages, FS_DATA_MAX / 4096u);
    state = (struct state){.version = STATE_VERSION, .agreed = 1, .init = out};
    keep();
    return &state.init;
}
