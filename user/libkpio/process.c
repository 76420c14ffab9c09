// Loads a program into a new process. One reservation holds it all, so that the kernel chooses where:
//
//     base                                                            ┌ guard
//     │ code (from the archive's VMO, shared) │ data + bss (new VMO) │ │ stack (same VMO) │ startup page (same VMO)
//
#include "user/libkpio/process.h"

#include "lib/cpio.h"
#include "lib/elf.h"
#include "lib/string.h"
#include "lib/util.h"

#define PAGE 4096u
#define STACK_DEFAULT 65536u

struct loading {
    const struct process_spec *spec;
    struct elf_image image;
    kpio_handle process, aspace, thread, memory;
    uint64_t base, stack_bytes, data_bytes;
    const char *what;
};

static uint32_t map_flags(uint32_t elf_flags) {
    return (elf_flags & ELF_READ ? KPIO_MAP_READ : 0) | (elf_flags & ELF_WRITE ? KPIO_MAP_WRITE : 0) |
           (elf_flags & ELF_EXECUTE ? KPIO_MAP_EXECUTE : 0) | KPIO_MAP_FIXED;
}

static uint64_t page_address(const struct loading *l) { return l->base + l->image.span + PAGE + l->stack_bytes; }

// Memory that the program writes: its data segments first, then stack and startup page.
static int64_t create_memory(struct loading *l) {
    for (uint32_t i = 0; i < l->image.count; i++)
        if (l->image.segments[i].flags & ELF_WRITE) l->data_bytes += l->image.segments[i].memory_bytes;
    int64_t memory = kpio_vmo_create(l->data_bytes + l->stack_bytes + PAGE, 0);
    if (memory > 0) l->memory = (kpio_handle)memory;
    return memory;
}

static int64_t map_segment(struct loading *l, const struct elf_segment *segment, uint64_t *data_used) {
    const struct program *program = l->spec->program;
    uint64_t address = l->base + segment->address;
    if (!(segment->flags & ELF_WRITE)) {
        // All at once: the pages are there, and a mapped one costs less than a fault.
        uint64_t bytes = align_up(segment->file_bytes, PAGE);
        return kpio_aspace_map(l->aspace, program->vmo, program->vmo_offset + segment->offset, bytes,
                               map_flags(segment->flags) | KPIO_MAP_POPULATE, address);
    }
    if (segment->file_bytes > 0) {
        int64_t written = kpio_vmo_write(l->memory, *data_used, (const char *)program->file + segment->offset,
                                         segment->file_bytes);
        if (written < 0) return written;
    }
    int64_t result = kpio_aspace_map(l->aspace, l->memory, *data_used, segment->memory_bytes, map_flags(segment->flags),
                                     address);
    *data_used += segment->memory_bytes;
    return result;
}

static int64_t map_program(struct loading *l) {
    uint64_t total = l->image.span + PAGE + l->stack_bytes + PAGE, data_used = 0;
    l->what = "reserving its address range";
    int64_t result = kpio_aspace_map(l->aspace, 0, 0, total, KPIO_MAP_RESERVE, 0);
    if (result < 0) return result;
    l->base = (uint64_t)result;
    l->what = "creating its memory";
    result = create_memory(l);
    l->what = "mapping its segments";
    for (uint32_t i = 0; i < l->image.count && result >= 0; i++)
        result = map_segment(l, &l->image.segments[i], &data_used);
    if (result < 0) return result;
    l->what = "mapping its stack";
    return kpio_aspace_map(l->aspace, l->memory, l->data_bytes, l->stack_bytes + PAGE,
                           KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, l->base + l->image.span + PAGE);
}

static int64_t grant(struct loading *l, struct kpio_startup *page, const struct process_grant *g) {
    int64_t value = kpio_handle_give(l->process, g->handle, g->rights, g->mode);
    return value < 0 ? value : startup_add_handle(page, g->name, (kpio_handle)value);
}

