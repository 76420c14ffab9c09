#include "user/wasmhost/file.h"

#include "user/wasmhost/report.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Wasmtime's artifacts are ELF files of an ABI of their own; the flags tell what they hold.
#define ELF_ABI_WASMTIME 200
#define ELF_FLAG_MODULE 1u
#define ELF_FLAG_COMPONENT 2u

#define HEADER 8u  // magic and version

static enum file_kind kind_of_artifact(const uint8_t *data, size_t bytes) {
    Elf64_Ehdr header;
    if (bytes < sizeof header) return FILE_UNKNOWN;
    memcpy(&header, data, sizeof header);
    if (header.e_ident[EI_OSABI] != ELF_ABI_WASMTIME) return FILE_UNKNOWN;
    if (header.e_flags & ELF_FLAG_COMPONENT) return FILE_COMPONENT_ARTIFACT;
    return header.e_flags & ELF_FLAG_MODULE ? FILE_MODULE_ARTIFACT : FILE_UNKNOWN;
}

// By what it begins with behind blanks: a field or a comment of a block, or one of a line.
static bool is_text(const uint8_t *data, size_t bytes) {
    size_t at = 0;
    while (at < bytes && memchr(" \t\r\n", data[at], 4) != NULL) at++;
    return at < bytes && (data[at] == '(' || (data[at] == ';' && at + 1 < bytes && data[at + 1] == ';'));
}

// WebAssembly core specification 5.5.16: magic, version; a component has its layer in the version's upper half.
static enum file_kind kind_of(const uint8_t *data, size_t bytes) {
    if (bytes >= HEADER && memcmp(data, "\0asm\1\0\0\0", HEADER) == 0) return FILE_MODULE;
    if (bytes >= HEADER && memcmp(data, "\0asm\x0d\0\1\0", HEADER) == 0) return FILE_COMPONENT;
    if (bytes >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0) return kind_of_artifact(data, bytes);
    return is_text(data, bytes) ? FILE_TEXT : FILE_UNKNOWN;
}

void file_refuse(const char *name, const struct whole_file *file) {
    const uint8_t *d = file->data;
    if (file->bytes < 4 || memcmp(d, "\0asm", 4) != 0) {
        report_text(name, "no WebAssembly: neither module, component, text nor artifact");
        return;
    }
    if (file->bytes < HEADER) {
        report_text(name, "cut off within the first %u bytes of WebAssembly", HEADER);
        return;
    }
    unsigned version = d[4] | (unsigned)d[5] << 8, layer = d[6] | (unsigned)d[7] << 8;
    if (layer > 1) report_text(name, "WebAssembly of layer %u: modules are 0, components 1", layer);
    else if (layer == 1) report_text(name, "version %u of WebAssembly components, where 13 is known", version);
    else report_text(name, "version %u of WebAssembly modules, where 1 is known", version);
}

struct whole_file file_of(const uint8_t *data, size_t bytes) { return (struct whole_file){data, bytes, kind_of(data, bytes)}; }

bool file_map(const char *name, int fd, struct whole_file *out) {
    struct stat status;
    int error = fstat(fd, &status) != 0 ? errno : S_ISDIR(status.st_mode) ? EISDIR : 0;
    if (error != 0) {
        report_text(name, "%s", strerror(error));
        return false;
    }
    if (status.st_size == 0) {
        report_text(name, "empty, no WebAssembly");
        return false;
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        report_text(name, "%s", strerror(errno));
        return false;
    }
    *out = file_of(data, (size_t)status.st_size);
    return true;
}

bool file_open(const char *name, struct whole_file *out) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        report_text(name, "%s", strerror(errno));
        return false;
    }
    bool opened = file_map(name, fd, out);
    close(fd);
    return opened;
}

void file_close(struct whole_file *file) { munmap((void *)(uintptr_t)file->data, file->bytes); }
