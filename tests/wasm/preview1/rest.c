// WASI preview 1: directories that are listed, clocks, waiting, random bytes, arguments, variables, sockets and signals, of which there
// are none. /data (3) may be written.
#include <stdbool.h>
#include <stdlib.h>

#include "tests/wasm/preview1/check.h"

#define DATA 3
#define FILES 120
#define ENTRY_BYTES 24u  // before the name

static uint32_t moved;
static uint64_t times[2];

// ---- listing ---------------------------------------------------------------------------------------------------------------------

static void file_name(char name[5], int number) {
    const char digits[] = {'f', (char)('0' + number / 100), (char)('0' + number / 10 % 10), (char)('0' + number % 10), '\0'};
    memcpy(name, digits, sizeof digits);
}

// One entry that is whole in `size` bytes of buffer: how many bytes it has, and its name; 0: there is none.
static size_t entry(const char *buffer, size_t size, __wasi_dirent_t *out, char name[64]) {
    if (size < ENTRY_BYTES) return 0;
    memcpy(out, buffer, ENTRY_BYTES);
    if (out->d_namlen >= 64 || size < ENTRY_BYTES + out->d_namlen) return 0;
    memcpy(name, buffer + ENTRY_BYTES, out->d_namlen);
    name[out->d_namlen] = '\0';
    return ENTRY_BYTES + out->d_namlen;
}

// Lists all with buffers of a size, each call from where the one before came to; every name must come once.
static void list_all(int list, i32 size) {
    static char buffer[8192];
    char seen[FILES] = {0}, name[64];
    int count = 0, dots = 0;
    uint64_t cookie = 0;
    for (bool more = true; more;) {
        OK(fd_readdir(list, buffer, size, (i64)cookie, &moved));
        more = moved == (uint32_t)size;
        __wasi_dirent_t e;
        for (size_t at = 0, bytes; (bytes = entry(buffer + at, moved - at, &e, name)) != 0; at += bytes, cookie = e.d_next) {
            const int number = name[0] == 'f' ? atoi(name + 1) : -1;
            dots += strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
            count++;
            if (number >= 0 && number < FILES && e.d_type == __WASI_FILETYPE_REGULAR_FILE) seen[number]++;
        }
    }
    CHECK(count == FILES + 3 && dots == 2);
    for (int i = 0; i < FILES; i++) CHECK(seen[i] == 1);
}

static void listing(void) {
    static char buffer[256], name[64], again[64];
    __wasi_dirent_t e, f;
    OK(path_create_directory(DATA, TEXT("list")));
    const int list = open_path(DATA, "list", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR);
    for (int i = 0; i < FILES; i++) {
        file_name(name, i);
        OK(fd_close(open_path(list, name, __WASI_OFLAGS_CREAT, READ_RIGHTS)));
    }
    OK(path_create_directory(list, TEXT("folder")));
    list_all(list, 8192);
    list_all(list, 300);
    list_all(list, 64);
    OK(fd_readdir(list, buffer, 0, 0, &moved));
    CHECK(moved == 0);
    OK(fd_readdir(list, buffer, 10, 0, &moved));  // not even one entry's beginning
    CHECK(moved == 10);
    OK(fd_readdir(list, buffer, sizeof buffer, 40, &moved));  // from the middle, twice
    CHECK(entry(buffer, moved, &e, name) != 0);
    OK(fd_readdir(list, buffer, sizeof buffer, 40, &moved));
    CHECK(entry(buffer, moved, &f, again) != 0 && strcmp(name, again) == 0 && e.d_next == f.d_next);
    OK(fd_readdir(list, buffer, sizeof buffer, FILES + 3, &moved));
    CHECK(moved == 0);
    OK(fd_readdir(list, buffer, sizeof buffer, 1 << 30, &moved));  // behind the end
    CHECK(moved == 0);
    OK(fd_readdir(list, buffer, sizeof buffer, -1, &moved));
    CHECK(moved == 0);
    EXPECT(fd_readdir(1, buffer, sizeof buffer, 0, &moved), BADF);
    const int file = open_path(list, "f000", 0, READ_RIGHTS);
    CHECK(p1_fd_readdir(file, buffer, sizeof buffer, 0, &moved) != 0);
    OK(fd_close(file));
    for (int i = 0; i < FILES; i++) {
        file_name(name, i);
        OK(path_unlink_file(list, TEXT(name)));
    }
    OK(path_remove_directory(list, TEXT("folder")));
    OK(fd_readdir(list, buffer, sizeof buffer, 0, &moved));
    CHECK(moved == 2 * ENTRY_BYTES + 3);  // "." and ".."
    OK(fd_close(list));
    OK(path_remove_directory(DATA, TEXT("list")));
}

