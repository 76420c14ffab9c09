// Between the files that implement VMOs.
#pragma once
#include "kernel/mm/vmo.h"
#include "kernel/sched/sched.h"

// Makes a PAGE_USED page the VMO's: type, owner (the job that paid for it), index.
struct page *vmo_page_adopt(struct page *page, struct job *job, uint64_t index);

// Promises pages of the WASM pool to the account, charged to job whether they are touched or not: 0 or -ENOMEM.
[[nodiscard]] int vmo_pool_reserve(struct job *job, struct wasm_account *account, uint64_t pages);

// PAGED: what vmo_frame_locked says; index < vmo->pages.
struct vmo_frame vmo_paged_frame(struct vmo *vmo, uint64_t index, bool write);

// For a fork: a snapshot of all of an ANONYMOUS or OVERLAY VMO that the caller's address space maps. The caller takes the right to
// write from the entries of its mappings itself, afterwards. `own`: no other address space maps it. 0, -EINVAL (pinned), -ENOMEM, -ENFILE.
[[nodiscard]] int vmo_snapshot_mapped(struct vmo *vmo, struct job *job, bool own, struct vmo **out);

// Turns a fresh VMO into an overlay; takes over a reference on source, which is no overlay itself.
void vmo_make_overlay(struct vmo *vmo, struct vmo *source, uint64_t first);

// Takes pages [first, end), at most a leaf of the tree, out of all page tables that show them and waits until no CPU has
// them. vmo->lock held.
void vmo_unmap_locked(struct vmo *vmo, uint64_t first, uint64_t end);
// The same for any range, and taking only the right to write; preemptible, no lock held.
void vmo_unmap_range(struct vmo *vmo, uint64_t first, uint64_t end);
void vmo_write_protect(struct vmo *vmo, uint64_t first, uint64_t end);
