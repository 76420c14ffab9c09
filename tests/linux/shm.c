// Memory and semaphores that programs share by name: /dev/shm, shm_open, sem_open.
// also: glibc, dynamic
#define LT_BEGIN begin
static void begin(int argc, char **argv);
#include "tests/linux/lt.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SIZE 8192

static char self[PATH_MAX], name[64], path[80];

// What another program does with the name that it is given: adds 1 to each int of the memory, then ends with the first.
static int other(const char *given) {
    int fd = shm_open(given, O_RDWR, 0);
    int *at = fd < 0 ? MAP_FAILED : mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return 99;
    for (unsigned i = 0; i < SIZE / sizeof *at; i++) at[i]++;
    return at[0];
}

static void begin(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "other") == 0) _exit(other(argv[2]));
    LT_OK(readlink("/proc/self/exe", self, sizeof self - 1));
}

static void name_it(const char *what) {
    snprintf(name, sizeof name, "/kpio-%s-%d", what, (int)getpid());
    snprintf(path, sizeof path, "/dev/shm%s", name);
}

static int make(void) {
    int fd = (int)LT_OK(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0640));
    LT_OK(ftruncate(fd, SIZE));
    return fd;
}

LT_TEST(the_folder) {
    struct stat stat;
    LT_OK(lstat("/dev/shm", &stat));
    LT_CHECK(S_ISDIR(stat.st_mode));
    LT_EQUAL(stat.st_mode & 07777, 01777);
    int seen = 0;
    DIR *dir = opendir("/dev");
    LT_CHECK(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) seen = seen || strcmp(entry->d_name, "shm") == 0;
    closedir(dir);
    LT_CHECK(seen);
}

LT_TEST(a_name_and_its_end) {
    struct stat stat;
    name_it("name");
    LT_ERRNO(shm_open(name, O_RDWR, 0), ENOENT);
    int fd = make();
    LT_ERRNO(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    LT_OK(lstat(path, &stat));
    LT_CHECK(S_ISREG(stat.st_mode));
    LT_EQUAL(stat.st_mode & 0777, 0640);
    LT_EQUAL(stat.st_size, SIZE);
    LT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    LT_OK(shm_unlink(name));
    LT_ERRNO(shm_unlink(name), ENOENT);
    LT_ERRNO(access(path, F_OK), ENOENT);
    LT_OK(close(fd));
}

LT_TEST(a_child_finds_it_by_name) {
    int status;
    name_it("child");
    int fd = make();
    int *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    LT_CHECK(at != MAP_FAILED);
    at[0] = 41;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(munmap(at, SIZE) != 0 || close(fd) != 0 ? 98 : other(name));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 42 << 8);
    LT_EQUAL(at[0], 42);
    LT_EQUAL(at[SIZE / sizeof *at - 1], 1);
    LT_OK(shm_unlink(name));
}

LT_TEST(another_program_finds_it_by_name) {
    int status;
    name_it("program");
    int fd = make();
    int *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    LT_CHECK(at != MAP_FAILED);
    for (int i = 1; i <= 3; i++) {
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            execl(self, self, "other", name, (char *)NULL);
            _exit(97);
        }
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, i << 8);
        LT_EQUAL(at[SIZE / sizeof *at - 1], i);
    }
    LT_OK(shm_unlink(name));
    LT_EQUAL(at[1], 3);
}

LT_TEST(a_path_in_the_folder) {
    char other_path[100], back[8] = "";
    name_it("path");
    int fd = (int)LT_OK(open(path, O_RDWR | O_CREAT, 0600));
    LT_EQUAL(write(fd, "hello", 5), 5);
    snprintf(other_path, sizeof other_path, "/dev/../dev/./shm%s.new", name);
    LT_OK(rename(path, other_path));
    LT_ERRNO(access(path, F_OK), ENOENT);
    int again = (int)LT_OK(open(other_path, O_RDONLY));
    LT_EQUAL(read(again, back, sizeof back), 5);
    LT_CHECK(memcmp(back, "hello", 5) == 0);
    int folder = (int)LT_OK(open("/dev/shm", O_RDONLY | O_DIRECTORY));
    snprintf(other_path, sizeof other_path, "%s.new", name + 1);
    LT_OK(faccessat(folder, other_path, R_OK, 0));
    LT_OK(unlinkat(folder, other_path, 0));
}

LT_TEST(a_semaphore_by_name) {
    int status;
    name_it("semaphore");
    sem_t *s = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
    LT_CHECK(s != SEM_FAILED);
    LT_CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED && errno == EEXIST);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        sem_t *own = sem_open(name, 0);
        _exit(own == SEM_FAILED || sem_post(own) != 0 || sem_post(own) != 0 ? 1 : 0);
    }
    LT_OK(sem_wait(s));
    LT_OK(sem_wait(s));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_ERRNO(sem_trywait(s), EAGAIN);
    LT_OK(sem_close(s));
    LT_OK(sem_unlink(name));
    LT_CHECK(sem_open(name, 0) == SEM_FAILED && errno == ENOENT);
}
