// Single pages for the architecture's own use: kernel stacks, blocks of CPUs.
#include "kernel/arch/x86_64/stack.h"
#include "kernel/mm/page.h"

paddr_t arch_page_alloc(void) {
    struct page *page = page_alloc(0);
    return page != NULL ? page_to_phys(page) : paddr(0);
}

void arch_page_free(paddr_t page) { page_free(phys_to_page(page)); }
