// POSIX ustar, with the long names and sizes of pax (IEEE 1003.1, pax interchange format) and of GNU tar. Checked: checksums, sizes
// against the disk, names; a member that is wrong in itself is left out, a header that is none ends the archive.
#include "apps/fs/tar/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512u
#define LONG_MAX_BYTES 65536u   // of a long name, or of the records of pax

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2], user[32], group[32],
        major[8], minor[8], prefix[155], padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a block");

// What a member is called, put together from its header and what stood before it.
struct member {
    char *name, *link;          // NULL: as the header says
    uint64_t size, mtime;
    bool has_size, has_mtime;
};

static uint64_t left_out;

static void leave_out(const char *name, const char *why) {
    if (left_out++ < 20) fprintf(stderr, "%s: left out: %s\n", name, why);
}

// Octal digits, or, with the first bit set, a number in base 256 as GNU tar writes large ones.
static uint64_t number_of(const char *text, size_t bytes) {
    uint64_t value = 0;
    if ((uint8_t)text[0] & 0x80) {
        for (size_t i = 1; i < bytes; i++) value = value << 8 | (uint8_t)text[i];
        return value;
    }
    size_t i = 0;
    while (i < bytes && text[i] == ' ') i++;
    for (; i < bytes && text[i] >= '0' && text[i] <= '7'; i++) value = value << 3 | (uint64_t)(text[i] - '0');
    return value;
}

static bool is_header(const struct header *h) {
    const uint8_t *bytes = (const uint8_t *)h;
    uint32_t sum = 8 * ' ';
    for (size_t i = 0; i < BLOCK; i++)
        if (i < offsetof(struct header, checksum) || i >= offsetof(struct header, type)) sum += bytes[i];
    return number_of(h->checksum, sizeof h->checksum) == sum;
}

static bool is_zero(const struct header *h) {
    const uint8_t *bytes = (const uint8_t *)h;
    for (size_t i = 0; i < BLOCK; i++)
        if (bytes[i] != 0) return false;
    return true;
}

// ---- what stands before a member ------------------------------------------------------------------------------------------------

// A text of the disk with a NUL behind it, to be freed; NULL: too long, or it cannot be read.
static char *load_text(uint64_t offset, uint64_t bytes) {
    char *text = bytes <= LONG_MAX_BYTES ? malloc(bytes + 1) : NULL;
    if (text == NULL || fs_disk_read(offset, text, (uint32_t)bytes) != 0) {
        free(text);
        return NULL;
    }
    text[bytes] = 0;
    return text;
}

static void take(char **to, char *text) {
    free(*to);
    *to = text;
}

static void take_record(struct member *m, const char *key, const char *value) {
    if (strcmp(key, "path") == 0) take(&m->name, strdup(value));
    else if (strcmp(key, "linkpath") == 0) take(&m->link, strdup(value));
    else if (strcmp(key, "size") == 0) m->size = strtoull(value, NULL, 10), m->has_size = true;
    else if (strcmp(key, "mtime") == 0) m->mtime = strtoull(value, NULL, 10), m->has_mtime = true;
}

// "LENGTH KEY=VALUE\n", one behind the other; LENGTH counts all of it.
static void take_records(struct member *m, char *text, uint64_t bytes) {
    char *end = text + bytes;
    while (text < end) {
        char *key, *equals;
        const unsigned long length = strtoul(text, &key, 10);
        if (length < 5 || length > (unsigned long)(end - text) || *key != ' ' || text[length - 1] != '\n') return;
        text[length - 1] = 0;
        key++;
        equals = key < text + length ? strchr(key, '=') : NULL;
        if (equals == NULL) return;
        *equals = 0;
        take_record(m, key, equals + 1);
        text += length;
    }
}

static void take_extension(struct member *m, char type, uint64_t offset, uint64_t bytes) {
    char *text = load_text(offset, bytes);
    if (text == NULL) return leave_out("a long name", "too long, or it cannot be read");
    if (type == 'L') take(&m->name, text);
    else if (type == 'K') take(&m->link, text);
    else {
        take_records(m, text, bytes);
        free(text);
    }
}

// ---- members ------------------------------------------------------------------------------------------------------------------------

static void fill_names(struct member *m, const struct header *h) {
    char text[sizeof h->prefix + 1 + sizeof h->name + 1];
    const bool prefixed = memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0] != 0;
    if (m->name == NULL) {
        snprintf(text, sizeof text, "%.*s%s%.*s", prefixed ? (int)sizeof h->prefix : 0, h->prefix, prefixed ? "/" : "",
                 (int)sizeof h->name, h->name);
        m->name = strdup(text);
    }
    if (m->link == NULL) m->link = strndup(h->link, sizeof h->link);
}

