// Address spaces and VMOs: the model's random operations, then the edges one by one.
// links: kernel/mm/test/vm_host.c kernel/mm/test/vm_model.c kernel/mm/page_tree.c kernel/mm/vmo.c kernel/mm/vmo_map.c kernel/mm/vmo_paged.c kernel/mm/vmo_copy.c kernel/mm/vmo_io.c kernel/mm/pte.c kernel/mm/mapping.c kernel/mm/mapping_tree.c kernel/mm/aspace.c kernel/mm/aspace_anonymous.c kernel/mm/aspace_move.c kernel/mm/aspace_advise.c kernel/mm/page_tables.c kernel/mm/aspace_fault.c kernel/mm/aspace_change.c kernel/mm/aspace_clone.c kernel/mm/aspace_replace.c kernel/mm/tlb.c kernel/mm/reaper.c kernel/mm/usercopy.c lib/rbtree.c lib/string.c
#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/core/cpu.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/reaper.h"
#include "kernel/mm/test/vm_host.h"
#include "kernel/mm/test/vm_model.h"
#include "kernel/mm/usercopy.h"
#include "kernel/mm/wasm_pool.h"
#include "tests/unit/unit.h"

bool vm_model_more(void) { return true; }

static void run_against_model(bool with_failures) {
    for (unsigned run = 0; run < 10; run++) vm_model_run(20000, with_failures);
}
TEST(vm_against_model) { run_against_model(false); }
TEST(vm_against_model_with_failures) { run_against_model(true); }

// ---- edges ---------------------------------------------------------------------------------------------------------------

static struct aspace *a;

static int map(struct vmo *vmo, uint64_t pages, unsigned flags, uint64_t *address) {
    struct aspace_map r = {.vmo = vmo, .size = pages * PAGE_SIZE, .address = *address, .flags = flags, .max_prot = vmo ? 7 : 0};
    int64_t at = aspace_map(a, &r);
    if (at < 0) return (int)at;
    *address = (uint64_t)at;
    return 0;
}

TEST(aspace_bad_arguments) {
    vm_start();
    struct vmo *vmo;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 0, 0, &vmo), -EINVAL);
    CHECK_EQ(vmo_create(vm_job, VMO_SIZE_MAX + 1, 0, &vmo), -EINVAL);
    CHECK_EQ(vmo_create(vm_job, UINT64_MAX, 0, &vmo), -EINVAL);
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, &vmo), 0);
    uint64_t at = 0;
    CHECK_EQ(map(vmo, 0, PROT_READ, &at), -EINVAL);
    CHECK_EQ(map(vmo, USER_MAX >> PAGE_SHIFT, PROT_READ, &at), -EINVAL);
    CHECK_EQ(map(NULL, 1, PROT_READ, &at), -EINVAL);
    CHECK_EQ(map(vmo, 1, KPIO_MAP_RESERVE, &at), -EINVAL);
    CHECK_EQ(map(vmo, 1, PROT_WRITE | PROT_EXECUTE, &at), -EPERM);
    const uint64_t bad[] = {0, PAGE_SIZE, USER_MIN + 1, USER_MAX, USER_MAX - PAGE_SIZE + 1, 0xffff800000000000, -PAGE_SIZE};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        at = bad[i];
        CHECK_EQ(map(vmo, 2, PROT_READ | KPIO_MAP_FIXED, &at), -EINVAL);
        CHECK_EQ(aspace_unmap(a, bad[i], 2 * PAGE_SIZE), -EINVAL);
        CHECK_EQ(aspace_protect(a, bad[i], 2 * PAGE_SIZE, PROT_READ), -EINVAL);
    }
    CHECK_EQ(aspace_unmap(a, USER_MIN, UINT64_MAX - PAGE_SIZE + 1), -EINVAL);
    CHECK_EQ(aspace_unmap(a, USER_MIN, 0), -EINVAL);
    CHECK_EQ(vmo_commit(vmo, PAGE_SIZE, 4 * PAGE_SIZE), -EINVAL);
    CHECK_EQ(vmo_commit(vmo, -PAGE_SIZE, 2 * PAGE_SIZE), -EINVAL);
    CHECK_EQ(vmo_decommit(vmo, 1, PAGE_SIZE), -EINVAL);
    CHECK_EQ(vmo_zero(vmo, UINT64_MAX, 2), -EINVAL);
    CHECK_EQ(vmo_resize(vmo, PAGE_SIZE), -EPERM);
    uint8_t byte;
    CHECK_EQ(vmo_read_kernel(vmo, UINT64_MAX, &byte, 1), 0);
    CHECK_EQ(vmo_read_kernel(vmo, 4 * PAGE_SIZE - 1, &byte, 1), 1);
    vmo_put(vmo);
    aspace_put(a);
    vm_check_empty();
}

