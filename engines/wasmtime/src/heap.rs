//! The engine's memory comes from the program that it is linked to (include/kpio_wasmtime.h).
use std::alloc::{GlobalAlloc, Layout};

unsafe extern "C" {
    fn kpio_heap_take(size: usize, align: usize) -> *mut u8;
    fn kpio_heap_take_zeroed(size: usize, align: usize) -> *mut u8;
    fn kpio_heap_resize(block: *mut u8, size: usize, align: usize, wanted: usize) -> *mut u8;
    fn kpio_heap_give(block: *mut u8, size: usize, align: usize);
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// What a global allocator is asked for has a size other than 0 and a power of two as its alignment, as the functions want it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { kpio_heap_take(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { kpio_heap_take_zeroed(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, wanted: usize) -> *mut u8 {
        unsafe { kpio_heap_resize(block, layout.size(), layout.align(), wanted) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { kpio_heap_give(block, layout.size(), layout.align()) }
    }
}
