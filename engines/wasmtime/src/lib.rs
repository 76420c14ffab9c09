//! Wasmtime's C API, re-exported so that a static library holds it, and what it lacks (include/kpio_wasmtime.h).
pub use wasmtime_c_api::*;

mod across;
mod heap;
mod limits;
mod wasi;
mod wasi_component;
mod wasi_functions;

/// Whether the program trapped, and did not call what the host refuses.
#[unsafe(no_mangle)]
pub extern "C" fn kpio_wasmtime_error_is_trap(error: &wasmtime_error_t) -> bool {
    // An error of the C API is a structure of C's layout with this as its only member.
    const { assert!(size_of::<wasmtime_error_t>() == size_of::<wasmtime::Error>()) };
    let error = unsafe { &*core::ptr::from_ref(error).cast::<wasmtime::Error>() };
    error.is::<wasmtime::Trap>()
}

#[cfg(feature = "full")]
mod precompile {
    use wasmtime::Engine;
    use wasmtime_c_api::{wasm_byte_vec_t, wasm_engine_t, wasmtime_error_t};

    /// # Safety
    /// `data` is `size` bytes; the pointers are those that the header asks for.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn kpio_wasmtime_precompile(
        engine: *const wasm_engine_t,
        data: *const u8,
        size: usize,
        component: bool,
        artifact: &mut core::mem::MaybeUninit<wasm_byte_vec_t>,
    ) -> Option<Box<wasmtime_error_t>> {
        // An engine of the C API is a structure of C's layout with this as its only member.
        const { assert!(size_of::<wasm_engine_t>() == size_of::<Engine>()) };
        let engine = unsafe { &*engine.cast::<Engine>() };
        let bytes = unsafe { core::slice::from_raw_parts(data, size) };
        let made = if component { engine.precompile_component(bytes) } else { engine.precompile_module(bytes) };
        match made {
            Ok(code) => {
                artifact.write(code.into());
                None
            }
            Err(error) => Some(Box::new(error.into())),
        }
    }
}
