// app: installs, lists, runs and removes apps, which appd keeps (protocols/appd.def).
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/text.h"
#include "protocols/gen/appd.h"
#include "user/libkpio/appd.h"
#include "user/shell/input.h"
#include "user/shell/shell.h"

#define COMPILE_NS 1800000000000ull  // a large module takes minutes

#define KEYS_NS 20000000ull              // between two looks at what was typed while an app runs
#define KILLED ((uint64_t)(int64_t)-ECANCELED)

static struct client client = {.name = "appd"};

static void show(const uint8_t *text, uint32_t size) { print("%.*s%s", (int)size, (const char *)text, size > 0 ? "\n" : ""); }

// ---- install and update -----------------------------------------------------------------------------------------------------------

// What the installer grants besides directories: environment, jit, memory=SIZE, time=DURATION.
static bool take_grant(struct appd_install_request *r, const char *word) {
    const struct text text = text_of(word);
    if (text_equal(text, TEXT("environment"))) r->flags |= APPD_GRANT_ENVIRONMENT;
    else if (text_equal(text, TEXT("jit"))) r->flags |= APPD_GRANT_JIT;
    else if (text_starts_with(text, TEXT("memory="))) return text_to_size((struct text){word + 7, text.size - 7}, &r->memory);
    else if (text_starts_with(text, TEXT("time="))) return text_to_duration((struct text){word + 5, text.size - 5}, &r->time);
    else return false;
    return true;
}

static int64_t install(unsigned count, char **words, bool update) {
    struct appd_install_request request = {};
    struct appd_install_reply reply = {};
    struct appd_update_request same;
    struct appd_update_reply updated = {};
    for (unsigned i = 4; i < count; i++) {
        if (take_grant(&request, words[i])) continue;
        print("app: %s: neither environment, jit, memory=SIZE nor time=TIME\n", words[i]);
        return 0;
    }
    int64_t bytes = file_load(startup_handle("root"), words[3], request.manifest, sizeof request.manifest);
    int64_t module = bytes < 0 ? bytes : file_open(startup_handle("root"), words[2], 0, KPIO_RIGHT_READ);
    if (module < 0) return module;
    request.manifest_size = (uint32_t)bytes;
    request.module = (kpio_handle)module;
    memcpy(&same, &request, sizeof same);
    int64_t error = update ? appd_update(&client, &same, &updated) : appd_install(&client, &request, &reply);
    (void)kpio_handle_close((uint64_t)module);
    if (error < 0) return error;
    if (update) show(updated.text, updated.text_size);
    else show(reply.text, reply.text_size);
    return 0;
}

static int64_t grant(unsigned count, char **words) {
    struct appd_grant_request request = {};
    struct appd_grant_reply reply = {};
    bool writes = count == 6 && strcmp(words[5], "write") == 0;
    if (count == 6 && !writes && strcmp(words[5], "read") != 0) return -EINVAL;
    int64_t directory = directory_open(startup_handle("root"), words[4]);
    if (directory < 0) return directory;
    request.flags = writes ? APPD_GRANT_WRITE : 0;
    request.directory = (kpio_handle)directory;
    bool fits = text_copy(request.name, sizeof request.name, text_of(words[2]));
    fits = text_copy(request.guest, sizeof request.guest, text_of(words[3])) && fits;
    fits = text_copy(request.path, sizeof request.path, text_of(words[4])) && fits;
    int64_t error = fits ? appd_grant(&client, &request, &reply) : -ENAMETOOLONG;
    (void)kpio_handle_close((uint64_t)directory);
    if (error == 0) show(reply.text, reply.text_size);
    return error;
}

// ---- what there is ----------------------------------------------------------------------------------------------------------------

static int64_t list(void) {
    struct appd_list_request request = {};
    struct appd_list_reply reply = {};
    int64_t error;
    for (; (error = appd_list(&client, &request, &reply)) == 0; request.index++)
        print("%-24s %-12s %-7s %s\n", reply.name, reply.version, reply.mode, reply.state);
    return error == -ENOENT ? 0 : error;
}

static int64_t info(const char *name) {
    struct appd_info_request request = {};
    struct appd_info_reply reply = {};
    if (!text_copy(request.name, sizeof request.name, text_of(name))) return -ENOENT;
    int64_t error = appd_info(&client, &request, &reply);
    if (error == 0) print("%.*s%s", (int)reply.text_size, (const char *)reply.text, reply.result < 0 ? "\n" : "");
    return error;
}

static int64_t remove_app(const char *name) {
    struct appd_remove_request request = {};
    struct appd_remove_reply reply = {};
    if (!text_copy(request.name, sizeof request.name, text_of(name))) return -ENOENT;
    int64_t error = appd_remove(&client, &request, &reply);
    if (error == 0) show(reply.text, reply.text_size);
    return error;
}

// ---- run ------------------------------------------------------------------------------------------------------------------------

