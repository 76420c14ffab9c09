// VMOs and address spaces against a model: random operations on a few of each, every byte compared, with memory failing
// at random and other threads' accesses at every preemption point. One byte stands for each page.
#include "kernel/mm/test/vm_model.h"

#include <stdlib.h>
#include <string.h>

#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/mm/test/vm_host.h"
#include "tests/unit/unit.h"

#define HANDLES 8
#define SPACES 3
#define WINDOW 192       // pages of each address space that are used
#define VMO_PAGES 80
#define BASE 0x40000000ul

struct model_vmo {
    struct vmo *vmo;               // a reference; NULL for the overlay inside a private mapping
    unsigned refs;                 // handles, pages of windows, overlays
    unsigned pages;
    struct model_vmo *source;
    unsigned source_first;
    bool own[VMO_PAGES * 2];
    uint8_t value[VMO_PAGES * 2];
};
struct model_page {
    struct model_vmo *vmo;
    unsigned index;
    uint8_t prot, max_prot;
    bool reserved, revoked;
    bool share;                    // KPIO_MAP_LOCAL_SHARE
    bool own;                      // of the mapping alone
};

static struct model_vmo *handles[HANDLES];
static struct aspace *spaces[SPACES];
static struct model_page windows[SPACES][WINDOW];
static bool with_failures;

// A mapping that is being put in place of others, as other threads may see it.
static struct {
    unsigned space, at, count;  // count 0: none
    bool readable;              // all of it, once it is there
} replacing;

// ---- the model ---------------------------------------------------------------------------------------------------------

static void model_put(struct model_vmo *v) {
    if (!v || --v->refs) return;
    model_put(v->source);
    if (v->vmo) vmo_put(v->vmo);
    free(v);
}
static struct model_vmo *model_new(struct vmo *vmo, unsigned pages) {
    struct model_vmo *v = calloc(1, sizeof(*v));
    v->vmo = vmo;
    v->refs = 1;
    v->pages = pages;
    return v;
}
static uint8_t model_get(const struct model_vmo *v, unsigned i) {
    if (v->own[i] || !v->source) return v->value[i];
    return model_get(v->source, i + v->source_first);
}
static bool model_inside(const struct model_vmo *v, unsigned i) {
    if (i >= v->pages) return false;
    return v->own[i] || !v->source || i + v->source_first < v->source->pages;
}
static void model_set(struct model_vmo *v, unsigned i, uint8_t value) {
    v->own[i] = true;
    v->value[i] = value;
}
static struct model_vmo *model_copy(struct model_vmo *of, unsigned first, unsigned pages, bool overlay, struct vmo *vmo) {
    struct model_vmo *v = model_new(vmo, pages);
    bool follows = overlay || of->source;
    v->source = follows ? of->source ? of->source : of : NULL;
    v->source_first = first + (of->source ? of->source_first : 0);
    if (v->source) v->source->refs++;
    for (unsigned i = 0; i < pages && first + i < of->pages; i++) {
        if (overlay && !of->source) break;
        v->own[i] = of->own[first + i];
        v->value[i] = of->value[first + i];
    }
    return v;
}
static void page_unmap(struct model_page *p) {
    model_put(p->vmo);
    *p = (struct model_page){0};
}

// What an access must return; 0 and the byte.
static int expected(const struct model_page *p, unsigned prot) {
    if (p->revoked) return -ECANCELED;
    if (!p->vmo || prot & ~p->prot || !model_inside(p->vmo, p->index)) return -EFAULT;
    return 0;
}

// ---- operations -------------------------------------------------------------------------------------------------------

static uint64_t below(uint64_t n) { return unit_random() % n; }

// An error that is not in the model must come from a failure that was asked for.
static bool failed(int64_t error) {
    if (error == 0) return false;
    CHECK(with_failures && vm_has_failed() && (error == -ENOMEM || error == -ENFILE));
    return true;
}

// What should have changed pages has failed: those that it came to may be the overlay's own already, with the bytes that they
// had. It shows when the source gets smaller.
static void note_copied(struct model_vmo *v, struct vmo *vmo) {
    vm_fail_after(0);
    for (unsigned i = 0; v->source && i < v->pages; i++)
        if (!v->own[i] && vmo_count_pages(vmo, i, i + 1) == 1) model_set(v, i, model_get(v, i));
}