TEST(aspace_reservations_cost_nothing) {
    vm_start();
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    uint64_t pages = vm_used(vm_job, 0), at = 0, where;
    CHECK_EQ(map(NULL, 1ul << 34, KPIO_MAP_RESERVE, &at), 0);  // 64 TiB
    CHECK_EQ(vm_used(vm_job, 0), pages);
    where = 0;
    CHECK_EQ(map(NULL, 1ul << 34, KPIO_MAP_RESERVE, &where), -ENOSPC);
    vm_load(a);
    uint8_t byte;
    CHECK_EQ(vm_read(at, &byte), -EFAULT);
    struct vmo *vmo;
    CHECK_EQ(vmo_create(vm_job, PAGE_SIZE, 0, &vmo), 0);
    where = at + (1ul << 40);
    CHECK_EQ(map(vmo, 1, PROT_READ | PROT_WRITE | KPIO_MAP_FIXED, &where), 0);
    CHECK_EQ(vm_write(where, 7), 0);
    CHECK_EQ(aspace_unmap(a, at, 1ul << 46), 0);
    CHECK_EQ(vm_read(where, &byte), -EFAULT);
    vmo_put(vmo);
    aspace_put(a);
    vm_check_empty();
}

static int64_t map_anonymous(uint64_t pages, unsigned flags, uint64_t address) {
    return aspace_map_anonymous(a, &(struct aspace_map){.size = pages * PAGE_SIZE, .flags = flags, .address = address});
}

TEST(anonymous_arguments) {
    vm_start();
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    const unsigned access = PROT_READ | PROT_WRITE;
    CHECK_EQ(map_anonymous(0, access, 0), -EINVAL);
    CHECK_EQ(map_anonymous(1, access | KPIO_MAP_PRIVATE, 0), -EINVAL);
    CHECK_EQ(map_anonymous(1, KPIO_MAP_RESERVE, 0), -EINVAL);
    CHECK_EQ(map_anonymous(1, PROT_READ | PROT_EXECUTE, 0), -EPERM);
    CHECK_EQ(map_anonymous(USER_MAX >> PAGE_SHIFT, access, 0), -EINVAL);
    CHECK_EQ(map_anonymous(1ull << 51, access, 0), -EINVAL);
    CHECK_EQ(map_anonymous(UINT64_MAX >> PAGE_SHIFT, access, 0), -EINVAL);
    CHECK_EQ(aspace_map_anonymous(a, &(struct aspace_map){.size = PAGE_SIZE + 1, .flags = access}), -EINVAL);
    CHECK_EQ(map_anonymous(2, access | KPIO_MAP_FIXED, USER_MAX - PAGE_SIZE), -EINVAL);
    int64_t at = map_anonymous(2, access, 0);
    CHECK(at > 0);
    CHECK_EQ(map_anonymous(1, access | KPIO_MAP_FIXED_NOREPLACE, (uint64_t)at + PAGE_SIZE), -EEXIST);
    CHECK_EQ(aspace_protect(a, (uint64_t)at, PAGE_SIZE, PROT_READ | PROT_EXECUTE), -EPERM);
    aspace_put(a);
    vm_check_empty();
    CHECK_EQ(aspace_create(vm_job, true, &a), 0);
    CHECK(map_anonymous(1, access | PROT_EXECUTE, 0) > 0);  // the JIT right
    aspace_put(a);
    vm_check_empty();
}

