// What an open file asks its driver beside data: POLL and what is told of it, and ioctls.
#include "abi/fs.h"
#include "tests/guest/fuse/fuse.h"

#define SET_EVENTS 0x40044501u     // takes 4 bytes: what POLL answers from now on
#define TELL       0x00004502u     // NOTIFY_POLL; the answer is how often POLL was asked
#define TURN       0xc0084503u     // takes 8 bytes, gives them turned around
#define GIVE       0x80104504u     // gives 16 bytes, of which half come
#define REFUSE     0x00004505u
#define RETRY      0xc0044506u     // wants to name memory of the caller's
#define TOO_MUCH   0x80044507u
#define ARGUMENT   0x00004508u     // answers its argument

static uint64_t poll_number;
static uint32_t events, wanted, polls;

static bool is_so(const char *what) {
    if (strcmp(what, "polled") == 0) return polls != 0;
    return strcmp(what, "all wanted") == 0 && wanted == (KPIO_POLL_IN | KPIO_POLL_OUT);
}

static int64_t tell(struct fuse_driver *d) {
    const struct {
        struct fuse_out_header header;
        struct fuse_notify_poll_wakeup_out out;
    } notice = {{sizeof notice, FUSE_NOTIFY_POLL, 0}, {poll_number}};
    const struct kpio_io_vector part = {(uint64_t)&notice, sizeof notice};
    int64_t result = kpio_fuse_reply(d->channel, &part, 1);
    return result == 0 ? polls : result;
}

static int64_t control(struct fuse_driver *d, const struct fuse_call *call) {
    const struct fuse_ioctl_in *in = call->body;
    struct fuse_ioctl_out *out = (struct fuse_ioctl_out *)call->reply;
    const uint8_t *data = (const uint8_t *)(in + 1);
    uint8_t *back = (uint8_t *)(out + 1);
    *out = (struct fuse_ioctl_out){.result = 7};
    if (in->fh != PLAIN_HANDLE || call->bytes != sizeof *in + in->in_size || in->flags != 0) return -EIO;
    switch (in->cmd) {
    case SET_EVENTS: memcpy(&events, data, sizeof events); break;
    case TELL: out->result = (int32_t)tell(d); break;
    case TURN:
        for (unsigned i = 0; i < 8; i++) back[i] = data[7 - i];
        return sizeof *out + 8;
    case GIVE:
        memset(back, 'g', 8);
        return sizeof *out + 8;
    case REFUSE: out->result = -EBUSY; break;
    case RETRY: out->flags = FUSE_IOCTL_RETRY; break;
    case TOO_MUCH: return sizeof *out + 5;
    case ARGUMENT: out->result = (int32_t)in->arg; break;
    default: return -ENOSYS;
    }
    return sizeof *out;
}

static int64_t tells(struct fuse_driver *d, const struct fuse_call *call) {
    static const struct plain_file file = {.size = 4096, .is_so = is_so};
    const struct fuse_poll_in *poll = call->body;
    int64_t result = plain_answer(&file, call);
    if (result != PLAIN_NOT) return result;
    switch (call->header->opcode) {
    case FUSE_IOCTL: return control(d, call);
    case FUSE_POLL:
        if (poll->fh != PLAIN_HANDLE || !(poll->flags & FUSE_POLL_SCHEDULE_NOTIFY)) return -EIO;
        poll_number = poll->kh;
        wanted = poll->events;
        polls++;
        *(struct fuse_poll_out *)call->reply = (struct fuse_poll_out){.revents = events};
        return sizeof(struct fuse_poll_out);
    case FUSE_FLUSH:
    case FUSE_RELEASE: return 0;
    default: return -ENOSYS;
    }
}

KT_CHILD(tells_events) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = tells};
    (void)fuse_run(&d);
    return 0;
}

static void begin(struct mounted *m, kpio_handle *file) {
    mounted_begin_native(m, "tells_events", NULL);
    *file = open_file(m->root, "file", 0, RW);
}