static int64_t grant_own(struct loading *l, struct kpio_startup *page) {
    uint32_t rights = l->spec->own_rights ? l->spec->own_rights : KPIO_RIGHTS_SAME;
    const struct process_grant own[] = {{"process", l->process, rights, KPIO_SEND_COPY},
                                        {"aspace", l->aspace, rights, KPIO_SEND_COPY},
                                        {"thread", l->thread, rights, KPIO_SEND_COPY}};
    int64_t result = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(own) && result >= 0; i++) result = grant(l, page, &own[i]);
    return result;
}

static int64_t add_texts(const struct process_spec *spec, struct kpio_startup *page) {
    int result = spec->arguments == NULL ? startup_add_argument(page, spec->name) : 0;
    for (const char *const *text = spec->arguments; text != NULL && *text != NULL && result == 0; text++)
        result = startup_add_argument(page, *text);
    for (const char *const *pair = spec->settings; pair != NULL && *pair != NULL && result == 0; pair += 2)
        result = startup_add_setting(page, pair[0], pair[1]);
    return result;
}

// Copies only what is in use of the page: the memory behind is zero.
static int64_t write_page(struct loading *l, const struct kpio_startup *page) {
    uint64_t at = l->data_bytes + l->stack_bytes;
    uint64_t head = offsetof(struct kpio_startup, handles) + page->handle_count * sizeof(page->handles[0]);
    int64_t result = kpio_vmo_write(l->memory, at, page, head);
    if (result < 0 || page->text_bytes == 0) return result;
    return kpio_vmo_write(l->memory, at + offsetof(struct kpio_startup, text), page->text, page->text_bytes);
}

static int64_t give_and_start(struct loading *l) {
    const struct process_spec *spec = l->spec;
    struct kpio_startup page;
    startup_clear(&page);
    l->what = "its arguments";
    int64_t result = add_texts(spec, &page);
    l->what = "giving it handles";
    if (result >= 0) result = grant_own(l, &page);
    // Moves come last: what fails before leaves the caller's handles alone.
    for (unsigned mode = KPIO_SEND_COPY; mode <= KPIO_SEND_MOVE; mode++)
        for (uint32_t i = 0; i < spec->grant_count && result >= 0; i++)
            if (spec->grants[i].mode == mode) result = grant(l, &page, &spec->grants[i]);
    if (result >= 0) result = write_page(l, &page);
    if (result < 0) return result;
    l->what = "starting it";
    return kpio_process_start(l->process, l->thread, l->base + l->image.entry, page_address(l), page_address(l));
}

static int64_t build(struct loading *l) {
    const struct process_spec *spec = l->spec;
    l->what = "creating the process";
    int64_t result = kpio_process_create(spec->job, spec->options, spec->name, strlen(spec->name), &l->aspace);
    if (result < 0) return result;
    l->process = (kpio_handle)result;
    result = map_program(l);
    if (result < 0) return result;
    l->what = "creating its thread";
    result = kpio_thread_create(l->process, spec->name, strlen(spec->name));
    if (result < 0) return result;
    l->thread = (kpio_handle)result;
    return give_and_start(l);
}

static void close_if(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

int64_t process_spawn(const struct process_spec *spec, const char **what) {
    struct loading l = {.spec = spec, .stack_bytes = spec->stack_bytes ? align_up(spec->stack_bytes, PAGE) : STACK_DEFAULT};
    int64_t result = elf_parse(spec->program->file, spec->program->size, &l.image, &l.what);
    if (result == 0 && !is_aligned(spec->program->vmo_offset, PAGE)) {
        l.what = "not at a page boundary of the archive";
        result = -ENOEXEC;
    }
    if (result == 0) result = build(&l);
    close_if(l.memory);
    close_if(l.thread);
    close_if(l.aspace);
    if (result < 0 && l.process > 0) {
        (void)kpio_process_kill(l.process, 0);
        close_if(l.process);
    }
    if (result < 0 && what != NULL) *what = l.what;
    return result < 0 ? result : l.process;
}
