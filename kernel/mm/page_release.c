// Start-up and late release: which memory the page allocator has, where the array of struct pages lies, and how memory
// that no list knows yet gets there.
//
// RAM is kept as a few ranges per zone. Whenever the lists cannot serve an allocation, the next part of a range, at most
// one maximal block, moves to the lists. For a whole block that initialises one struct page. A block of which only a part
// is RAM (the edges of ranges) has all its struct pages initialised as PAGE_RESERVED first, since its free parts will look
// at their buddies.
#include "kernel/mm/page_buddy.h"

#define LOW_LIMIT ((1ul << 32) >> PAGE_SHIFT)

// A gap in RAM at least this large is one where devices live, never boot data: its struct pages are not needed.
#define DEVICE_HOLE_PAGES ((256ul << 20) >> PAGE_SHIFT)

struct page *page_array_base;
uint64_t page_array_count;

// RAM as it was given at start, sorted, and what was released later.
static struct page_range ram[BOOT_MAX_RANGES + 16];
static unsigned ram_count;
static unsigned boot_ram_count;

bool page_is_ram(paddr_t address) {
    uint64_t number = address.v >> PAGE_SHIFT;

    for (unsigned i = 0; i < ram_count; i++) {
        if (number >= ram[i].start && number < ram[i].end) return true;
    }
    return false;
}

static void zone_add_range(struct page_zone *zone, uint64_t start, uint64_t end) {
    verify(zone->range_count < PAGE_MAX_RANGES);
    zone->ranges[zone->range_count++] = (struct page_range){start, end};
    zone->unreleased += end - start;
}

// Adds [start, end) to the unreleased memory of the zones that it lies in.
static void add_unreleased(uint64_t start, uint64_t end) {
    if (start >= end) return;
    page_heap.total += end - start;
    if (start < LOW_LIMIT) zone_add_range(&page_heap.zones[PAGE_ZONE_LOW], start, MIN(end, LOW_LIMIT));
    if (end > LOW_LIMIT) zone_add_range(&page_heap.zones[PAGE_ZONE_HIGH], MAX(start, LOW_LIMIT), end);
}

static void init_partial_block(uint64_t block) {
    struct page *pages = page_array_base + block * PAGE_BLOCK_PAGES;

    for (uint32_t i = 0; i < page_heap.partial_count; i++) {
        if (page_heap.partial_blocks[i] == block) return;
    }
    verify(page_heap.partial_count < ARRAY_SIZE(page_heap.partial_blocks));
    page_heap.partial_blocks[page_heap.partial_count++] = (uint32_t)block;
    for (uint64_t i = 0; i < PAGE_BLOCK_PAGES; i++) page_set_header(&pages[i], PAGE_RESERVED, 0, 0);
}

bool page_zone_release_next_locked(struct page_zone *zone) {
    struct page_range *range;
    uint64_t start, end;

    if (zone->range_count == 0) return false;
    range = &zone->ranges[zone->range_count - 1];
    start = range->start;
    end = MIN(range->end, align_down(start, PAGE_BLOCK_PAGES) + PAGE_BLOCK_PAGES);
    range->start = end;
    if (range->start == range->end) zone->range_count--;
    zone->unreleased -= end - start;
    if (end - start < PAGE_BLOCK_PAGES) init_partial_block(start / PAGE_BLOCK_PAGES);
    page_heap_put_run_locked(start, end);
    return true;
}

// Takes `pages` off the end of the highest range that is at least twice as large, else of the largest one.
static uint64_t place_array(uint64_t pages) {
    unsigned best = ram_count;

    for (unsigned i = 0; i < ram_count; i++) {
        uint64_t size = ram[i].end - ram[i].start;

        if (size < pages) continue;
        if (best == ram_count || size >= 2 * pages || size > ram[best].end - ram[best].start) best = i;
    }
    if (best == ram_count) panic("too little memory: no room for %lu pages of page array", pages);
    return best;
}

// The whole blocks between RAM range `index` and the one below it, when that gap is large enough to hold devices.
static bool device_hole(unsigned index, struct page_range *hole) {
    hole->start = index == 0 ? 0 : align_up(ram[index - 1].end, PAGE_BLOCK_PAGES);
    hole->end = align_down(ram[index].start, PAGE_BLOCK_PAGES);
    return hole->end > hole->start && hole->end - hole->start >= DEVICE_HOLE_PAGES;
}

// The struct pages of such holes are never used: their memory is as good as any other.
static void add_array_of_holes(uint64_t array_start) {
    for (unsigned i = 0; i < boot_ram_count; i++) {
        struct page_range hole;

        if (!device_hole(i, &hole)) continue;
        hole.start = array_start + hole.start * sizeof(struct page) / PAGE_SIZE;
        hole.end = array_start + hole.end * sizeof(struct page) / PAGE_SIZE;
        page_heap.array -= hole.end - hole.start;
        add_unreleased(hole.start, hole.end);
    }
}