// ---- time ------------------------------------------------------------------------------------------------------------------------

static uint64_t now(int clock) {
    uint64_t time = 0;
    OK(clock_time_get(clock, 1, &time));
    return time;
}

static void clocks(void) {
    OK(clock_res_get(__WASI_CLOCKID_REALTIME, times));
    CHECK(times[0] > 0 && times[0] <= 1000000000);
    OK(clock_res_get(__WASI_CLOCKID_MONOTONIC, times));
    CHECK(times[0] > 0 && times[0] <= 1000000000);
    const uint64_t first = now(__WASI_CLOCKID_MONOTONIC), second = now(__WASI_CLOCKID_MONOTONIC);
    CHECK(second >= first);
    CHECK(now(__WASI_CLOCKID_REALTIME) > 1700000000000000000);
    EXPECT(clock_time_get(__WASI_CLOCKID_PROCESS_CPUTIME_ID, 1, times), BADF);
    EXPECT(clock_res_get(__WASI_CLOCKID_THREAD_CPUTIME_ID, times), BADF);
}

static __wasi_subscription_t timer(uint64_t name, int clock, uint64_t nanos, int flags) {
    return (__wasi_subscription_t){name, {__WASI_EVENTTYPE_CLOCK, {.clock = {(uint32_t)clock, nanos, 0, (uint16_t)flags}}}};
}
static __wasi_subscription_t ready(uint64_t name, int type, int fd) {
    return (__wasi_subscription_t){name, {(uint8_t)type, {.fd_read = {fd}}}};
}

#define MILLISECOND 1000000ull
#define MANY 500
static __wasi_subscription_t wanted[MANY];
static __wasi_event_t events[MANY];