// Whether the VMO that is mapped at a page has it, which may be another page of its VMO than the model's: memory that grows or that
// moves to grow is another VMO here, and one that goes on there.
static bool is_copied(unsigned s, unsigned at) {
    uint64_t address = BASE + at * PAGE_SIZE;
    const struct mapping *m = mapping_tree_from(&spaces[s]->mappings, address);
    uint64_t index = m->first + ((address - m->start) >> PAGE_SHIFT);
    return vmo_count_pages(m->vmo, index, index + 1) == 1;
}

// The same for a write to a page through a mapping.
static void note_page_copied(unsigned s, unsigned at) {
    const struct model_page *p = &windows[s][at];
    vm_fail_after(0);
    if (p->vmo->source && !p->vmo->own[p->index] && is_copied(s, at))
        model_set(p->vmo, p->index, model_get(p->vmo, p->index));
}

static struct model_vmo *pick(void) { return handles[below(HANDLES)]; }

static void do_create(unsigned slot) {
    struct vmo *vmo;
    unsigned pages = 1 + (unsigned)below(VMO_PAGES);
    if (failed(vmo_create(vm_job, pages * PAGE_SIZE, VMO_RESIZABLE, &vmo))) return;
    model_put(handles[slot]);
    handles[slot] = model_new(vmo, pages);
}

static void do_copy(unsigned slot) {
    struct model_vmo *of = pick();
    struct vmo *vmo;
    if (!of) return;
    unsigned first = (unsigned)below(3) ? 0 : (unsigned)below(of->pages), pages = 1 + (unsigned)below(of->pages - first);
    bool overlay = below(2);
    int error = overlay ? vmo_overlay(of->vmo, first, pages, vm_job, &vmo) : vmo_snapshot(of->vmo, first, pages, vm_job, &vmo);
    if (failed(error)) return;
    struct model_vmo *copy = model_copy(of, first, pages, overlay, vmo);
    model_put(handles[slot]);
    handles[slot] = copy;
}

static void do_vmo_write(struct model_vmo *v) {
    unsigned i = (unsigned)below(v->pages);
    uint8_t value = (uint8_t)unit_random();
    int64_t n = vmo_write_kernel(v->vmo, i * PAGE_SIZE, &value, 1);
    if (!model_inside(v, i)) return;
    if (n == 1) {
        model_set(v, i, value);
    } else {
        CHECK(failed(n));
        note_copied(v, v->vmo);
    }
}

static void do_vmo_read(struct model_vmo *v) {
    unsigned i = (unsigned)below(v->pages);
    uint8_t value;
    int64_t n = vmo_read_kernel(v->vmo, i * PAGE_SIZE, &value, 1);
    if (!model_inside(v, i)) return;
    if (n != 1) CHECK(failed(n));
    else CHECK_EQ(value, model_get(v, i));
}

static void do_range(struct model_vmo *v) {
    unsigned first = (unsigned)below(v->pages), count = (unsigned)below(v->pages - first + 1);
    unsigned op = (unsigned)below(3);
    for (unsigned i = first; i < first + count; i++)
        if (!model_inside(v, i)) return;
    int error = op == 0   ? vmo_commit(v->vmo, first * PAGE_SIZE, count * PAGE_SIZE)
                : op == 1 ? vmo_decommit(v->vmo, first * PAGE_SIZE, count * PAGE_SIZE)
                          : vmo_zero(v->vmo, first * PAGE_SIZE, count * PAGE_SIZE);
    if (failed(error)) {
        note_copied(v, v->vmo);
        return;
    }
    for (unsigned i = first; i < first + count; i++) {
        if (op == 0 && v->source && !v->own[i]) model_set(v, i, model_get(v, i));
        if (op == 1) v->own[i] = false, v->value[i] = 0;
        if (op == 2) model_set(v, i, 0);
    }
}

// What overlays have copied of pages that their source has no more goes where it is mapped, as far as memory allows.
static void drop_copies(const struct model_vmo *source, unsigned pages) {
    vm_fail_after(0);
    for (unsigned s = 0; s < SPACES; s++)
        for (unsigned i = 0; i < WINDOW; i++) {
            const struct model_page *p = &windows[s][i];
            if (!p->vmo || p->vmo->source != source || p->index >= p->vmo->pages || p->index + p->vmo->source_first < pages) continue;
            if (!with_failures || !is_copied(s, i)) p->vmo->own[p->index] = false;
        }
}

