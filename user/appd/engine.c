#include "user/appd/engine.h"

#include "lib/cpio.h"
#include "lib/string.h"
#include "user/libkpio/file.h"
#include "user/libkpio/linux_root.h"
#include "user/libkpio/thread.h"

static struct {
    const struct archive *archive;
    kpio_handle memory;              // a file system that may be executed from
    struct engine_identity now, byte_code;
    kpio_handle empty_root;
    struct mutex lock;               // of files
    kpio_handle files[ENGINE_PROGRAMS];
} engine;

// ---- the processor --------------------------------------------------------------------------------------------------------------

struct registers {
    uint32_t a, b, c, d;
};

static struct registers cpuid(uint32_t leaf) {
    struct registers r;
    __asm__("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

static bool has_all(uint32_t have, uint32_t wanted) { return (have & wanted) == wanted; }

// The levels of the x86-64 psABI (section 3.1.1); instructions with registers that the system does not keep do not count.
static const char *level_of_processor(void) {
    const uint32_t ssse3 = 1u << 9, cx16 = 1u << 13, sse41 = 1u << 19, sse42 = 1u << 20, popcnt = 1u << 23, osxsave = 1u << 27;
    const uint32_t fma = 1u << 12, movbe = 1u << 22, avx = 1u << 28, f16c = 1u << 29, sse3 = 1u << 0;
    const uint32_t bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8, lahf = 1u << 0, lzcnt = 1u << 5;
    const uint32_t most = cpuid(0).a, extended = cpuid(0x80000000).a;
    const uint32_t basic = cpuid(1).c, more = extended >= 0x80000001 ? cpuid(0x80000001).c : 0, structured = most >= 7 ? cpuid(7).b : 0;
    uint32_t kept = 0, high;
    if (!has_all(basic, sse3 | ssse3 | cx16 | sse41 | sse42 | popcnt) || !has_all(more, lahf)) return "x86-64";
    if (basic & osxsave) __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    const bool v3 = has_all(basic, fma | movbe | avx | f16c | osxsave) && has_all(structured, bmi1 | avx2 | bmi2) && has_all(more, lzcnt);
    return v3 && has_all(kept, 6) ? "x86-64-v3" : "x86-64-v2";
}

// ---- the archive ----------------------------------------------------------------------------------------------------------------

static const char *const paths[ENGINE_PROGRAMS] = {[ENGINE_HOST] = "lib/kpio/wasmhost", [ENGINE_COMPILER] = "lib/kpio/wasmc",
                                                   [ENGINE_FULL_HOST] = "lib/kpio/wasmhost-full"};
static const char *const names[ENGINE_PROGRAMS] = {"wasmhost", "wasmc", "wasmhost-full"};

static int64_t unpack(enum engine_program program) {
    struct cpio_entry entry;
    int64_t result = cpio_find(engine.archive->data, engine.archive->size, paths[program], &entry);
    if (result != 0) return result;
    const uint32_t flags = KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE;
    int64_t file = kpio_path_open(engine.memory, names[program], flags, 0755, KPIO_RIGHT_WRITE);
    if (file < 0) return file;
    result = file_write_all((kpio_handle)(uint32_t)file, entry.data, entry.size, 0);
    (void)kpio_handle_close((uint32_t)file);
    return result < 0 ? result : file_open(engine.memory, names[program], 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
}

int64_t engine_program(enum engine_program program) {
    mutex_lock(&engine.lock);
    int64_t result = engine.files[program];
    if (result <= 0) result = unpack(program);
    if (result > 0) engine.files[program] = (kpio_handle)result;
    mutex_unlock(&engine.lock);
    return result;
}

// ---- roots ----------------------------------------------------------------------------------------------------------------------

static int64_t make_empty_root(void) {
    int64_t root = linux_root_make();
    if (root < 0) return root;
    const uint32_t rights = KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    int64_t narrow = kpio_handle_dup((kpio_handle)root, rights);
    (void)kpio_handle_close((uint64_t)root);
    if (narrow > 0) engine.empty_root = (kpio_handle)narrow;
    return narrow < 0 ? narrow : 0;
}

kpio_handle engine_empty_root(void) { return engine.empty_root; }
const struct engine_identity *engine_now(bool byte_code) { return byte_code ? &engine.byte_code : &engine.now; }
const struct archive *engine_archive(void) { return engine.archive; }

int64_t engine_open(const struct archive *archive, kpio_handle memory, const char **what) {
    struct cpio_entry entry;
    engine.archive = archive;
    engine.memory = memory;
    *what = "/lib/kpio/engine of the boot archive";
    int64_t result = cpio_find(archive->data, archive->size, "lib/kpio/engine", &entry);
    if (result != 0) return result;
    if (!engine_identity_parse((struct text){(const char *)entry.data, entry.size}, &engine.now)) return -EINVAL;
    engine.byte_code = engine.now;
    (void)text_copy(engine.now.cpu, sizeof engine.now.cpu, text_of(level_of_processor()));
    (void)text_copy(engine.byte_code.cpu, sizeof engine.byte_code.cpu, TEXT(ENGINE_BYTE_CODE));
    *what = "a root for programs";
    return make_empty_root();
}