// Without touching, 64 TiB cost what a page costs; what is touched goes with its part of the mapping.
TEST(anonymous_costs) {
    vm_start();
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    uint64_t pages = vm_used(vm_job, JOB_PAGES), bytes = vm_used(vm_job, JOB_KERNEL_BYTES);
    uint64_t large = (uint64_t)map_anonymous(1ull << 34, 0, 0);
    CHECK_EQ(vm_used(vm_job, JOB_PAGES), pages);
    CHECK(vm_used(vm_job, JOB_KERNEL_BYTES) - bytes <= 400);
    CHECK_EQ(aspace_unmap(a, large, 1ull << 46), 0);
    CHECK_EQ(vm_used(vm_job, JOB_KERNEL_BYTES), bytes);
    uint64_t at = (uint64_t)map_anonymous(16, PROT_READ | PROT_WRITE | KPIO_MAP_POPULATE, 0);
    vm_load(a);
    uint64_t full = vm_used(vm_job, JOB_PAGES);
    CHECK_EQ(aspace_unmap(a, at + 4 * PAGE_SIZE, 3 * PAGE_SIZE), 0);
    CHECK_EQ(vm_used(vm_job, JOB_PAGES), full - 3);
    CHECK_EQ(aspace_unmap(a, at + 14 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
    CHECK_EQ(vm_used(vm_job, JOB_PAGES), full - 5);
    CHECK_EQ(map_anonymous(4, PROT_READ | PROT_WRITE | KPIO_MAP_FIXED, at), (int64_t)at);
    CHECK_EQ(vm_used(vm_job, JOB_PAGES), full - 9);
    // What forks share stays while anybody shows it.
    uint64_t shared = (uint64_t)map_anonymous(4, PROT_READ | PROT_WRITE | KPIO_MAP_POPULATE | KPIO_MAP_LOCAL_SHARE, 0);
    struct aspace *child;
    CHECK_EQ(aspace_create(vm_other_job, false, &child), 0);
    CHECK_EQ(aspace_clone(a, child), 0);
    CHECK_EQ(vm_write(shared + PAGE_SIZE, 7), 0);
    CHECK_EQ(aspace_unmap(a, shared, 2 * PAGE_SIZE), 0);
    vm_load(child);
    uint8_t byte;
    CHECK_EQ(vm_read(shared + PAGE_SIZE, &byte), 0);
    CHECK_EQ(byte, 7);
    aspace_put(a);
    CHECK_EQ(vm_read(at + 7 * PAGE_SIZE, &byte), 0);
    CHECK_EQ(byte, 0);
    aspace_put(child);
    vm_check_empty();
}

// Copies go with the end of their source, also where the mapping is longer than what it shows.
TEST(aspace_copies_end_with_their_source) {
    vm_start();
    struct vmo *source, *overlay;
    uint8_t byte;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, VMO_RESIZABLE, &source), 0);
    CHECK_EQ(vmo_overlay(source, 0, 3, vm_job, &overlay), 0);
    uint64_t at = 0;
    CHECK_EQ(map(overlay, 4, PROT_READ | PROT_WRITE, &at), 0);
    vm_load(a);
    CHECK_EQ(vm_write(at, 1), 0);
    CHECK_EQ(vm_write(at + 2 * PAGE_SIZE, 1), 0);
    CHECK_EQ(vmo_resize(source, PAGE_SIZE), 0);
    CHECK_EQ(vm_read(at, &byte), 0);
    CHECK_EQ(vm_read(at + 2 * PAGE_SIZE, &byte), -EFAULT);
    vmo_put(overlay);
    vmo_put(source);
    aspace_put(a);
    vm_check_empty();
}

