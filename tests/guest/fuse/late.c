// What a driver does for a caller that has gone meanwhile: nobody knows of the node that it names or of what it opened, so both are given
// back. It keeps everything to itself that the cases ask for, and counts.
#include "tests/guest/fuse/fuse.h"

#define NEW_NODE 50u
#define NEW_HANDLE 51u
#define DIR_NODE 60u              // where names are made: the root is asked meanwhile

static uint64_t owed;              // number of the request that is not answered yet
static uint32_t owed_opcode;
static int64_t lookups;            // of the new node, less those that were given back
static int64_t opened;             // handles of that number, less those that were released
static bool wrong;                 // something was released or forgotten that was not there, or in the wrong order

static bool is_so(const char *what) {
    if (strcmp(what, "owing") == 0) return owed != 0;
    if (strcmp(what, "all back") == 0) return lookups == 0 && opened == 0 && !wrong;
    return strcmp(what, "right") == 0 && !wrong;
}

static void forget(uint64_t node, uint64_t count) {
    if (node != NEW_NODE) return;
    lookups -= (int64_t)count;
    wrong |= lookups < 0 || opened != 0;
}

static void forget_all(const struct fuse_call *call) {
    const struct fuse_batch_forget_in *in = call->body;
    const struct fuse_forget_one *one = (const struct fuse_forget_one *)(in + 1);
    for (uint32_t i = 0; i < in->count; i++) forget(one[i].nodeid, one[i].nlookup);
}

static void released(const struct fuse_call *call) {
    const struct fuse_release_in *in = call->body;
    if (in->fh != NEW_HANDLE) return;
    opened--;
    wrong |= opened < 0;
}

static int64_t answer_create(struct fuse_driver *d, const struct fuse_entry_out *e, const struct fuse_open_out *o) {
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out opened;
    } both = {*e, *o};
    return answer_late(d, owed, 0, &both, sizeof both);
}

static int64_t answer_list(struct fuse_driver *d, const struct fuse_entry_out *e) {
    struct {
        struct fuse_direntplus entry;
        char name[8];
    } list[2] = {{.entry = {*e, {NEW_NODE, 1, 1, 8}}, .name = "a"}, {.entry = {*e, {1, 2, 1, 4}}, .name = "."}};
    return answer_late(d, owed, 0, list, sizeof list);
}

// Now, when nobody waits for it: the answer's own result must be ENOENT, and nothing may be lost by it.
static int64_t answer_now(struct fuse_driver *d) {
    const struct fuse_entry_out e = {.nodeid = NEW_NODE, .attr = {.ino = NEW_NODE, .mode = 0100666, .nlink = 1}};
    const struct fuse_open_out o = {.fh = NEW_HANDLE};
    int64_t result;
    if (owed_opcode != FUSE_OPEN && owed_opcode != FUSE_OPENDIR) lookups++;
    if (owed_opcode == FUSE_CREATE || owed_opcode == FUSE_OPEN || owed_opcode == FUSE_OPENDIR) opened++;
    switch (owed_opcode) {
    case FUSE_CREATE: result = answer_create(d, &e, &o); break;
    case FUSE_OPEN:
    case FUSE_OPENDIR: result = answer_late(d, owed, 0, &o, sizeof o); break;
    case FUSE_READDIRPLUS: result = answer_list(d, &e); break;
    default: result = answer_late(d, owed, 0, &e, sizeof e);
    }
    owed = 0;
    return result == -ENOENT ? -ENOENT : -EEXIST;
}

static int64_t owe(const struct fuse_call *call) {
    owed = call->header->unique;
    owed_opcode = call->header->opcode;
    return FUSE_REPLY_NONE;
}

static int64_t look_up(struct fuse_driver *d, const struct fuse_call *call) {
    if (strcmp(call->body, "answer") == 0) return answer_now(d);
    if (strcmp(call->body, "new") == 0) return -ENOENT;
    if (strcmp(call->body, "slow") == 0) return owe(call);
    if (strcmp(call->body, "dir") != 0) return PLAIN_NOT;
    *(struct fuse_entry_out *)call->reply = (struct fuse_entry_out){
        .nodeid = DIR_NODE, .attr = {.ino = DIR_NODE, .mode = 0040755, .nlink = 2}};
    return sizeof(struct fuse_entry_out);
}

static int64_t counts(struct fuse_driver *d, const struct fuse_call *call) {
    static const struct plain_file file = {.is_so = is_so};
    switch (call->header->opcode) {
    case FUSE_OPEN:
    case FUSE_CREATE:
    case FUSE_MKDIR:
    case FUSE_READDIRPLUS: return owe(call);
    case FUSE_OPENDIR: return -ENOSYS;
    case FUSE_BATCH_FORGET: forget_all(call); return FUSE_REPLY_NONE;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: released(call); return 0;
    default: break;
    }
    int64_t result = call->header->opcode == FUSE_LOOKUP ? look_up(d, call) : PLAIN_NOT;
    if (result == PLAIN_NOT) result = plain_answer(&file, call);
    return result != PLAIN_NOT ? result : -ENOSYS;
}

KT_CHILD(counts_what_is_open) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .flags = FUSE_DO_READDIRPLUS, .answer = counts};
    (void)fuse_run(&d);
    return 0;
}

static struct mounted m;

static int64_t look(void *arg) { return ask_driver(&m, "slow"); }
static int64_t create(void *arg) { return file_open(m.root, "dir/new", KPIO_OPEN_CREATE, RW); }
static int64_t make(void *arg) { return kpio_path_make(m.root, "dir/new", 0040755, 0, 0); }
static int64_t open_it(void *arg) { return file_open(m.root, "file", 0, RW); }
static int64_t list(void *arg) {
    static uint8_t buffer[4096];
    return kpio_directory_read(m.root, buffer, sizeof buffer, 0);
}

KT_TEST(what_a_late_answer_gives_is_given_back) {
    int64_t (*const askers[])(void *) = {look, create, make, open_it, list};
    mounted_begin_native(&m, "counts_what_is_open", NULL);
    for (unsigned i = 0; i < 5; i++) {
        struct thread asker;
        KT_EQUAL(thread_spawn(&asker, "asker", askers[i], NULL, NULL, 0), 0);
        await_driver(&m, "owing");
        KT_OK(kpio_thread_kill(asker.handle));
        KT_EQUAL(thread_join(&asker, NULL), 0);
        KT_ERROR(ask_driver(&m, "answer"), ENOENT);
        await_driver(&m, "all back");
    }
    mounted_end(&m);
}