static void do_resize(struct model_vmo *v) {
    unsigned pages = 1 + (unsigned)below(VMO_PAGES * 2);
    if (failed(vmo_resize(v->vmo, pages * PAGE_SIZE))) return;
    if (pages < v->pages) drop_copies(v, pages);
    for (unsigned i = pages; i < v->pages; i++) v->own[i] = false, v->value[i] = 0;
    v->pages = pages;
}

static bool is_mapped(const struct model_page *p) { return p->vmo || p->reserved || p->revoked; }

static void do_map(unsigned s) {
    struct model_vmo *v = pick();
    unsigned at = (unsigned)below(WINDOW), count = 1 + (unsigned)below(WINDOW - at < 70 ? WINDOW - at : 70);
    unsigned kind = (unsigned)below(8);
    bool anonymous = kind >= 6, reserve = !anonymous && (!v || kind == 0), private = !reserve && (kind == 1 || kind == 2);
    bool share = !reserve && below(6) == 0;
    unsigned prot = reserve ? 0 : (unsigned)below(4);
    unsigned max = reserve ? 0 : anonymous ? PROT_READ | PROT_WRITE : prot | (unsigned)below(4);
    struct aspace_map r = {
        .vmo = reserve || anonymous ? NULL : v->vmo,
        .first = reserve || anonymous ? 0 : below(v->pages),
        .size = count * PAGE_SIZE,
        .address = BASE + at * PAGE_SIZE,
        .flags = prot | (below(4) ? KPIO_MAP_FIXED : KPIO_MAP_FIXED_NOREPLACE) | (reserve ? KPIO_MAP_RESERVE : 0) |
                 (private ? KPIO_MAP_PRIVATE : 0) | (share ? KPIO_MAP_LOCAL_SHARE : 0),
        .max_prot = max,
    };
    bool taken = false;
    for (unsigned i = at; i < at + count; i++) taken |= is_mapped(&windows[s][i]);
    replacing.space = s, replacing.at = at, replacing.count = r.flags & KPIO_MAP_FIXED ? count : 0;
    replacing.readable = !reserve && prot & PROT_READ &&
                         (anonymous || (model_inside(v, (unsigned)r.first + count - 1) && !v->source));
    int64_t at_or_error = anonymous ? aspace_map_anonymous(spaces[s], &r) : aspace_map(spaces[s], &r);
    replacing.count = 0;
    int error = at_or_error < 0 ? (int)at_or_error : 0;
    if (error == -EEXIST) {
        CHECK(taken && r.flags & KPIO_MAP_FIXED_NOREPLACE);
        return;
    }
    if (failed(error)) return;
    CHECK((uint64_t)at_or_error == r.address && !(taken && r.flags & KPIO_MAP_FIXED_NOREPLACE));
    struct model_vmo *shown = anonymous ? model_new(NULL, count)
                              : reserve ? NULL
                              : private ? model_copy(v, (unsigned)r.first, count, true, NULL)
                                        : v;
    for (unsigned i = 0; i < count; i++) {
        struct model_page *p = &windows[s][at + i];
        page_unmap(p);
        *p = (struct model_page){shown, (private ? 0 : (unsigned)r.first) + i, (uint8_t)prot, (uint8_t)max, reserve, false,
                                 share, (anonymous || private) && !share};
        if (shown) shown->refs++;
    }
    if (private || anonymous) model_put(shown);
}

static void do_unmap(unsigned s) {
    unsigned at = (unsigned)below(WINDOW), count = 1 + (unsigned)below(WINDOW - at < 40 ? WINDOW - at : 40);
    if (failed(aspace_unmap(spaces[s], BASE + at * PAGE_SIZE, count * PAGE_SIZE))) return;
    for (unsigned i = at; i < at + count; i++) page_unmap(&windows[s][i]);
}

static void do_protect(unsigned s) {
    unsigned at = (unsigned)below(WINDOW), count = 1 + (unsigned)below(WINDOW - at < 20 ? WINDOW - at : 20);
    unsigned prot = (unsigned)below(4);
    int expect = 0;
    for (unsigned i = at; i < at + count && !expect; i++) {
        const struct model_page *p = &windows[s][i];
        if (!is_mapped(p)) expect = -EINVAL;
        else if (prot & ~p->max_prot) expect = -EPERM;
    }
    int error = aspace_protect(spaces[s], BASE + at * PAGE_SIZE, count * PAGE_SIZE, prot);
    if (expect) CHECK(error == -EINVAL || error == -EPERM);
    if (expect || failed(error)) return;
    for (unsigned i = at; i < at + count; i++) windows[s][i].prot = (uint8_t)prot;
}