static void copy_ranges(const struct mem_range *ranges, unsigned count) {
    verify(count > 0 && count <= BOOT_MAX_RANGES);
    for (unsigned i = 0; i < count; i++) {
        verify(is_aligned(ranges[i].base | ranges[i].size, PAGE_SIZE) && ranges[i].size != 0);
        verify(i == 0 || ranges[i].base >= ranges[i - 1].base + ranges[i - 1].size);
        ram[i].start = ranges[i].base >> PAGE_SHIFT;
        ram[i].end = (ranges[i].base + ranges[i].size) >> PAGE_SHIFT;
    }
    ram_count = boot_ram_count = count;
}

void page_alloc_init(const struct mem_range *ranges, unsigned count) {
    uint64_t array_pages, array_start;
    unsigned host;

    copy_ranges(ranges, count);
    for (unsigned i = 0; i < PAGE_ZONE_COUNT; i++) {
        for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++) list_init(&page_heap.zones[i].lists[order]);
    }
    page_array_count = align_up(ram[count - 1].end, PAGE_BLOCK_PAGES);
    array_pages = page_array_count * sizeof(struct page) / PAGE_SIZE;
    host = (unsigned)place_array(array_pages);
    array_start = ram[host].end - array_pages;
    page_array_base = phys_to_virt(paddr(array_start << PAGE_SHIFT));
    page_heap.array = array_pages;
    // From the top down, since the last range added is released first: what boot uses then lies at the start of RAM.
    add_array_of_holes(array_start);
    for (unsigned i = count; i-- > 0;) add_unreleased(ram[i].start, i == host ? array_start : ram[i].end);
    page_heap.reserve = MIN(MAX(page_heap.total / 256, 64ul), 1024ul);
    page_cpu_init(this_cpu());
}

size_t page_release_range(struct mem_range range) {
    uint64_t start = range.base >> PAGE_SHIFT;
    uint64_t end = (range.base + range.size) >> PAGE_SHIFT;

    verify(is_aligned(range.base | range.size, PAGE_SIZE) && end >= start && end <= page_array_count);
    for (unsigned i = 0; i < boot_ram_count; i++) {
        struct page_range hole;

        if (device_hole(i, &hole) && start < hole.end && end > hole.start) return 0;  // no struct pages there
    }
    if (start == end || ram_count == ARRAY_SIZE(ram)) return 0;
    spin_lock(&page_heap.lock);
    ram[ram_count++] = (struct page_range){start, end};
    add_unreleased(start, end);
    spin_unlock(&page_heap.lock);
    return end - start;
}

// Whole blocks off the end of a range: their number is at most `pages`, rounded up to blocks.
static uint64_t cut_blocks(struct page_zone *zone, struct page_range *range, uint64_t pages, struct mem_range *out) {
    uint64_t first = align_up(range->start, PAGE_BLOCK_PAGES);
    uint64_t end = align_down(range->end, PAGE_BLOCK_PAGES);
    uint64_t start;

    if (end <= first) return 0;
    start = end - MIN(end - first, align_up(pages, PAGE_BLOCK_PAGES));
    *out = (struct mem_range){start << PAGE_SHIFT, (end - start) << PAGE_SHIFT};
    zone->unreleased -= end - start;
    if (end < range->end) {
        uint64_t tail = range->end;

        zone->unreleased -= tail - end;
        zone_add_range(zone, end, tail);
    }
    range->end = start;
    return end - start;
}

unsigned page_set_aside(uint64_t size, struct mem_range *out, unsigned max) {
    uint64_t pages = size >> PAGE_SHIFT;
    unsigned found = 0;

    spin_lock(&page_heap.lock);
    for (unsigned z = PAGE_ZONE_COUNT; z-- > 0;) {
        struct page_zone *zone = &page_heap.zones[z];
        unsigned count = zone->range_count;

        for (unsigned i = 0; i < count && pages != 0 && found < max; i++) {
            uint64_t got = cut_blocks(zone, &zone->ranges[i], pages, &out[found]);

            if (got == 0) continue;
            found++;
            page_heap.set_aside += got;
            page_heap.total -= got;
            pages -= MIN(got, pages);
        }
        for (unsigned i = count; i-- > 0;) {
            if (zone->ranges[i].start == zone->ranges[i].end) zone->ranges[i] = zone->ranges[--zone->range_count];
        }
    }
    spin_unlock(&page_heap.lock);
    return found;
}
