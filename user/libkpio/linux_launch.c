#include "user/libkpio/linux_launch.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"

#define PAGE 4096u

int lx_image_open(struct lx_image *image, const char **what) {
    int error = elf_parse(image->file, image->size, &image->elf, what);
    image->writable = NULL;
    for (uint32_t i = 0; i < image->elf.count && error == 0; i++) {
        const struct elf_segment *segment = &image->elf.segments[i];
        if (!(segment->flags & ELF_WRITE)) continue;
        *what = "more than one writable segment";
        if (image->writable != NULL) error = -ENOEXEC;
        image->writable = segment;
        image->data = (const uint8_t *)image->file + segment->offset;
    }
    return error;
}

static uint32_t map_flags(uint32_t elf_flags) {
    return (elf_flags & ELF_READ ? KPIO_MAP_READ : 0) | (elf_flags & ELF_WRITE ? KPIO_MAP_WRITE : 0) |
           (elf_flags & ELF_EXECUTE ? KPIO_MAP_EXECUTE : 0) | KPIO_MAP_FIXED;
}

// The writable segment begins as it is in the file: only relocated constants, a page or two.
static int64_t map_data(kpio_handle aspace, const struct lx_image *image, const struct elf_segment *segment, uint64_t address) {
    int64_t vmo = kpio_vmo_create(segment->memory_bytes, 0);
    if (vmo < 0) return vmo;
    int64_t result = kpio_vmo_write((kpio_handle)vmo, 0, image->data, segment->file_bytes);
    if (result >= 0) result = kpio_aspace_map(aspace, (kpio_handle)vmo, 0, segment->memory_bytes, map_flags(segment->flags), address);
    (void)kpio_handle_close((uint64_t)vmo);
    return result;
}

static int64_t map_code(kpio_handle aspace, const struct lx_image *image, const struct elf_segment *segment, uint64_t address) {
    const bool all = image->quick == 0;
    int64_t result = kpio_aspace_map(aspace, image->vmo, image->offset + segment->offset, align_up(segment->file_bytes, PAGE),
                                     map_flags(segment->flags) | (all ? KPIO_MAP_POPULATE : 0), address);
    const uint64_t quick = align_up(MIN(image->quick, segment->file_bytes), PAGE);
    if (result >= 0 && !all) (void)kpio_aspace_advise(aspace, address, quick, KPIO_ADVISE_POPULATE_READ);  // else it comes by faults
    return result;
}

static int64_t map_library(kpio_handle aspace, const struct lx_image *image) {
    int64_t base = kpio_aspace_map(aspace, 0, 0, image->elf.span, KPIO_MAP_RESERVE, 0);
    if (base < 0) return base;
    for (uint32_t i = 0; i < image->elf.count; i++) {
        const struct elf_segment *segment = &image->elf.segments[i];
        uint64_t address = (uint64_t)base + segment->address;
        int64_t result;
        if (segment->flags & ELF_WRITE) result = map_data(aspace, image, segment, address);
        else result = map_code(aspace, image, segment, address);
        if (result < 0) return result;
    }
    return base;
}

int64_t lx_area_map(kpio_handle aspace) {
    int64_t area = kpio_aspace_map(aspace, 0, 0, LX_AREA_SIZE, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_ANONYMOUS, 0);
    if (area < 0) return area;
    int64_t result = kpio_aspace_protect(aspace, (uint64_t)area, LX_AREA_GUARD, 0);
    return result < 0 ? result : area;
}

int64_t lx_launch_map(kpio_handle aspace, const struct lx_image *image, struct lx_launch *launch, struct lx_place *place) {
    int64_t library = map_library(aspace, image);
    if (library < 0) return library;
    int64_t area = lx_area_map(aspace);
    if (area < 0) return area;
    launch->magic = LX_LAUNCH_MAGIC;
    launch->image_offset = image->offset;
    launch->image_size = image->size;
    launch->library = (uint64_t)library;
    launch->library_size = image->elf.span;
    launch->area = (uint64_t)area;
    launch->area_size = LX_AREA_SIZE;
    int64_t vmo = kpio_vmo_create(align_up(launch->bytes, PAGE), 0);
    if (vmo < 0) return vmo;
    int64_t result = kpio_vmo_write((kpio_handle)vmo, 0, (const uint8_t *)launch, launch->bytes);
    if (result >= 0)
        result = kpio_aspace_map(aspace, (kpio_handle)vmo, 0, align_up(launch->bytes, PAGE), KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    (void)kpio_handle_close((uint64_t)vmo);
    if (result < 0) return result;
    *place = (struct lx_place){
        .library = (uint64_t)library,
        .area = (uint64_t)area,
        .launch = (uint64_t)result,
        .entry = (uint64_t)library + image->elf.entry,
        .stack = (uint64_t)area + LX_AREA_GUARD + LX_AREA_STACK,
    };
    return 0;
}