static void end(struct mounted *m, kpio_handle file) {
    kt_close(file);
    mounted_end(m);
}

static int64_t set(kpio_handle file, uint32_t now) { return kpio_file_control(file, SET_EVENTS, (uint64_t)&now); }
static int64_t number(kpio_handle file, uint32_t command) { return kpio_file_control(file, command, 0); }

// The signals, of those that are asked for, that are asserted now.
static uint32_t signals(kpio_handle file, uint32_t asked) {
    struct kpio_wait_item item = {.handle = file, .signals = asked};
    KT_OK(kpio_handle_wait_many(&item, 1, 0));
    return item.asserted;
}

static int64_t wait_for_news(void *arg) {
    struct kpio_wait_item item = {.handle = *(const kpio_handle *)arg, .signals = KPIO_SIGNAL_POLL_AGAIN};
    int64_t result = kpio_handle_wait_many(&item, 1, KPIO_TIME_NEVER);
    return result == 1 ? item.asserted : result;
}

KT_TEST(a_driver_tells_what_a_file_is_ready_for) {
    struct mounted m;
    struct thread waiter;
    kpio_handle file;
    int64_t told;
    begin(&m, &file);
    KT_EQUAL(signals(file, KPIO_SIGNAL_READABLE | KPIO_POLL_IN), KPIO_SIGNAL_READABLE);
    KT_EQUAL(kpio_file_poll(file, KPIO_POLL_IN), 0);
    KT_EQUAL(signals(file, KPIO_POLL_ALL | KPIO_SIGNAL_POLL_AGAIN | KPIO_SIGNAL_READABLE), 0);
    KT_EQUAL(thread_spawn(&waiter, "waiter", wait_for_news, &file, NULL, 0), 0);
    KT_EQUAL(set(file, KPIO_POLL_IN | KPIO_POLL_OUT), 7);
    KT_EQUAL(number(file, TELL), 1);
    KT_EQUAL(thread_join(&waiter, &told), 0);
    KT_EQUAL(told, KPIO_SIGNAL_POLL_AGAIN);
    KT_EQUAL(signals(file, KPIO_SIGNAL_POLL_AGAIN), KPIO_SIGNAL_POLL_AGAIN);
    KT_EQUAL(kpio_file_poll(file, KPIO_POLL_OUT), KPIO_POLL_OUT);
    KT_ERROR(ask_driver(&m, "all wanted"), ENOENT);  // the answer is to be good for who waits for others
    KT_EQUAL(signals(file, KPIO_POLL_ALL | KPIO_SIGNAL_POLL_AGAIN), KPIO_POLL_IN | KPIO_POLL_OUT);
    KT_EQUAL(kpio_file_poll(file, KPIO_POLL_IN), KPIO_POLL_IN);
    KT_EQUAL(set(file, KPIO_POLL_HANGUP), 7);
    KT_EQUAL(kpio_file_poll(file, KPIO_POLL_IN), KPIO_POLL_HANGUP);
    KT_ERROR(kpio_file_poll(file, 1u << 16), EINVAL);
    end(&m, file);
}

KT_TEST(a_file_is_closed_while_its_driver_tells) {
    struct mounted m;
    kpio_handle file, other;
    begin(&m, &file);
    other = open_file(m.root, "file", 0, RW);
    KT_EQUAL(kpio_file_poll(other, KPIO_POLL_IN), 0);
    kt_close(other);
    KT_EQUAL(number(file, TELL), 1);  // of one that is gone
    end(&m, file);
}