// The adapter of components has EOVERFLOW for a real time that is over when it looks, as it may be where the machine is slow.
static void waiting_until(void) {
    uint64_t until, ahead = 5 * MILLISECOND;
    int error;
    do {
        until = now(__WASI_CLOCKID_REALTIME) + ahead;
        wanted[0] = timer(9, __WASI_CLOCKID_REALTIME, until, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
        error = p1_poll_oneoff(wanted, events, 1, &moved);
        ahead *= 2;
    } while (error == __WASI_ERRNO_OVERFLOW && now(__WASI_CLOCKID_REALTIME) > until);
    CHECK(error == 0 && moved == 1 && events[0].userdata == 9 && now(__WASI_CLOCKID_REALTIME) >= until);
}

static void waiting(void) {
    const uint64_t before = now(__WASI_CLOCKID_MONOTONIC);
    wanted[0] = timer(7, __WASI_CLOCKID_MONOTONIC, 5 * MILLISECOND, 0);
    OK(poll_oneoff(wanted, events, 1, &moved));
    CHECK(moved == 1 && events[0].userdata == 7 && events[0].error == 0 && events[0].type == __WASI_EVENTTYPE_CLOCK);
    CHECK(now(__WASI_CLOCKID_MONOTONIC) >= before + 5 * MILLISECOND);
    wanted[0] = timer(8, __WASI_CLOCKID_MONOTONIC, before, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);  // over already
    OK(poll_oneoff(wanted, events, 1, &moved));
    CHECK(moved == 1 && events[0].userdata == 8);
    waiting_until();
    EXPECT(poll_oneoff(wanted, events, 0, &moved), INVAL);
    wanted[1] = timer(10, __WASI_CLOCKID_THREAD_CPUTIME_ID, 1, 0);
    CHECK(p1_poll_oneoff(wanted, events, 2, &moved) != 0);
}

// Many at once: of the timers only those of the shortest time, and what is ready anyway.
static void waiting_for_many(void) {
    const int file = open_path(DATA, "polled", __WASI_OFLAGS_CREAT, ALL_RIGHTS);
    for (int i = 0; i < MANY; i++)
        wanted[i] = timer((uint64_t)i, __WASI_CLOCKID_MONOTONIC, i == 321 ? MILLISECOND : 3600000 * MILLISECOND, 0);
    OK(poll_oneoff(wanted, events, MANY, &moved));
    CHECK(moved == 1 && events[0].userdata == 321);
    wanted[100] = ready(100, __WASI_EVENTTYPE_FD_WRITE, 1);
    wanted[200] = ready(200, __WASI_EVENTTYPE_FD_READ, file);
    wanted[300] = ready(300, __WASI_EVENTTYPE_FD_WRITE, file);
    wanted[321].u.u.clock.timeout = 3600000 * MILLISECOND;
    OK(poll_oneoff(wanted, events, MANY, &moved));
    CHECK(moved >= 1 && moved <= 3);
    for (uint32_t i = 0; i < moved; i++) CHECK(events[i].error == 0 && events[i].userdata % 100 == 0 && events[i].userdata != 0);
    static const int bad[] = {BAD_FD, DATA, -1};
    for (unsigned i = 0; i < 3; i++) {
        wanted[400] = ready(400, __WASI_EVENTTYPE_FD_READ, bad[i]);
        EXPECT(poll_oneoff(wanted, events, MANY, &moved), BADF);
    }
    OK(fd_close(file));
    OK(path_unlink_file(DATA, TEXT("polled")));
}

// ---- all else --------------------------------------------------------------------------------------------------------------------

static void words(void) {
    static char text[256], *list[16];
    uint32_t count, bytes;
    OK(args_sizes_get(&count, &bytes));
    CHECK(count == 4 && bytes > 12);
    OK(args_get(list, text));
    CHECK(strcmp(list[1], "one") == 0 && strcmp(list[2], "") == 0 && strcmp(list[3], "\xc3\xa4 b") == 0);
    CHECK(list[3] + strlen(list[3]) + 1 == text + bytes);
    OK(environ_sizes_get(&count, &bytes));
    CHECK(count == 2 && bytes == sizeof "A=b" + sizeof "LONG=value=x=y");
    OK(environ_get(list, text));
    CHECK(strcmp(list[0], "A=b") == 0 && strcmp(list[1], "LONG=value=x=y") == 0);
}

static void chance(void) {
    static unsigned char bytes[100000];
    unsigned counts[256] = {0};
    OK(random_get(bytes, 0));
    CHECK(bytes[0] == 0);
    OK(random_get(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++) counts[bytes[i]]++;
    for (unsigned i = 0; i < 256; i++) CHECK(counts[i] > 200 && counts[i] < 600);  // 390 each; nine deviations of 20 away is never
}

static void what_is_not_there(void) {
    char byte;
    const __wasi_iovec_t piece = {(uint8_t *)&byte, 1};
    OK(sched_yield());
    if (IS_COMPONENT) return;
    EXPECT(proc_raise(6), NOTSUP);
    EXPECT(sock_accept(DATA, 0, &moved), NOTSOCK);
    EXPECT(sock_recv(1, &piece, 1, 0, &moved, times), NOTSOCK);
    EXPECT(sock_send(1, &piece, 1, 0, &moved), NOTSOCK);
    EXPECT(sock_shutdown(1, 1), NOTSOCK);
    EXPECT(sock_accept(BAD_FD, 0, &moved), BADF);
    EXPECT(sock_recv(BAD_FD, &piece, 1, 0, &moved, times), BADF);
    EXPECT(sock_send(BAD_FD, &piece, 1, 0, &moved), BADF);
    EXPECT(sock_shutdown(BAD_FD, 1), BADF);
}

int main(void) {
    listing();
    clocks();
    waiting();
    waiting_for_many();
    words();
    chance();
    what_is_not_there();
    if (finish("every other function") == 0) p1_proc_exit(42);
    return 1;
}