static void access_page(unsigned s, unsigned i, bool write) {
    struct model_page *p = &windows[s][i];
    uint8_t value = (uint8_t)unit_random(), wanted = value;
    vm_load(spaces[s]);
    int error = write ? vm_write(BASE + i * PAGE_SIZE, value) : vm_read(BASE + i * PAGE_SIZE, &value);
    int expect = expected(p, write ? PROT_WRITE : PROT_READ);
    // x86 cannot write without reading; whether a page that is write-only may be read depends on what was touched.
    if (!write && expect == -EFAULT && p->vmo && p->prot == PROT_WRITE && error == 0) return;
    if (error == -ENOMEM && failed(error)) {
        if (write && expect == 0) note_page_copied(s, i);
        return;
    }
    CHECK_EQ(error, expect);
    if (error) return;
    if (write) model_set(p->vmo, p->index, wanted);
    else CHECK_EQ(value, model_get(p->vmo, p->index));
}

struct clones {
    struct model_vmo *of[ASPACE_CLONE_CACHE], *copy[ASPACE_CLONE_CACHE];
    unsigned next;
};

// What a page of the clone shows, with a reference: pages of one VMO show one copy, wherever they are mapped.
static struct model_vmo *clone_of(struct clones *c, struct model_vmo *of) {
    unsigned slot = 0;
    while (slot < ASPACE_CLONE_CACHE && c->of[slot] != of) slot++;
    if (slot == ASPACE_CLONE_CACHE) {
        slot = c->next++ % ASPACE_CLONE_CACHE;
        model_put(c->copy[slot]);
        c->of[slot] = of;
        c->copy[slot] = model_copy(of, 0, of->pages, false, NULL);
    }
    c->copy[slot]->refs++;
    return c->copy[slot];
}

static void do_clone(unsigned s) {
    unsigned to = (s + 1 + (unsigned)below(SPACES - 1)) % SPACES;
    aspace_clear(spaces[to], false);
    for (unsigned i = 0; i < WINDOW; i++) page_unmap(&windows[to][i]);
    int error = aspace_clone(spaces[s], spaces[to]);
    if (failed(error)) {
        struct aspace_range range;
        CHECK_EQ(aspace_query(spaces[to], 0, true, &range), -ENOENT);
        return;
    }
    struct clones clones = {0};
    for (unsigned i = 0; i < WINDOW; i++) {
        struct model_page *p = &windows[s][i];
        windows[to][i] = *p;
        if (p->vmo && p->share) p->vmo->refs++;
        else if (p->vmo) windows[to][i].vmo = clone_of(&clones, p->vmo);
    }
    for (unsigned i = 0; i < ASPACE_CLONE_CACHE; i++) model_put(clones.copy[i]);
}

// Where memory may fail in the middle it is a part of one mapping: of several, nobody knows how far it came, and of a hole before
// it, which is told of at the end, whether the error means that.
static void do_advise(unsigned s) {
    unsigned at = (unsigned)below(WINDOW), count = 1 + (unsigned)below(WINDOW - at < 40 ? WINDOW - at : 40);
    unsigned advice = (unsigned)below(4), prot = advice == KPIO_ADVISE_POPULATE_WRITE ? PROT_WRITE : PROT_READ;
    bool populate = advice == KPIO_ADVISE_POPULATE_READ || advice == KPIO_ADVISE_POPULATE_WRITE;
    struct mapping *m = mapping_tree_from(&spaces[s]->mappings, BASE + at * PAGE_SIZE);
    bool skip_hole = with_failures && !populate && m && m->start < BASE + WINDOW * PAGE_SIZE;
    if (skip_hole) at = (unsigned)MAX(at, (m->start - BASE) / PAGE_SIZE);
    if (with_failures && populate) count = 1;
    if (with_failures && m) count = (unsigned)MIN(count, (m->end - BASE) / PAGE_SIZE - at);
    int error = aspace_advise(spaces[s], BASE + at * PAGE_SIZE, count * PAGE_SIZE, advice), expect = 0;
    if (with_failures && vm_has_failed() && failed(error)) {
        if (advice == KPIO_ADVISE_POPULATE_WRITE && expected(&windows[s][at], prot) == 0) note_page_copied(s, at);
        return;
    }
    for (unsigned i = at; i < at + count; i++) {
        struct model_page *p = &windows[s][i];
        if (populate && !expect) expect = expected(p, prot);
        if (!populate && !is_mapped(p)) expect = -ENOMEM;
        if (populate && !expect && prot == PROT_WRITE && !p->vmo->own[p->index])
            model_set(p->vmo, p->index, model_get(p->vmo, p->index));
        if (advice == KPIO_ADVISE_DONTNEED && p->vmo && p->own) p->vmo->own[p->index] = false, p->vmo->value[p->index] = 0;
    }
    CHECK_EQ(error, expect);
}

