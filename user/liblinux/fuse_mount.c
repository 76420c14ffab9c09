// Mounting what a driver serves: the options that libfuse gives to mount(2). Whose requests a driver is shown, and what modes
// mean, is the same whatever they say: nothing here follows from being a user.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/text.h"
#include "lib/util.h"
#include "user/liblinux/fuse.h"

#define NAME_MAX 127u                 // bytes of the source that are told (kpio_mount_info)
#define SUBTYPE_MAX 31u

enum { HAS_FD = 1, HAS_MODE = 2, HAS_USER = 4, HAS_GROUP = 8, HAS_ALL = 15 };

struct options {
    uint64_t fd;
    uint32_t has;
};

static bool octal(struct text value, uint64_t *out) {
    *out = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '7' || *out > UINT32_MAX >> 3) return false;
        *out = *out << 3 | (uint64_t)(value.data[i] - '0');
    }
    return value.size > 0;
}

static bool take_option(struct options *o, struct text key, struct text value) {
    static const struct {
        const char *name;
        uint32_t has;
    } numbers[] = {{"fd", HAS_FD}, {"user_id", HAS_USER}, {"group_id", HAS_GROUP}, {"max_read", 0}, {"blksize", 0}};
    uint64_t number;
    if (value.data == NULL)
        return key.size == 0 || text_equal(key, TEXT("default_permissions")) || text_equal(key, TEXT("allow_other"));
    if (text_equal(key, TEXT("rootmode"))) {
        o->has |= HAS_MODE;
        return octal(value, &number) && (number & LX_S_IFMT) == LX_S_IFDIR;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (!text_equal(key, text_of(numbers[i].name))) continue;
        o->has |= numbers[i].has;
        if (!text_to_u64(value, &number) || number > UINT32_MAX) return false;
        if (numbers[i].has == HAS_FD) o->fd = number;
        return true;
    }
    return false;
}

static bool take_options(struct options *o, const char *text) {
    for (struct text rest = text_of(text); rest.data != NULL && rest.size > 0;) {
        struct text value = text_split(&rest, ','), key = text_split(&value, '=');
        if (!take_option(o, key, value)) return false;
    }
    return (o->has & HAS_ALL) == HAS_ALL;
}

// As /proc/mounts writes names; a comma too, which would end it here.
static void escape(char out[NAME_MAX + 1], const char *name) {
    size_t used = 0;
    for (; *name != 0 && used + 4 <= NAME_MAX; name++) {
        const unsigned char c = (unsigned char)*name;
        const bool plain = c > ' ' && c != '\\' && c != '#' && c != ',';
        used += fmt_print(out + used, NAME_MAX + 1 - used, plain ? "%c" : "\\%03o", c);
    }
    out[used] = 0;
}

int64_t lx_fuse_mount(struct lx_thread *t, kpio_handle directory, const char *source, const char *subtype,
                      const char *options, uint32_t flags) {
    struct options o = {.has = 0};
    struct lx_fd fd;
    char name[NAME_MAX + 1], kind[NAME_MAX + 1], words[256];
    if (!take_options(&o, options) || lx_fd_get(lx_process(t), o.fd, &fd) != 0 || fd.kind != LX_KIND_FUSE) return -EINVAL;
    escape(name, *source != 0 ? source : "none");
    escape(kind, subtype);
    kind[SUBTYPE_MAX] = 0;
    (void)fmt_print(words, sizeof words, "source=%s,subtype=%s", name, kind);
    int64_t root = kpio_fuse_mount(fd.second, flags, words);
    if (root < 0) return root == -EALREADY ? -EINVAL : root;
    int64_t error = kpio_mount_attach(directory, NULL, (kpio_handle)root, flags & KPIO_MOUNT_READ_ONLY, 0);
    (void)kpio_handle_close((uint64_t)root);
    return error;
}
