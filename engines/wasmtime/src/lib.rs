//! Wasmtime's C API, re-exported so that a static library holds it.
pub use wasmtime_c_api::*;
