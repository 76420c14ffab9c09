#include "user/liblinux/vdso.h"

#include "abi/gen/stubs.h"
#include "lib/util.h"

#define PAGE 4096ull
extern const char lx_vdso_image[], lx_vdso_image_end[], __ehdr_start[];

// The image is a part of this library's, whose first segment begins where its file does.
static int64_t map_image(struct lx_space *space, uint64_t at) {
    const uint64_t offset = space->image_offset + (uint64_t)(lx_vdso_image - __ehdr_start);
    return kpio_aspace_map(space->aspace, space->image, offset, align_up((uint64_t)(lx_vdso_image_end - lx_vdso_image), PAGE),
                           KPIO_MAP_READ | KPIO_MAP_EXECUTE | KPIO_MAP_FIXED, at);
}

int64_t lx_vdso_map(struct lx_space *space) {
    const uint64_t size = PAGE + align_up((uint64_t)(lx_vdso_image_end - lx_vdso_image), PAGE);
    int64_t page = kpio_system_page();
    if (page < 0) return page;
    int64_t at = kpio_aspace_map(space->aspace, 0, 0, size, KPIO_MAP_RESERVE, 0), result = at;
    if (at > 0)
        result = kpio_aspace_map(space->aspace, (kpio_handle)page, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_FIXED | KPIO_MAP_LOCAL_SHARE,
                                 (uint64_t)at);
    (void)kpio_handle_close((uint64_t)page);
    if (result > 0) result = map_image(space, (uint64_t)at + PAGE);
    if (result > 0) space->vdso = (uint64_t)result;
    else if (at > 0) (void)kpio_aspace_unmap(space->aspace, (uint64_t)at, size);
    return result < 0 ? result : 0;
}