TEST(aspace_untouched_unmap_flushes_nothing) {
    vm_start();
    struct vmo *vmo;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, PAGE_SIZE, 0, &vmo), 0);
    vm_load(a);
    uint64_t before = vm_flushes(), at = 0;
    CHECK_EQ(map(vmo, 1, PROT_READ | PROT_WRITE, &at), 0);
    CHECK_EQ(aspace_unmap(a, at, PAGE_SIZE), 0);
    CHECK_EQ(vm_flushes(), before);
    vmo_put(vmo);
    aspace_put(a);
    vm_check_empty();
}

TEST(aspace_quota) {
    vm_start();
    struct vmo *vmo;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 100 * PAGE_SIZE, 0, &vmo), 0);
    uint64_t at = 0;
    CHECK_EQ(map(vmo, 100, PROT_READ | PROT_WRITE, &at), 0);
    vm_load(a);
    CHECK_EQ(vm_write(at, 1), 0);
    uint64_t used = vm_used(vm_job, 0);
    vm_limit(vm_job, 0, used + 3);
    for (unsigned i = 1; i <= 3; i++) CHECK_EQ(vm_write(at + i * PAGE_SIZE, 1), 0);
    CHECK_EQ(vm_write(at + 4 * PAGE_SIZE, 1), -ENOMEM);
    CHECK_EQ(vmo_commit(vmo, 0, 100 * PAGE_SIZE), -ENOMEM);
    CHECK_EQ(vm_used(vm_job, 0), used + 3);
    CHECK_EQ(vmo_count_pages(vmo, 0, 100), 4);
    vm_limit(vm_job, 0, used + 50);
    CHECK_EQ(vmo_commit(vmo, 0, 100 * PAGE_SIZE), -ENOMEM);
    CHECK_EQ(vmo_count_pages(vmo, 0, 100), 4);
    CHECK_EQ(vmo_commit(vmo, 0, 50 * PAGE_SIZE), 0);
    CHECK_EQ(vmo_decommit(vmo, 0, 100 * PAGE_SIZE), 0);
    CHECK_EQ(vmo_count_pages(vmo, 0, 100), 0);
    vmo_put(vmo);
    aspace_put(a);
    vm_check_empty();
}

TEST(aspace_execution) {
    vm_start();
    struct vmo *code;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 2 * PAGE_SIZE, 0, &code), 0);
    uint64_t at = 0, copy = 0;
    struct aspace_map r = {.vmo = code, .size = 2 * PAGE_SIZE, .flags = PROT_READ, .max_prot = PROT_READ};
    at = (uint64_t)aspace_map(a, &r);
    CHECK(at < USER_MAX);
    vm_load(a);
    CHECK_EQ(vm_execute(at), -EFAULT);
    CHECK_EQ(aspace_protect(a, at, PAGE_SIZE, PROT_READ | PROT_EXECUTE), -EPERM);
    CHECK_EQ(map(code, 2, PROT_READ | PROT_EXECUTE | KPIO_MAP_PRIVATE, &copy), 0);
    CHECK_EQ(vm_execute(copy), 0);
    CHECK_EQ(aspace_protect(a, copy, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXECUTE), -EPERM);
    CHECK_EQ(aspace_protect(a, copy, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
    CHECK_EQ(vm_write(copy, 0xc3), 0);
    CHECK_EQ(aspace_protect(a, copy, PAGE_SIZE, PROT_READ | PROT_EXECUTE), 0);
    CHECK_EQ(vm_execute(copy), -EFAULT);  // a private copy
    CHECK_EQ(vm_execute(copy + PAGE_SIZE), 0);
    vmo_put(code);
    aspace_put(a);
    vm_check_empty();
}

TEST(aspace_large_pages) {
    vm_start();
    struct vmo *vmo, *copy;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 2 * LARGE_PAGE_SIZE, VMO_LARGE | VMO_RESIZABLE, &vmo), 0);
    uint64_t at = 0;
    CHECK_EQ(map(vmo, 1024, PROT_READ | PROT_WRITE, &at), 0);
    CHECK_EQ(at % LARGE_PAGE_SIZE, 0);
    vm_load(a);
    CHECK_EQ(vm_write(at + 5 * PAGE_SIZE, 5), 0);
    CHECK_EQ(vmo_count_pages(vmo, 0, 1024), 512);
    CHECK_EQ(aspace_pages(a), 512);
    CHECK_EQ(vmo_snapshot(vmo, 0, 1024, vm_job, &copy), 0);
    CHECK_EQ(vm_write(at + 5 * PAGE_SIZE, 6), 0);  // one page is copied, the 2 MiB entry goes
    CHECK_EQ(aspace_pages(a), 1);
    uint8_t byte;
    CHECK_EQ(vmo_read_kernel(copy, 5 * PAGE_SIZE, &byte, 1), 1);
    CHECK_EQ(byte, 5);
    CHECK_EQ(vm_read(at + 6 * PAGE_SIZE, &byte), 0);
    CHECK_EQ(byte, 0);
    vmo_put(copy);
    CHECK_EQ(vm_write(at + LARGE_PAGE_SIZE, 9), 0);
    CHECK_EQ(vmo_decommit(vmo, LARGE_PAGE_SIZE, PAGE_SIZE), 0);
    CHECK_EQ(vm_read(at + LARGE_PAGE_SIZE, &byte), 0);
    CHECK_EQ(byte, 0);
    CHECK_EQ(aspace_unmap(a, at + PAGE_SIZE, PAGE_SIZE), 0);
    CHECK_EQ(vmo_resize(vmo, PAGE_SIZE), 0);
    CHECK_EQ(vm_read(at + 6 * PAGE_SIZE, &byte), -EFAULT);
    vmo_put(vmo);
    aspace_put(a);
    vm_check_empty();
}

