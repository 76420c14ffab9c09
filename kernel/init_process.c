// Loads the first program as libkpio loads all others. Its code is mapped from the archive, what it writes lies in one VMO:
//
//     base                                          guard
//     │ code (archive, shared) │ data + bss (memory) │ │ stack (memory) │ startup page (memory) │
//
#include "kernel/init_process.h"

#include "abi/gen/errors.h"
#include "abi/startup.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/options.h"
#include "kernel/core/log.h"
#include "kernel/hal/hal.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/vmo.h"
#include "kernel/object/aspace_object.h"
#include "kernel/object/process.h"
#include "kernel/object/system.h"
#include "kernel/object/vmo_object.h"
#include "lib/cpio.h"
#include "lib/elf.h"
#include "lib/string.h"
#include "lib/util.h"

struct loading {
    struct text path;            // of the program in the archive
    struct cpio_entry file;
    struct elf_image image;
    struct vmo *archive, *memory;
    struct process *process;
    struct thread_object *thread;
    uint64_t base, data_bytes, entry, page_address;
    struct kpio_startup page;
    const char *what;
};

static uint64_t data_bytes(const struct elf_image *image) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < image->count; i++)
        if (image->segments[i].flags & ELF_WRITE) sum += image->segments[i].memory_bytes;
    return sum;
}

// ---- the archive ------------------------------------------------------------------------------------------------------

static const void *archive_data(void) { return phys_to_virt(paddr(boot_info.initrd.base)); }

// The memory behind the archive in its last page, and the file's address, must suit a mapping of whole pages.
static int archive_open(struct loading *l) {
    const struct mem_range *initrd = &boot_info.initrd;
    l->what = "the machine was started without an archive";
    if (initrd->size == 0) return -ENOENT;
    l->what = "it does not start at a page boundary";
    if (!is_aligned(initrd->base, PAGE_SIZE)) return -EINVAL;
    memset((char *)phys_to_virt(paddr(initrd->base + initrd->size)), 0, -initrd->size & PAGE_MASK);
    size_t position = 0;
    int found;
    do {
        l->what = NULL;
        found = cpio_next(archive_data(), initrd->size, &position, &l->file, &l->what);
    } while (found == 1 && !(cpio_is_file(&l->file) && text_equal(text_of(l->file.name), l->path)));
    if (found < 0) {
        log_error("boot archive, at byte %lu: %s", position, l->what);
        l->what = NULL;  // said
        return found;
    }
    l->what = "the file is not in it";
    if (found == 0) return -ENOENT;
    return vmo_create_physical(job_root, paddr(initrd->base), align_up(initrd->size, PAGE_SIZE), 0, &l->archive);
}

// ---- memory -------------------------------------------------------------------------------------------------------------

static int map(struct loading *l, struct vmo *vmo, uint64_t offset, uint64_t size, unsigned prot, uint64_t at) {
    const struct aspace_map request = {
        .vmo = vmo,
        .first = offset >> PAGE_SHIFT,
        .size = size,
        .address = at,
        .flags = prot | KPIO_MAP_FIXED,
        .max_prot = prot,
    };
    int64_t address = aspace_map(l->process->aspace, &request);
    return address < 0 ? (int)address : 0;
}

static int map_segment(struct loading *l, const struct elf_segment *s, uint64_t *data_used) {
    unsigned prot = (s->flags & ELF_READ ? KPIO_MAP_READ : 0) | (s->flags & ELF_WRITE ? KPIO_MAP_WRITE : 0) |
                    (s->flags & ELF_EXECUTE ? KPIO_MAP_EXECUTE : 0);
    uint64_t at = l->base + s->address;
    if (!(s->flags & ELF_WRITE))
        return map(l, l->archive, l->file.data_offset + s->offset, align_up(s->file_bytes, PAGE_SIZE), prot, at);
    int64_t written = vmo_write_kernel(l->memory, *data_used, l->file.data + s->offset, s->file_bytes);
    if (written < 0) return (int)written;
    int error = map(l, l->memory, *data_used, s->memory_bytes, prot, at);
    *data_used += s->memory_bytes;
    return error;
}