// What lies behind the last page of a mapping that grows by `count` pages.
static void grown_pages(const struct model_page *last, struct model_page *out, unsigned count) {
    struct model_vmo *v = last->vmo;
    bool fresh = v && last->own;
    if (fresh && v->source) v = model_copy(v->source, v->source_first + last->index + 1, count, true, NULL);
    else if (fresh) v = model_new(NULL, count);
    for (unsigned i = 0; i < count; i++) {
        out[i] = *last;
        out[i].vmo = v;
        out[i].index = fresh ? i : last->index + 1 + i;
        if (v) v->refs++;
    }
    if (fresh) model_put(v);
}

static void model_move(unsigned s, unsigned at, unsigned size, unsigned to, unsigned new_size) {
    struct model_page pages[WINDOW];
    unsigned kept = MIN(size, new_size);
    memcpy(pages, &windows[s][at], kept * sizeof(pages[0]));
    memset(&windows[s][at], 0, kept * sizeof(pages[0]));
    for (unsigned i = at + kept; i < at + size; i++) page_unmap(&windows[s][i]);
    if (new_size > size) grown_pages(&pages[size - 1], &pages[size], new_size - size);
    for (unsigned i = 0; i < new_size; i++) {
        page_unmap(&windows[s][to + i]);
        windows[s][to + i] = pages[i];
    }
}

// Where the kernel chooses the place it is moved back into the window.
static void do_move(unsigned s) {
    unsigned size = 1 + (unsigned)below(30), new_size = 1 + (unsigned)below(30), flags = (unsigned)below(4);
    unsigned at = (unsigned)below(WINDOW - MAX(size, new_size)), to = (unsigned)below(WINDOW - new_size);
    bool fixed = flags & KPIO_MOVE_FIXED, may_move = flags & KPIO_MOVE_MAYMOVE, overlap = to < at + size && at < to + new_size;
    uint64_t from = BASE + at * PAGE_SIZE, target = fixed ? BASE + to * PAGE_SIZE : 0;
    struct mapping *m = mapping_tree_from(&spaces[s]->mappings, from);
    bool moves = fixed || new_size > size, whole = m && from + MIN(size, new_size) * PAGE_SIZE <= m->end, lost = false;
    for (unsigned i = at; i < at + MIN(size, new_size); i++) lost = lost || windows[s][i].revoked || !is_mapped(&windows[s][i]);
    int64_t result = aspace_move(spaces[s], from, size * PAGE_SIZE, new_size * PAGE_SIZE, flags, target);
    if (fixed && (!may_move || overlap)) {
        CHECK_EQ(result, -EINVAL);
        return;
    }
    if (moves && lost) CHECK(result < 0);
    if (result == -EFAULT) CHECK(moves ? lost || !whole : !is_mapped(&windows[s][at]));
    else if (result == -ENOSPC) CHECK(moves && !may_move);
    else if (result >= 0 || !failed(result)) CHECK(fixed ? (uint64_t)result == target : may_move || (uint64_t)result == from);
    if (result < 0) return;
    if (fixed || (uint64_t)result == from) {
        model_move(s, at, size, fixed ? to : at, new_size);
        return;
    }
    vm_fail_after(0);
    target = BASE + to * PAGE_SIZE;
    CHECK_EQ(aspace_move(spaces[s], (uint64_t)result, new_size * PAGE_SIZE, new_size * PAGE_SIZE, 3, target), target);
    model_move(s, at, size, to, new_size);
}

