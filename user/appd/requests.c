#include "user/appd/requests.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "protocols/gen/appd.h"
#include "user/appd/describe.h"
#include "user/appd/install.h"
#include "user/appd/launch.h"
#include "user/appd/work.h"
#include "user/libkpio/appd.h"
#include "user/libkpio/kpio.h"

static kpio_handle root;
static bool checked, lost;

void requests_open(kpio_handle directory) { root = directory; }

void requests_checked(bool key_lost) {
    lost = key_lost;
    __atomic_store_n(&checked, true, __ATOMIC_RELEASE);
}

static uint64_t errno_reply(int64_t error) { return KPIO_MESSAGE(-error, 0, 0); }

static void close_if(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

// ---- install and update -----------------------------------------------------------------------------------------------------------

_Static_assert(sizeof(struct appd_install_request) == sizeof(struct appd_update_request), "one function serves both");
_Static_assert(sizeof(((struct appd_install_reply *)0)->text) == INSTALL_TEXT_MAX, "texts");

static void install(const struct appd_install_request *r, enum apps_rule rule, struct appd_install_reply *reply) {
    char text[INSTALL_TEXT_MAX];
    const struct install in = {.manifest = {(const char *)r->manifest, r->manifest_size},
                               .module = r->module,
                               .rule = rule,
                               .grants = {.environment = (r->flags & APPD_GRANT_ENVIRONMENT) != 0,
                                          .jit = (r->flags & APPD_GRANT_JIT) != 0,
                                          .memory = r->memory,
                                          .time = r->time}};
    bool known = (r->flags & ~(uint32_t)(APPD_GRANT_ENVIRONMENT | APPD_GRANT_JIT)) == 0;
    if (!known) (void)fmt_print(text, sizeof text, "unknown flags");
    reply->result = known ? install_app(&in, text) : -EINVAL;
    reply->text_size = (uint32_t)strlen(text);
    memcpy(reply->text, text, reply->text_size);
}

static uint64_t do_install(const void *request, int64_t error) {
    const struct appd_install_request *r = request;
    struct appd_install_reply reply = {};
    if (error == 0) install(r, APPS_NEW, &reply);
    close_if(r->module);
    return error != 0 ? errno_reply(error) : appd_install_reply_encode(0, &reply);
}

static uint64_t do_update(const void *request, int64_t error) {
    const struct appd_install_request *r = request;
    struct appd_install_reply reply = {};
    if (error == 0) install(r, APPS_REPLACE, &reply);
    close_if(r->module);
    return error != 0 ? errno_reply(error) : appd_install_reply_encode(0, &reply);
}

// ---- grant and remove -------------------------------------------------------------------------------------------------------------

// Whether who sent the handle may itself what is granted, of the directory that the path names.
static int64_t check_granter(const struct appd_grant_request *r, bool writes) {
    const uint32_t needed = KPIO_RIGHT_READ | (writes ? KPIO_RIGHT_WRITE : 0);
    struct kpio_handle_info info;
    struct kpio_stat own, shown;
    int64_t error = kpio_handle_info(r->directory, &info);
    if (error == 0 && (info.rights & needed) != needed) error = -EACCES;
    if (error == 0) error = kpio_path_stat(r->directory, NULL, 0, &shown);
    if (error == 0) error = kpio_path_stat(root, r->path, 0, &own);
    if (error == 0 && (own.inode != shown.inode || own.fs != shown.fs)) error = -EACCES;
    return error;
}

static int64_t grant(const struct appd_grant_request *r, const char **what) {
    bool writes = (r->flags & APPD_GRANT_WRITE) != 0;
    *what = "unknown flags";
    if (r->flags & ~(uint32_t)APPD_GRANT_WRITE) return -EINVAL;
    *what = r->path;
    if (r->path[0] != 0 && !app_path_is_good(text_of(r->path))) return -EINVAL;
    int64_t error = r->path[0] != 0 ? check_granter(r, writes) : 0;
    if (error < 0) return error;
    *what = "its manifest asks for no such directory";
    error = apps_grant(r->name, r->guest, r->path, writes);
    if (error == -ENOENT) *what = "it is not installed";
    return error;
}

static void put_text(uint8_t *to, uint32_t *bytes, size_t size, const char *what, int64_t error) {
    char *text = (char *)to;
    size_t used = fmt_print(text, size, "%s%s%s", what, error < 0 ? ": " : "", error < 0 ? error_name(error) : "");
    *bytes = (uint32_t)MIN(used, size - 1);
}

static uint64_t do_grant(const void *request, int64_t error) {
    const struct appd_grant_request *r = request;
    struct appd_grant_reply reply = {};
    const char *what = "";
    if (error == 0) reply.result = grant(r, &what);
    close_if(r->directory);
    if (error != 0) return errno_reply(error);
    if (reply.result < 0) put_text(reply.text, &reply.text_size, sizeof reply.text, what, reply.result);
    return appd_grant_reply_encode(0, &reply);
}

static uint64_t do_remove(const void *request, int64_t error) {
    const struct appd_remove_request *r = request;
    struct appd_remove_reply reply = {};
    if (error != 0) return errno_reply(error);
    reply.result = apps_remove(r->name);
    if (reply.result < 0)
        put_text(reply.text, &reply.text_size, sizeof reply.text, reply.result == -ENOENT ? "it is not installed" : r->name, reply.result);
    cache_collect();
    return appd_remove_reply_encode(0, &reply);
}

// ---- run ------------------------------------------------------------------------------------------------------------------------

static void complain(kpio_handle pipe, const char *name, const char *text) {
    char line[LAUNCH_TEXT_MAX + 64];
    size_t bytes = fmt_print(line, sizeof line, "appd: %s: %s\n", name, text);
    (void)kpio_pipe_write(pipe, (const uint8_t *)line, MIN(bytes, sizeof line - 1), KPIO_PIPE_NOWAIT, 0);
}

// A version whose artifact may run is taken, and that artifact is what is run.
static int64_t run(const struct appd_run_request *r, char text[LAUNCH_TEXT_MAX]) {
    struct app_version version;
    int64_t result = apps_take(r->name, &version);
    if (result < 0) {
        (void)fmt_print(text, LAUNCH_TEXT_MAX, "it is not installed");
        return result;
    }
    const struct launch launch = {.version = &version, .input = r->input, .output = r->output, .error = r->error,
                                  .words = (const char *)r->words, .words_size = r->words_size};
    if (app_is_compiled(&version.record)) result = cache_ensure(version.artifact, text);
    if (result == 0) result = launch_app(&launch, text);
    app_version_put(&version);
    return result;
}
_Static_assert(LAUNCH_TEXT_MAX == CACHE_TEXT_MAX, "one buffer for both");

static uint64_t do_run(const void *request, int64_t error) {
    const struct appd_run_request *r = request;
    char text[LAUNCH_TEXT_MAX];
    int64_t process = error == 0 ? run(r, text) : error;
    if (error == 0 && process < 0) complain(r->error, r->name, text);
    close_if(r->input);
    close_if(r->output);
    close_if(r->error);
    if (process < 0) return errno_reply(process);
    const struct appd_run_reply reply = {.process = (kpio_handle)process};
    return appd_run_reply_encode(0, &reply);
}

// ---- what is told -----------------------------------------------------------------------------------------------------------------

static uint64_t do_list(const void *request, int64_t error) {
    const struct appd_list_request *r = request;
    struct appd_list_reply reply = {};
    struct app_version version;
    if (error == 0) error = apps_take_nth(r->index, &version);
    if (error != 0) return errno_reply(error);
    (void)text_copy(reply.name, sizeof reply.name, text_of(version.record.manifest.name));
    (void)text_copy(reply.version, sizeof reply.version, text_of(version.record.manifest.version));
    (void)text_copy(reply.mode, sizeof reply.mode, text_of(app_mode_name(version.record.manifest.mode)));
    (void)text_copy(reply.state, sizeof reply.state, text_of(describe_state(&version)));
    app_version_put(&version);
    return appd_list_reply_encode(0, &reply);
}

static uint64_t do_info(const void *request, int64_t error) {
    const struct appd_info_request *r = request;
    struct appd_info_reply reply = {};
    struct app_version version;
    if (error != 0) return errno_reply(error);
    reply.result = apps_take(r->name, &version);
    if (reply.result == 0) {
        reply.text_size = (uint32_t)describe_app(&version, (char *)reply.text, sizeof reply.text);
        app_version_put(&version);
    } else {
        put_text(reply.text, &reply.text_size, sizeof reply.text, "it is not installed", reply.result);
    }
    return appd_info_reply_encode(0, &reply);
}

static uint64_t do_status(const void *request, int64_t error) {
    if (error != 0) return errno_reply(error);
    struct cache_counts c = cache_count();
    struct appd_status_reply reply = {.done = __atomic_load_n(&checked, __ATOMIC_ACQUIRE), .checked = c.checked, .valid = c.valid,
                                      .dropped = c.dropped, .compiled = c.compiled, .failed = c.failed, .apps = apps_count()};
    reply.key_lost = reply.done && lost;
    return appd_status_reply_encode(0, &reply);
}

// ---- dispatch -------------------------------------------------------------------------------------------------------------------

#define DEFER(message, queue)                                                                                                      \
    static int64_t defer_##message(void *context, uint64_t badge, const struct appd_##message##_request *request,                 \
                                   struct appd_##message##_reply *reply) {                                                        \
        return work_defer(queue, do_##message, request, sizeof *request);                                                         \
    }
DEFER(install, WORK_SLOW)
DEFER(update, WORK_SLOW)
DEFER(grant, WORK_SLOW)
DEFER(remove, WORK_SLOW)
DEFER(run, WORK_SLOW)
DEFER(list, WORK_QUICK)
DEFER(info, WORK_QUICK)
DEFER(status, WORK_QUICK)

uint64_t requests_dispatch(void *context, uint64_t header, uint64_t badge) {
    static const struct appd_server server = {.install = defer_install, .update = defer_update, .grant = defer_grant,
                                              .remove = defer_remove, .run = defer_run, .list = defer_list,
                                              .info = defer_info, .status = defer_status};
    return appd_dispatch(&server, context, header, badge);
}
