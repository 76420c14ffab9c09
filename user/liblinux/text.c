#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/proc.h"

static void flush(struct lx_text *text) {
    if (text->error == 0 && text->used > 0) {
        int64_t done = kpio_file_write(text->file, (const uint8_t *)text->buffer, text->used, (int64_t)text->written, 0);
        if (done < 0) text->error = done;
        else text->written += (uint64_t)done;
    }
    text->used = 0;
}

void lx_text_bytes(struct lx_text *text, const void *bytes, uint64_t count) {
    const char *from = bytes;
    while (count > 0) {
        uint64_t step = MIN(count, sizeof text->buffer - text->used);
        memcpy(text->buffer + text->used, from, step);
        text->used += step;
        from += step;
        count -= step;
        if (text->used == sizeof text->buffer) flush(text);
    }
}

static void piece(void *context, const char *bytes, size_t count) { lx_text_bytes(context, bytes, count); }

void lx_text_add(struct lx_text *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)fmt_vwrite(piece, text, format, args);
    va_end(args);
}

int64_t lx_text_open(struct lx_thread *t, const struct lx_text_node *node, struct lx_about about, uint64_t flags, struct lx_fd *out) {
    const kpio_handle where = lx_process(t)->memory_fs;
    if ((flags & LX_O_ACCMODE) != 0 || flags & LX_O_TRUNC || where == KPIO_HANDLE_NONE) return -EACCES;
    int64_t opened = kpio_path_open(where, ".", KPIO_OPEN_TEMPORARY, 0444, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE);
    if (opened < 0) return opened;
    struct lx_text text = {.file = (kpio_handle)(uint32_t)opened, .about = about};
    node->make(t, &text);
    flush(&text);
    if (text.error != 0) {
        (void)kpio_handle_close((uint32_t)opened);
        return text.error;
    }
    *out = (struct lx_fd){.handle = text.file, .kind = LX_KIND_FILE, .device = LX_TYPE_REGULAR};
    return 0;
}

// ---- the tree -----------------------------------------------------------------------------------------------------------

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether a path is the pattern: 1, or the pattern goes on below it: 2 with what follows.
static int match(const char *pattern, const char *path, const char **below) {
    for (; *path != 0; pattern++) {
        if (*pattern == '#' && is_digit(*path)) {
            while (is_digit(*path)) path++;
        } else if (*pattern == 0 || *pattern != *path++) return 0;
    }
    if (*pattern == 0) return 1;
    *below = pattern;
    return 2;
}

const struct lx_text_node *lx_text_find(const struct lx_text_tree *tree, const char *path) {
    const char *below;
    for (unsigned i = 0; i < tree->count; i++)
        if (match(tree->nodes[i].path, path, &below) == 1) return &tree->nodes[i];
    return NULL;
}

const struct lx_text_node *lx_text_child(const struct lx_text_tree *tree, const char *path, uint64_t *index, const char **name) {
    for (unsigned i = 0; i < tree->count; i++) {
        const char *below;
        if (match(tree->nodes[i].path, path, &below) != 2) continue;
        if (*path != 0 && *below++ != '/') continue;
        if (*below == '#' || strchr(below, '/') != NULL) continue;
        if (*index > 0) {
            --*index;
            continue;
        }
        *name = below;
        return &tree->nodes[i];
    }
    return NULL;
}