static void do_revoke(unsigned s) {
    struct mapping *m = mapping_tree_from(&spaces[s]->mappings, BASE + below(WINDOW) * PAGE_SIZE);
    if (!m || !m->vmo) return;
    uint64_t start = m->start, end = m->end;
    mapping_pin(m);
    mapping_revoked(m);
    for (uint64_t at = start; at < end; at += PAGE_SIZE) {
        struct model_page *p = &windows[s][(at - BASE) / PAGE_SIZE];
        model_put(p->vmo);
        p->vmo = NULL;
        p->revoked = true;
    }
}

// Another thread in the middle of a mapping being put in place of others. It sees the old or the new, and where something was
// mapped it gets no place: a hint is taken where there is room.
static void see_replacing(void) {
    unsigned i = replacing.at + (unsigned)below(replacing.count);
    const struct model_page *p = &windows[replacing.space][i];
    uint64_t address = BASE + i * PAGE_SIZE;
    uint8_t value;
    vm_load(spaces[replacing.space]);
    if (replacing.readable && expected(p, PROT_READ) == 0) {
        int error = vm_read(address, &value);
        CHECK(error == 0 || failed(error));
    }
    if (!is_mapped(p)) return;
    struct aspace_map hint = {.size = PAGE_SIZE, .address = address, .flags = KPIO_MAP_RESERVE};
    int64_t got = aspace_map(spaces[replacing.space], &hint);
    if (got < 0) CHECK(failed(got));
    else CHECK(got != (int64_t)address && aspace_unmap(spaces[replacing.space], (uint64_t)got, PAGE_SIZE) == 0);
}

// Another thread's accesses in the middle of an operation. They must find no freed page; what they read is checked by the
// machine only, as the model is between two states.
static void other_threads(void) {
    static bool inside;  // what other threads do has preemption points as well
    struct aspace *now = this_cpu()->aspace;
    if (inside) return;
    inside = true;
    if (replacing.count) see_replacing();
    for (unsigned n = 0; n < 3; n++) {
        unsigned s = (unsigned)below(SPACES);
        uint64_t address = BASE + below(WINDOW) * PAGE_SIZE;
        uint8_t value;
        if (windows[s][(address - BASE) / PAGE_SIZE].vmo == NULL || spaces[s]->clones) continue;  // it would wait for the clone
        vm_load(spaces[s]);
        (void)vm_read(address, &value);
    }
    if (now) vm_load(now);
    inside = false;
}

static void step(void) {
    unsigned s = (unsigned)below(SPACES), action = (unsigned)below(100);
    struct model_vmo *v = pick();
    if (with_failures) vm_fail_after(1 + below(30));
    if (action < 40) access_page(s, (unsigned)below(WINDOW), action & 1);
    else if (action < 45) do_create((unsigned)below(HANDLES));
    else if (action < 52) do_copy((unsigned)below(HANDLES));
    else if (action < 62) do_map(s);
    else if (action < 66) do_unmap(s);
    else if (action < 70) do_protect(s);
    else if (action < 73) do_clone(s);
    else if (action < 74) do_revoke(s);
    else if (action < 79) do_move(s);
    else if (action < 83) do_advise(s);
    else if (v && action < 86) do_vmo_write(v);
    else if (v && action < 89) do_vmo_read(v);
    else if (v && action < 96) do_range(v);
    else if (v) do_resize(v);
    vm_fail_after(0);
}

static void check_all(void) {
    for (unsigned s = 0; s < SPACES; s++)
        for (unsigned i = 0; i < WINDOW; i++) access_page(s, i, false);
}

void vm_model_run(unsigned rounds, bool failures) {
    with_failures = failures;
    memset(handles, 0, sizeof(handles));  // a case before this one may have ended in the middle
    memset(windows, 0, sizeof(windows));
    replacing.count = 0;
    vm_start();
    for (unsigned s = 0; s < SPACES; s++) CHECK_EQ(aspace_create(vm_job, false, &spaces[s]), 0);
    vm_preempt = other_threads;
    for (unsigned round = 0; round < rounds && vm_model_more(); round++) {
        step();
        if (round % 32 == 0) check_all();
    }
    vm_preempt = NULL;
    for (unsigned s = 0; s < SPACES; s++) {
        aspace_clear(spaces[s], s != 0);
        for (unsigned i = 0; i < WINDOW; i++) page_unmap(&windows[s][i]);
        aspace_put(spaces[s]);
    }
    for (unsigned i = 0; i < HANDLES; i++) {
        model_put(handles[i]);
        handles[i] = NULL;
    }
    vm_check_empty();
}
