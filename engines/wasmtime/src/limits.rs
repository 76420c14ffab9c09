//! What a store may make and how far it may grow, with what the C API's function for that lacks (include/kpio_wasmtime.h).
use wasmtime::{ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_c_api::{WasmtimeStoreData, wasmtime_store_t};

#[repr(C)]
pub struct Limits {
    memory_size: i64,
    table_elements: i64,
    instances: i64,
    tables: i64,
    memories: i64,
    trap_on_grow_failure: bool,
}

fn built(limits: &Limits) -> StoreLimits {
    type Set = fn(StoreLimitsBuilder, usize) -> StoreLimitsBuilder;
    let given: [(i64, Set); 5] = [
        (limits.memory_size, StoreLimitsBuilder::memory_size),
        (limits.table_elements, StoreLimitsBuilder::table_elements),
        (limits.instances, StoreLimitsBuilder::instances),
        (limits.tables, StoreLimitsBuilder::tables),
        (limits.memories, StoreLimitsBuilder::memories),
    ];
    let mut builder = StoreLimitsBuilder::new().trap_on_grow_failure(limits.trap_on_grow_failure);
    for (limit, set) in given {
        if let Ok(limit) = usize::try_from(limit) {
            builder = set(builder, limit);
        }
    }
    builder.build()
}

/// Where the limits lie: the store has one owner, and asks from one thread at a time.
struct Place(*mut StoreLimits);
unsafe impl Send for Place {}
unsafe impl Sync for Place {}

impl Drop for Place {
    fn drop(&mut self) {
        drop(unsafe { Box::from_raw(self.0) });
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn kpio_wasmtime_store_limit(store: &mut wasmtime_store_t, limits: &Limits) {
    // A store of the C API is a structure of C's layout with this as its only member.
    const { assert!(size_of::<wasmtime_store_t>() == size_of::<Store<WasmtimeStoreData>>()) };
    let store = unsafe { &mut *core::ptr::from_mut(store).cast::<Store<WasmtimeStoreData>>() };
    let place = Place(Box::into_raw(Box::new(built(limits))));
    store.limiter(move |_| {
        let place: &Place = &place; // all of it lives as long as the store does
        unsafe { &mut *place.0 as &mut dyn ResourceLimiter }
    });
}