static uint32_t type_of(char type) {
    switch (type) {
    case '\0': case '0': case '7': return FS_REGULAR;
    case '2': return FS_SYMLINK;
    case '3': return 0020000;
    case '4': return 0060000;
    case '5': return FS_DIRECTORY;
    case '6': return 0010000;
    default: return 0;
    }
}

// Another name for a file: the same content, as a node of its own.
static void add_hard_link(const struct member *m) {
    const struct tar_node *to = tree_path(m->link, false);
    if (to == NULL || FS_TYPE(to->attr.mode) != FS_REGULAR) return leave_out(m->name, "a link to what is no file before it");
    struct tar_node *n = tree_path(m->name, true);
    if (n == NULL || n->first != NULL || n == to) return leave_out(m->name, "no place for it");
    const uint64_t number = n->attr.ino;
    n->attr = to->attr;
    n->attr.ino = number;
    n->offset = to->offset;
}

static void add_member(const struct member *m, const struct header *h, uint64_t offset) {
    uint32_t type = type_of(h->type);
    const size_t length = strlen(m->name);
    if (type == FS_REGULAR && length > 0 && m->name[length - 1] == '/') type = FS_DIRECTORY;  // as tar did before ustar
    if (type == 0) return leave_out(m->name, "of a type that is not shown");
    struct tar_node *n = tree_path(m->name, true);
    if (n == NULL) return leave_out(m->name, "its name leads out, through a file, or is too long");
    if (type != FS_DIRECTORY && n->first != NULL) return leave_out(m->name, "a directory with members has that name");
    if (n->attr.ino == FUSE_ROOT && type != FS_DIRECTORY) return leave_out(m->name, "the root is a directory");
    n->attr.mode = type | (type == FS_SYMLINK ? 0777 : (uint32_t)(number_of(h->mode, sizeof h->mode) & 07777));
    n->attr.uid = (uint32_t)number_of(h->uid, sizeof h->uid);
    n->attr.gid = (uint32_t)number_of(h->gid, sizeof h->gid);
    n->attr.mtime = n->attr.ctime = n->attr.atime = m->has_mtime ? m->mtime : number_of(h->mtime, sizeof h->mtime);
    n->attr.nlink = type == FS_DIRECTORY ? 2 : 1;
    n->attr.size = type == FS_REGULAR ? m->size : type == FS_SYMLINK ? strlen(m->link) : 0;
    n->attr.blocks = (n->attr.size + BLOCK - 1) / BLOCK;
    n->offset = offset;
    take(&n->target, type == FS_SYMLINK ? strdup(m->link) : NULL);
}

static void clear(struct member *m) {
    free(m->name);
    free(m->link);
    *m = (struct member){0};
}

static bool is_extension(char type) { return type == 'L' || type == 'K' || type == 'x'; }

// The header at `offset`, and what it says: where the next one is, 0 when there is none.
static uint64_t take_header(struct member *m, const struct header *h, uint64_t offset, uint64_t end) {
    uint64_t size = number_of(h->size, sizeof h->size);
    if (!is_extension(h->type) && m->has_size) size = m->size;
    m->size = is_extension(h->type) ? m->size : size;
    // Links and directories have no content, whatever their size says.
    const uint64_t content = h->type == '1' || h->type == '2' || h->type == '5' ? 0 : size, data = offset + BLOCK;
    if (content > end - data) {
        leave_out("the rest of the archive", "a member is larger than what is left of the disk");
        return 0;
    }
    if (is_extension(h->type)) take_extension(m, h->type, data, content);
    else if (h->type != 'g') {
        fill_names(m, h);
        if (m->name == NULL || m->link == NULL) leave_out("a member", "no memory");
        else if (h->type == '1') add_hard_link(m);
        else add_member(m, h, data);
        clear(m);
    }
    return data + (content + BLOCK - 1) / BLOCK * BLOCK;
}

bool archive_read(void) {
    const int64_t size = fs_disk_size();
    struct member member = {0};
    struct header header;
    uint64_t offset = 0;
    if (size < 0) {
        fprintf(stderr, "no disk with an archive was given (error %lld)\n", (long long)size);
        return false;
    }
    while (offset + BLOCK <= (uint64_t)size) {
        const int32_t error = fs_disk_read(offset, &header, sizeof header);
        if (error != 0) {
            fprintf(stderr, "the disk cannot be read at %llu: error %d\n", (unsigned long long)offset, error);
            return false;
        }
        if (is_zero(&header)) break;
        if (!is_header(&header)) {
            if (offset == 0) fputs("no tar archive: the first block is no header\n", stderr);
            else leave_out("the rest of the archive", "a block that is no header");
            clear(&member);
            return offset != 0;
        }
        offset = take_header(&member, &header, offset, (uint64_t)size);
        if (offset == 0) break;
    }
    clear(&member);
    return true;
}