static int map_program(struct loading *l) {
    uint64_t stack_at = l->image.span + PAGE_SIZE, page_at = stack_at + KPIO_STARTUP_STACK_BYTES, data_used = 0;
    const struct aspace_map reservation = {.size = page_at + PAGE_SIZE, .flags = KPIO_MAP_RESERVE};
    l->what = "reserving its address range";
    int64_t base = aspace_map(l->process->aspace, &reservation);
    if (base < 0) return (int)base;
    l->base = (uint64_t)base;
    l->data_bytes = data_bytes(&l->image);
    l->what = "creating its memory";
    int error = vmo_create(job_root, l->data_bytes + KPIO_STARTUP_STACK_BYTES + PAGE_SIZE, 0, &l->memory);
    l->what = "mapping its segments";
    for (uint32_t i = 0; i < l->image.count && !error; i++) error = map_segment(l, &l->image.segments[i], &data_used);
    if (error) return error;
    l->what = "mapping its stack";
    l->page_address = l->base + page_at;
    l->entry = l->base + l->image.entry;
    return map(l, l->memory, l->data_bytes, KPIO_STARTUP_STACK_BYTES + PAGE_SIZE, KPIO_MAP_READ | KPIO_MAP_WRITE,
               l->base + stack_at);
}

// ---- handles --------------------------------------------------------------------------------------------------------------

// Takes over the caller's reference to o.
static int give(struct loading *l, const char *name, struct object *o, uint32_t rights) {
    l->what = name;
    int64_t value = handle_install_in(&l->process->handles, o, rights);
    if (value < 0) return (int)value;
    struct kpio_startup_handle *slot = &l->page.handles[l->page.handle_count++];
    memcpy(slot->name, name, strlen(name));
    slot->handle = (kpio_handle)value;
    return 0;
}

static int give_shared(struct loading *l, const char *name, struct object *o) {
    object_get(o);
    return give(l, name, o, o->ops->rights);
}

static int give_handles(struct loading *l) {
    struct object *archive, *space;
    int error = vmo_object_create(job_root, l->archive, &archive);
    if (error) return error;
    error = give(l, "initrd", archive,
                 KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE | KPIO_RIGHT_MAP | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
                     KPIO_RIGHT_INSPECT);
    if (!error) error = aspace_object_create(job_root, l->process->aspace, &space);
    if (!error) error = give(l, "aspace", space, space->ops->rights);
    if (!error) error = give_shared(l, "system", system_object);
    if (!error) error = give_shared(l, "job", &job_root->object);
    if (!error) error = give_shared(l, "process", &l->process->object);
    if (!error) error = give_shared(l, "thread", &l->thread->object);
    if (error || boot_info.framebuffer.size == 0) return error;
    struct object *framebuffer;
    if (hal_framebuffer(&framebuffer) != 0) log_warn("boot: the framebuffer at %#lx cannot be handed out", boot_info.framebuffer.base);
    else error = give(l, "framebuffer", framebuffer, framebuffer->ops->rights);
    return error;
}

// ---- the process ------------------------------------------------------------------------------------------------------------

static int build(struct loading *l) {
    l->what = "creating the process";
    int error = process_create(job_root, "init", true, &l->process);
    if (error) return error;
    error = map_program(l);
    if (error) return error;
    l->what = "creating its thread";
    error = thread_create(l->process, "init", &l->thread);
    if (error) return error;
    error = give_handles(l);
    if (error) return error;
    l->what = "writing its startup page";
    l->page.magic = KPIO_STARTUP_MAGIC;
    l->page.version = KPIO_STARTUP_VERSION;
    l->page.argc = 1;
    l->page.text_bytes = sizeof("init");
    memcpy(l->page.text, "init", sizeof("init"));
    int64_t written = vmo_write_kernel(l->memory, l->data_bytes + KPIO_STARTUP_STACK_BYTES, &l->page, sizeof(l->page));
    if (written < 0) return (int)written;
    l->what = "starting it";
    return thread_start(l->thread, l->entry, l->page_address, l->page_address);
}

bool init_process_start(void) {
    static struct loading l;
    l.path = boot_options.init;
    while (l.path.size > 0 && *l.path.data == '/') l.path.data++, l.path.size--;
    int error = archive_open(&l);
    if (error) {
        if (l.what != NULL) log_error("boot archive: /%.*s: %s (error %d)", TEXT_ARG(l.path), l.what, -error);
        return false;
    }
    error = elf_parse(l.file.data, l.file.size, &l.image, &l.what);
    if (error) {
        log_error("boot archive: /%.*s: at byte %lu: %s", TEXT_ARG(l.path), l.image.wrong_at, l.what);
        return false;
    }
    if (!error && !is_aligned(l.file.data_offset, PAGE_SIZE)) {
        l.what = "not at a page boundary of the archive";
        error = -ENOEXEC;
    }
    if (!error) error = build(&l);
    if (error) {
        log_error("boot archive: /%.*s: %s: error %d", TEXT_ARG(l.path), l.what, -error);
        return false;
    }
    vmo_put(l.memory);
    object_put(&l.thread->object);
    object_put(&l.process->object);
    return true;
}