TEST(aspace_revoked_marker) {
    vm_start();
    struct vmo *vmo;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, &vmo), 0);
    uint64_t at = 0;
    CHECK_EQ(map(vmo, 4, PROT_READ | PROT_WRITE, &at), 0);
    vm_load(a);
    CHECK_EQ(vm_write(at, 1), 0);
    struct mapping *m = mapping_tree_from(&a->mappings, at);
    mapping_pin(m);
    mapping_revoked(m);
    uint8_t byte;
    CHECK_EQ(vm_read(at, &byte), -ECANCELED);
    vmo_put(vmo);
    CHECK(vm_used(vm_job, 0) < 6);  // its pages are gone, page tables may stay
    CHECK_EQ(aspace_unmap(a, at, 2 * PAGE_SIZE), 0);
    CHECK_EQ(vm_read(at, &byte), -EFAULT);
    CHECK_EQ(vm_read(at + 2 * PAGE_SIZE, &byte), -ECANCELED);
    aspace_put(a);
    vm_check_empty();
}

// The only mapping of a new address space.
static struct mapping *map_alone(struct vmo **vmo) {
    uint64_t at = 0;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, vmo), 0);
    CHECK_EQ(map(*vmo, 4, PROT_READ | PROT_WRITE, &at), 0);
    return mapping_tree_from(&a->mappings, at);
}

// A revocation that finds a mapping of an address space which waits for the reaper already.
TEST(aspace_revoked_while_reaped) {
    vm_start();
    struct vmo *vmo;
    struct mapping *m = map_alone(&vmo);
    aspace_put(a);
    mapping_pin(m);
    mapping_revoked(m);
    vmo_put(vmo);
    vm_check_empty();
}

TEST(aspace_reaped_while_revoked) {
    vm_start();
    struct vmo *vmo;
    struct mapping *m = map_alone(&vmo);
    mapping_pin(m);
    aspace_put(a);
    while (reaper_end_next()) {
    }
    mapping_revoked(m);
    vmo_put(vmo);
    vm_check_empty();
}