KT_TEST(who_polls_learns_of_the_drivers_end) {
    struct mounted m;
    struct thread waiter;
    kpio_handle file;
    int64_t told;
    begin(&m, &file);
    KT_EQUAL(kpio_file_poll(file, KPIO_POLL_IN), 0);
    KT_EQUAL(thread_spawn(&waiter, "waiter", wait_for_news, &file, NULL, 0), 0);
    mounted_kill(&m);
    KT_EQUAL(thread_join(&waiter, &told), 0);
    KT_EQUAL(told, KPIO_SIGNAL_POLL_AGAIN);
    KT_EQUAL(kpio_file_poll(file, KPIO_POLL_IN), KPIO_POLL_ERROR);
    KT_ERROR(number(file, REFUSE), ENOTCONN);
    mounted_start_child(&m, "tells_events");
    KT_ERROR(ask_driver(&m, "polled"), EBUSY);
    KT_EQUAL(kpio_file_poll(file, KPIO_POLL_IN), KPIO_POLL_ERROR);
    KT_ERROR(number(file, REFUSE), ESTALE);
    end(&m, file);
}

KT_TEST(files_without_such_a_driver_are_always_ready) {
    struct mounted m;
    mounted_begin(&m, NULL, NULL);
    kpio_handle file = open_file(m.root, "file", KPIO_OPEN_CREATE, RW);
    kpio_handle memory = KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, NULL)), other = open_file(memory, "file", KPIO_OPEN_CREATE, RW);
    for (unsigned i = 0; i < 2; i++) {
        KT_ERROR(kpio_file_poll(file, KPIO_POLL_IN), EOPNOTSUPP);
        KT_ERROR(kpio_file_poll(other, KPIO_POLL_IN), EOPNOTSUPP);
        KT_ERROR(number(file, REFUSE), ENOTTY);
        KT_ERROR(number(other, REFUSE), ENOTTY);
        KT_EQUAL(signals(file, KPIO_SIGNAL_READABLE), KPIO_SIGNAL_READABLE);
    }
    kt_close(file);
    kt_close(other);
    kt_close(memory);
    mounted_end(&m);
}

KT_TEST(an_ioctl_goes_to_the_driver) {
    struct mounted m;
    kpio_handle file;
    uint8_t bytes[17] = "12345678";
    begin(&m, &file);
    KT_EQUAL(kpio_file_control(file, TURN, (uint64_t)bytes), 7);
    KT_CHECK(memcmp(bytes, "87654321", 9) == 0);
    memset(bytes, 'x', 16);
    KT_EQUAL(kpio_file_control(file, GIVE, (uint64_t)bytes), 7);
    KT_CHECK(memcmp(bytes, "ggggggggxxxxxxxx", 16) == 0);
    KT_EQUAL(kpio_file_control(file, ARGUMENT, 12345), 12345);
    KT_ERROR(number(file, REFUSE), EBUSY);
    KT_ERROR(number(file, 0x4509), ENOTTY);
    KT_ERROR(kpio_file_control(file, RETRY, (uint64_t)bytes), EIO);
    KT_ERROR(kpio_file_control(file, TOO_MUCH, (uint64_t)bytes), EIO);
    KT_ERROR(kpio_file_control(file, TURN, 8), EFAULT);
    KT_ERROR(kpio_file_control(file, GIVE, 8), EFAULT);
    end(&m, file);
}

// Who may only read does not control a file as somebody who may write it.
KT_TEST(an_ioctl_needs_what_the_file_is_open_for) {
    struct mounted m;
    kpio_handle file;
    begin(&m, &file);
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(file, KPIO_RIGHT_READ)), nothing = KT_HANDLE(kpio_handle_dup(file, KPIO_RIGHT_WAIT));
    kpio_handle own = open_file(m.root, "file", 0, KPIO_RIGHT_READ);
    KT_ERROR(number(reader, REFUSE), EACCES);
    KT_ERROR(number(nothing, REFUSE), EACCES);
    KT_ERROR(number(own, REFUSE), EBUSY);
    KT_ERROR(kpio_file_poll(reader, KPIO_POLL_IN), EACCES);
    kt_close(reader);
    kt_close(nothing);
    kt_close(own);
    end(&m, file);
}