static void close_if(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

// What it writes goes to the console until both pipes are closed on its side.
static unsigned show_output(struct kpio_wait_item *items, unsigned open) {
    for (unsigned i = open; i-- > 0;) {
        uint8_t bytes[512];
        if (items[i].asserted == 0) continue;
        int64_t got = kpio_pipe_read(items[i].handle, bytes, sizeof bytes, KPIO_PIPE_NOWAIT, 0);
        if (got > 0) print_text((const char *)bytes, (size_t)got);
        else if (got != -EAGAIN) items[i] = items[--open];
    }
    return open;
}

// To its end, with what is typed as its input. Ctrl-C ends it.
static void follow(kpio_handle process, struct input *input, kpio_handle output, kpio_handle error) {
    struct kpio_wait_item items[3] = {{.handle = output}, {.handle = error}, {.handle = process}};
    const unsigned ends = process > 0;
    unsigned open = 2;
    for (bool ended = ends == 0; open > 0 || !ended;) {
        for (unsigned i = 0; i < open; i++) items[i].signals = KPIO_SIGNAL_READABLE | KPIO_SIGNAL_PEER_GONE;
        items[open] = (struct kpio_wait_item){.handle = process, .signals = KPIO_SIGNAL_TERMINATED};
        if (kpio_handle_wait_many(items, open + !ended, time_now() + KEYS_NS) < 0) return;
        ended = ended || items[open].asserted != 0;
        if (!ended && !input_step(input)) (void)kpio_process_kill(process, KILLED);
        open = show_output(items, open);
    }
}

static int64_t ask_to_run(unsigned count, char **words, struct appd_run_request *request, kpio_handle *process) {
    struct appd_run_reply reply = {};
    if (!text_copy(request->name, sizeof request->name, text_of(words[2]))) return -ENOENT;
    for (unsigned i = 3; i < count; i++) {
        request->words_size += (uint32_t)fmt_print((char *)request->words + request->words_size,
                                                   sizeof request->words - request->words_size, "a%s", words[i]) + 1;
    }
    int64_t error = appd_run(&client, request, &reply);
    *process = reply.process;
    return error;
}

// A wait status, or what the system gave to a process that it ended.
static void tell_end(int64_t status) {
    if (status == (int64_t)KILLED) print("^C\n");
    else if (status == KPIO_STATUS_FAULT - KPIO_EXC_NO_MEMORY) print("ended: no memory for a page that it used\n");
    else if (status < 0) print("ended by the system: %ld\n", (long)status);
    else if ((status & 0x7f) != 0) print("ended by signal %ld\n", (long)(status & 0x7f));
    else if (status != 0) print("exit status %ld\n", (long)(status >> 8));
}

static int64_t run(unsigned count, char **words) {
    static struct input input;
    struct appd_run_request request = {};
    kpio_handle process = KPIO_HANDLE_NONE;
    int64_t status = 0, reader = input_begin(&input);
    int64_t output = reader < 0 ? reader : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &request.output);
    int64_t error = output < 0 ? output : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &request.error), result = error;
    request.input = reader > 0 ? (kpio_handle)reader : KPIO_HANDLE_NONE;
    if (result > 0) result = ask_to_run(count, words, &request, &process);
    close_if(request.input);
    close_if(request.output);
    close_if(request.error);
    if (error > 0) follow(process, &input, (kpio_handle)output, (kpio_handle)error);
    input_end(&input);
    close_if((kpio_handle)output);
    close_if((kpio_handle)error);
    if (result == 0) result = wait_terminated(process, KPIO_TIME_NEVER, &status);
    close_if(process);
    if (result == 0) tell_end(status);
    return result;
}

// ---- the command ------------------------------------------------------------------------------------------------------------------

static const struct {
    const char *name, *usage;
    unsigned least, most;
} verbs[] = {
    {"install", "app install MODULE MANIFEST [environment] [jit] [memory=SIZE] [time=TIME]", 4, 8},
    {"update", "app update MODULE MANIFEST [environment] [jit] [memory=SIZE] [time=TIME]", 4, 8},
    {"grant", "app grant NAME DIRECTORY PATH [read|write]", 5, 6},
    {"list", "app list", 2, 2},
    {"info", "app info NAME", 3, 3},
    {"remove", "app remove NAME", 3, 3},
    {"run", "app run NAME [ARGUMENT ...]", 3, WORDS_MAX},
};

static int64_t run_verb(size_t verb, unsigned count, char **words) {
    client.timeout_ns = COMPILE_NS;  // what is asked for may wait for what somebody else compiles
    switch (verb) {
    case 0: return install(count, words, false);
    case 1: return install(count, words, true);
    case 2: return grant(count, words);
    case 3: return list();
    case 4: return info(words[2]);
    case 5: return remove_app(words[2]);
    default: return run(count, words);
    }
}

int64_t run_app(unsigned count, char **words) {
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (count > 1 && strcmp(verbs[i].name, words[1]) == 0 && count >= verbs[i].least && count <= verbs[i].most) {
            int64_t result = run_verb(i, count, words);
            client_close(&client);  // by the next command another appd may serve
            return result;
        }
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) print("usage: %s\n", verbs[i].usage);
    return 0;
}