TEST(vmo_pool) {
    vm_start();
    struct wasm_account account = {.limit = 4 * LARGE_PAGE_SIZE};
    struct vmo *vmo;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create_pool(vm_job, 5 * LARGE_PAGE_SIZE, 8 * LARGE_PAGE_SIZE, &account, &vmo), -ENOMEM);
    CHECK_EQ(vmo_create_pool(vm_job, LARGE_PAGE_SIZE + PAGE_SIZE, 8 * LARGE_PAGE_SIZE, &account, &vmo), 0);
    uint64_t at = 0;
    CHECK_EQ(map(vmo, 2048, PROT_READ | PROT_WRITE, &at), 0);
    vm_load(a);
    CHECK_EQ(vm_write(at, 1), 0);
    CHECK_EQ(account.current, LARGE_PAGE_SIZE);
    CHECK_EQ(vm_write(at + LARGE_PAGE_SIZE, 1), 0);
    CHECK_EQ(vm_write(at + LARGE_PAGE_SIZE + PAGE_SIZE, 1), -EFAULT);
    CHECK_EQ(vmo_resize(vmo, 5 * LARGE_PAGE_SIZE), -ENOMEM);
    CHECK_EQ(vmo_resize(vmo, 2 * LARGE_PAGE_SIZE), 0);
    CHECK_EQ(account.reserved, 2 * LARGE_PAGE_SIZE);
    CHECK_EQ(vmo_resize(vmo, LARGE_PAGE_SIZE), -EINVAL);
    CHECK_EQ(vm_write(at + LARGE_PAGE_SIZE + PAGE_SIZE, 1), 0);
    struct vmo *copy;
    CHECK_EQ(vmo_snapshot(vmo, 0, 1, vm_job, &copy), -EINVAL);
    vmo_put(vmo);
    aspace_clear(a, true);
    aspace_put(a);
    CHECK_EQ(account.reserved, 0);
    vm_check_empty();
}

TEST(vmo_large_goes_to_reaper) {
    vm_start();
    struct vmo *vmo;
    CHECK_EQ(vmo_create(vm_job, 4096 * PAGE_SIZE, 0, &vmo), 0);
    CHECK_EQ(vmo_commit(vmo, 0, 4096 * PAGE_SIZE), 0);
    vmo_put(vmo);
    CHECK(vm_used(vm_job, 0) > 0);
    vm_check_empty();
}

TEST(usercopy_edges) {
    vm_start();
    struct vmo *vmo;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(vmo_create(vm_job, 2 * PAGE_SIZE, 0, &vmo), 0);
    uint64_t at = 0, end, word = 0;
    CHECK_EQ(map(vmo, 2, PROT_READ | PROT_WRITE, &at), 0);
    end = at + 2 * PAGE_SIZE;  // the highest mapping: nothing behind it
    vm_load(a);
    CHECK_EQ(put_user_u64(user_ptr(at + PAGE_SIZE - 4), 0x1122334455667788), 0);  // across two pages
    CHECK_EQ(get_user_u64(&word, user_ptr(at + PAGE_SIZE - 4)), 0);
    CHECK_EQ(word, 0x1122334455667788);
    CHECK_EQ(put_user_u64(user_ptr(end - 4), 1), -EFAULT);
    CHECK_EQ(get_user_u64(&word, user_ptr(USER_MAX - 4)), -EFAULT);
    CHECK_EQ(get_user_u64(&word, user_ptr(UINT64_MAX - 3)), -EFAULT);
    CHECK_EQ(copy_from_user(&word, user_ptr(0xffff800000000000), 8), -EFAULT);
    CHECK_EQ(copy_from_user(&word, user_ptr(at), UINT64_MAX), -EFAULT);
    char text[8];
    CHECK_EQ(copy_to_user(user_ptr(end - 4), "abc", 4), 0);
    CHECK_EQ(strncpy_from_user(text, user_ptr(end - 4), sizeof(text)), 3);
    CHECK_EQ(copy_to_user(user_ptr(end - 4), "abcd", 4), 0);
    CHECK_EQ(strncpy_from_user(text, user_ptr(end - 4), sizeof(text)), -EFAULT);
    CHECK_EQ(strncpy_from_user(text, user_ptr(end - 4), 4), -E2BIG);
    CHECK_EQ(zero_user(user_ptr(at), 2 * PAGE_SIZE), 0);
    CHECK_EQ(zero_user(user_ptr(at), 2 * PAGE_SIZE + 1), -EFAULT);
    vmo_put(vmo);
    aspace_put(a);
    vm_check_empty();
}
