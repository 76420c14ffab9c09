// Nodes that a process serves: its memory in the program's address space, and servers that answer what they must not. Linux has no
// such nodes: the runner of these programs on KPIO gives some, from descriptor 1100 on (tests/linux/runner/node.h).
#include "tests/linux/native.h"

#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum served {
    SERVED_WELL, SERVED_READ_ONLY, SERVED_WITHOUT_MEMORY, SERVED_WITHOUT_HANDLE, SERVED_EVENT, SERVED_WILD_OFFSET, SERVED_ODD_OFFSET,
    SERVED_SMALL, SERVED_MANY_HANDLES, SERVED_WILD_ERROR, SERVED_OWN_ERROR, SERVED_SHORT, SERVED_DROPPED, SERVED_REVOKED, SERVED_COUNT
};
#define NODE(how) (1100 + (how))
#define PAGE 4096

static void *map_of(enum served how, size_t size, int prot, int flags, off_t offset) {
    return mmap(NULL, size, prot, flags, NODE(how), offset);
}
#define LT_MAPS(...)                                                                                                               \
    ({                                                                                                                             \
        char *lt_at = map_of(__VA_ARGS__);                                                                                         \
        LT_CHECK(lt_at != MAP_FAILED);                                                                                             \
        lt_at;                                                                                                                     \
    })
#define LT_NO_MAP(error, ...) LT_ERRNO((long)map_of(__VA_ARGS__), error)

// The signal that looking at an address ends a child with.
static int looked_at(const volatile char *at) {
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        (void)*at;
        _exit(0);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

LT_TEST(shared_memory) {
    only_here();
    char *all = LT_MAPS(SERVED_WELL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
    char *second = LT_MAPS(SERVED_WELL, PAGE, PROT_READ, MAP_SHARED, PAGE);
    LT_TEXT(second, "served");
    LT_TEXT(all + PAGE, "served");
    all[PAGE] = 'S';
    LT_EQUAL(second[0], 'S');
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        all[0] = 'x';
        _exit(0);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(all[0], 'x');
    all[0] = 0;
    all[PAGE] = 's';
    LT_ERRNO(mprotect(second, PAGE, PROT_READ | PROT_EXEC), EACCES);
    LT_OK(munmap(all, 2 * PAGE));
    LT_TEXT(second, "served");
    LT_OK(munmap(second, PAGE));
}

LT_TEST(a_copy_of_ones_own) {
    only_here();
    char *own = LT_MAPS(SERVED_WELL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, PAGE);
    LT_TEXT(own, "served");
    own[0] = 'x';
    char *shared = LT_MAPS(SERVED_WELL, PAGE, PROT_READ, MAP_SHARED, PAGE);
    LT_TEXT(shared, "served");
    LT_OK(munmap(own, PAGE));
    LT_OK(munmap(shared, PAGE));
}

LT_TEST(places) {
    only_here();
    char *room = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(room != MAP_FAILED);
    LT_CHECK(mmap(room + PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, NODE(SERVED_WELL), PAGE) == room + PAGE);
    LT_TEXT(room + PAGE, "served");
    LT_ERRNO((long)mmap(room, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, NODE(SERVED_WELL), 0), EEXIST);
    LT_OK(munmap(room, 4 * PAGE));
    LT_NO_MAP(EINVAL, SERVED_WELL, PAGE, PROT_READ, MAP_SHARED, 1);
    LT_NO_MAP(EINVAL, SERVED_WELL, 0, PROT_READ, MAP_SHARED, 0);
}

LT_TEST(only_what_the_handle_allows) {
    only_here();
    LT_NO_MAP(EACCES, SERVED_READ_ONLY, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
    LT_NO_MAP(EACCES, SERVED_WELL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, 0);
    LT_NO_MAP(EACCES, SERVED_WELL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0);
    char *at = LT_MAPS(SERVED_READ_ONLY, PAGE, PROT_READ, MAP_SHARED, 0);
    LT_ERRNO(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
    LT_OK(munmap(at, PAGE));
}

LT_TEST(no_memory) {
    only_here();
    LT_NO_MAP(ENODEV, SERVED_WITHOUT_MEMORY, PAGE, PROT_READ, MAP_SHARED, 0);
}

LT_TEST(answers_that_cannot_be) {
    only_here();
    for (int i = 0; i < 200; i++) {  // whatever comes with them is let go
        LT_NO_MAP(EIO, SERVED_WITHOUT_HANDLE, PAGE, PROT_READ, MAP_SHARED, 0);
        LT_NO_MAP(EIO, SERVED_EVENT, PAGE, PROT_READ, MAP_SHARED, 0);
        LT_NO_MAP(EIO, SERVED_WILD_OFFSET, 2 * PAGE, PROT_READ, MAP_SHARED, 0);
        LT_NO_MAP(EIO, SERVED_ODD_OFFSET, PAGE, PROT_READ, MAP_SHARED, 0);
        LT_NO_MAP(EIO, SERVED_MANY_HANDLES, PAGE, PROT_READ, MAP_SHARED, 0);
        LT_NO_MAP(EIO, SERVED_WILD_ERROR, PAGE, PROT_READ, MAP_SHARED, 0);
        LT_NO_MAP(EIO, SERVED_OWN_ERROR, PAGE, PROT_READ, MAP_SHARED, 0);
    }
    LT_NO_MAP(EIO, SERVED_DROPPED, PAGE, PROT_READ, MAP_SHARED, 0);
    char *at = LT_MAPS(SERVED_SHORT, PAGE, PROT_READ, MAP_SHARED, 0);
    LT_OK(munmap(at, PAGE));
}

LT_TEST(less_than_was_asked_for) {
    only_here();
    char *at = map_of(SERVED_SMALL, 2 * PAGE, PROT_READ, MAP_SHARED, 0);
    if (at == MAP_FAILED) {
        LT_EQUAL(errno, EIO);
        return;
    }
    LT_EQUAL(looked_at(at), 0);
    LT_EQUAL(looked_at(at + PAGE), SIGBUS);
    LT_OK(munmap(at, 2 * PAGE));
}

LT_TEST(transfers_that_cannot_be) {
    only_here();
    char bytes[64] = "untouched";
    LT_EQUAL(read(NODE(SERVED_WELL), bytes, 4), 0);
    LT_ERRNO(read(NODE(SERVED_EVENT), bytes, 4), EIO);
    LT_ERRNO(write(NODE(SERVED_EVENT), bytes, 4), EIO);
    LT_ERRNO(read(NODE(SERVED_OWN_ERROR), bytes, 4), EIO);
    LT_ERRNO(write(NODE(SERVED_OWN_ERROR), bytes, 4), EIO);
    LT_EQUAL(read(NODE(SERVED_SHORT), bytes, 4), 0);
    LT_EQUAL(write(NODE(SERVED_SHORT), bytes, 4), 0);
    LT_TEXT(bytes, "untouched");
}

LT_TEST(taken_back) {
    only_here();
    char *at = LT_MAPS(SERVED_REVOKED, 2 * PAGE, PROT_READ, MAP_SHARED, 0);
    LT_TEXT(at + PAGE, "served");
    LT_OK(ioctl(NODE(SERVED_REVOKED), 0, 0));
    LT_CHECK(looked_at(at + PAGE) != 0);
}
