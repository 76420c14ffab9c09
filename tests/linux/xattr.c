// Extended attributes.
#include "tests/linux/lt.h"

#include <sys/xattr.h>

// Some file systems keep none of these.
static void need_user_xattr(void) {
    lt_make("probe", "");
    if (setxattr("probe", "user.probe", "", 0, 0) != 0) LT_SKIP("no user attributes here: errno %d", errno);
}

LT_TEST(set_and_get) {
    char value[16] = {0};
    need_user_xattr();
    lt_make("file", "");
    LT_OK(setxattr("file", "user.name", "value", 5, 0));
    LT_EQUAL(getxattr("file", "user.name", NULL, 0), 5);
    LT_EQUAL(getxattr("file", "user.name", value, sizeof value), 5);
    LT_TEXT(value, "value");
    LT_ERRNO(getxattr("file", "user.name", value, 3), ERANGE);
    LT_ERRNO(getxattr("file", "user.none", value, 3), ENODATA);
    LT_ERRNO(setxattr("file", "user.name", "x", 1, XATTR_CREATE), EEXIST);
    LT_ERRNO(setxattr("file", "user.none", "x", 1, XATTR_REPLACE), ENODATA);
    LT_OK(setxattr("file", "user.name", "x", 1, XATTR_REPLACE));
    LT_EQUAL(getxattr("file", "user.name", value, sizeof value), 1);
    LT_OK(setxattr("file", "user.empty", NULL, 0, XATTR_CREATE));
    LT_EQUAL(getxattr("file", "user.empty", value, sizeof value), 0);
    LT_OK(removexattr("file", "user.name"));
    LT_ERRNO(removexattr("file", "user.name"), ENODATA);
}

LT_TEST(lists) {
    char names[256];
    need_user_xattr();
    lt_make("file", "");
    ssize_t before = LT_OK(listxattr("file", NULL, 0));
    LT_OK(setxattr("file", "user.a", "1", 1, 0));
    LT_OK(setxattr("file", "user.bc", "2", 1, 0));
    LT_EQUAL(listxattr("file", NULL, 0), before + 15);
    LT_EQUAL(listxattr("file", names, sizeof names), before + 15);
    LT_ERRNO(listxattr("file", names, 3), ERANGE);
    LT_ERRNO(listxattr("missing", names, 3), ENOENT);
}

LT_TEST(names) {
    char name[300] = "user.";
    need_user_xattr();
    lt_make("file", "");
    memset(name + 5, 'n', 260);
    name[255] = 0;
    LT_OK(setxattr("file", name, "x", 1, 0));
    name[255] = 'n', name[256] = 0;
    LT_ERRNO(setxattr("file", name, "x", 1, 0), ERANGE);
    LT_ERRNO(setxattr("file", "", "x", 1, 0), ERANGE);
    LT_ERRNO(setxattr("file", "user.", "x", 1, 0), EINVAL);
    LT_ERRNO(setxattr("file", "nothing", "x", 1, 0), EOPNOTSUPP);
    LT_ERRNO(setxattr("file", "other.name", "x", 1, 0), EOPNOTSUPP);
    LT_ERRNO(getxattr("file", "other.name", NULL, 0), EOPNOTSUPP);
    LT_ERRNO(setxattr("file", "user.x", "x", 1, 8), EINVAL);
    LT_ERRNO(setxattr("file", "user.x", "x", 65537, 0), E2BIG);
    LT_ERRNO(setxattr("file", LT_BAD_ADDRESS, "x", 1, 0), EFAULT);
    LT_ERRNO(setxattr("file", "user.x", LT_BAD_ADDRESS, 1, 0), EFAULT);
}

LT_TEST(which_file) {
    char value[4];
    need_user_xattr();
    lt_make("file", "");
    LT_OK(symlink("file", "sym"));
    LT_OK(setxattr("sym", "user.x", "1", 1, 0));
    LT_EQUAL(getxattr("file", "user.x", value, 4), 1);
    LT_ERRNO(lgetxattr("sym", "user.x", value, 4), ENODATA);
    LT_ERRNO(lsetxattr("sym", "user.x", "1", 1, 0), EPERM);
    int fd = (int)LT_OK(open("file", O_RDONLY));
    LT_OK(fsetxattr(fd, "user.y", "22", 2, 0));
    LT_EQUAL(fgetxattr(fd, "user.y", value, 4), 2);
    LT_OK(fremovexattr(fd, "user.y"));
    LT_CHECK(flistxattr(fd, NULL, 0) > 0);
    LT_ERRNO(fgetxattr(99, "user.x", value, 4), EBADF);
    LT_ERRNO(fgetxattr((int)LT_OK(open("file", O_PATH)), "user.x", value, 4), EBADF);
    LT_OK(setxattr(".", "user.dir", "d", 1, 0));
}
