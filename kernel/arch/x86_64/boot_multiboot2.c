// Multiboot2 (specification version 2.0, section 3.6): a list of tags, each 8-byte aligned, the last of type 0.
#include "kernel/arch/x86_64/boot_loader.h"
#include "lib/string.h"
#include "lib/util.h"

enum { TAG_END = 0, TAG_CMDLINE = 1, TAG_MODULE = 3, TAG_MEMMAP = 6, TAG_FRAMEBUFFER = 8, TAG_RSDP_1 = 14, TAG_RSDP_2 = 15 };

struct tag {
    uint32_t type, size;  // bytes with this head, without padding
};
struct tag_module {
    struct tag tag;
    uint32_t start, end;
};
struct tag_memmap {
    struct tag tag;
    uint32_t entry_size, entry_version;
    struct boot_memmap_entry entries[];
};
struct tag_framebuffer {
    struct tag tag;
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t bpp, type;    // FRAMEBUFFER_RGB
};
#define FRAMEBUFFER_RGB 1

// The root pointer comes by value: its copy lies in the image, which stays.
static uint8_t root_pointer[64] __attribute__((aligned(16)));

static void read_framebuffer(const struct tag_framebuffer *t) {
    uint64_t bytes = (uint64_t)t->pitch * t->height;
    if (t->type != FRAMEBUFFER_RGB || bytes == 0 || (uint64_t)t->width * t->bpp > (uint64_t)t->pitch * 8) return;
    if ((t->address & PAGE_MASK) != 0 || t->address >= 1ull << 52) return;
    boot_info.framebuffer.base = t->address;
    boot_info.framebuffer.size = align_up(bytes, PAGE_SIZE);
    boot_info.framebuffer.width = t->width;
    boot_info.framebuffer.height = t->height;
    boot_info.framebuffer.pitch = t->pitch;
    boot_info.framebuffer.bpp = t->bpp;
}

// `modules` counts those seen. The tag has at least the size of its type's fixed part.
static void read_tag(const struct tag *tag, struct boot_loader *loader, unsigned *modules) {
    switch (tag->type) {
    case TAG_CMDLINE: loader->cmdline = (uint64_t)(tag + 1); break;
    case TAG_MODULE: {
        const struct tag_module *t = (const void *)tag;
        if (tag->size < sizeof(*t) || *modules == BOOT_MODULES) break;
        loader->modules[(*modules)++] = (struct mem_range){.base = t->start, .size = t->end > t->start ? t->end - t->start : 0};
        break;
    }
    case TAG_MEMMAP: {
        const struct tag_memmap *t = (const void *)tag;
        if (tag->size < sizeof(*t) || t->entry_size != sizeof(struct boot_memmap_entry)) break;
        loader->memmap = t->entries;
        loader->memmap_entries = (tag->size - (uint32_t)sizeof(*t)) / t->entry_size;
        break;
    }
    case TAG_FRAMEBUFFER:
        if (tag->size >= offsetof(struct tag_framebuffer, type) + 1) read_framebuffer((const void *)tag);
        break;
    case TAG_RSDP_1:
    case TAG_RSDP_2:
        if (tag->size - sizeof(*tag) > sizeof(root_pointer) || (tag->type == TAG_RSDP_1 && loader->rsdp != 0)) break;
        memcpy(root_pointer, tag + 1, tag->size - sizeof(*tag));
        loader->rsdp = (uint64_t)root_pointer;
        break;
    default: break;
    }
}

void boot_multiboot2_read(uint64_t information, struct boot_loader *loader) {
    const uint32_t *head = boot_loader_data(information, 8);  // total size, reserved
    if (head == NULL || boot_loader_data(information, head[0]) == NULL) boot_fail("no Multiboot2 information");
    uint64_t at = information + 8, end = information + head[0];
    unsigned modules = 0;
    while (at + sizeof(struct tag) <= end) {
        const struct tag *tag = (const void *)at;
        if (tag->type == TAG_END || tag->size < sizeof(*tag) || tag->size > end - at) break;
        read_tag(tag, loader, &modules);
        at = align_up(at + tag->size, 8);
    }
    if (loader->memmap == NULL) boot_fail("the Multiboot2 loader gave no memory map");
}
