//! WASI preview 1 for one module (include/kpio_wasmtime.h): a linker gets the functions that the module imports and no others, as each
//! costs what it takes to register its type, and most programs import a few of them.
//!
//! What the functions are is wasmtime-wasi's, which also checks all that a program hands over; here is how they are called. The context is
//! the store's data.
use crate::across;
use core::ffi::c_void;
use wasmtime::{AsContext, AsContextMut, Caller, Error, Extern, Linker, Module, Result};
use wasmtime_c_api::{WasmtimeStoreData, wasi_config_t, wasmtime_context_get_data, wasmtime_error_t, wasmtime_linker_t, wasmtime_module_t};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::Errno;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as preview1, WasiSnapshotPreview1};
use wasmtime_wasi::runtime::in_tokio;
use wiggle::GuestMemory;

const MODULE: &str = "wasi_snapshot_preview1";
type Program<'a> = Caller<'a, WasmtimeStoreData>;

/// The context of the program that calls.
fn context<'a>(caller: &mut Program<'_>) -> Result<&'a mut WasiP1Ctx> {
    let fuel = caller.as_context_mut().hostcall_fuel();
    let data = wasmtime_context_get_data(caller.as_context()).cast::<WasiP1Ctx>();
    // It lies outside of the store, which keeps it until it ends itself, and nothing else looks at it during a call.
    let context = unsafe { data.as_mut() }.ok_or_else(|| Error::msg("a store without a WASI context"))?;
    context.set_hostcall_fuel(fuel);
    Ok(context)
}

/// The answer to a call that names two places.
fn across(call: impl FnOnce() -> Result<i32>) -> Result<i32> {
    let (result, crossed) = across::crossed(call);
    let errno = result?;
    Ok(if crossed && errno == Errno::Io as i32 { Errno::Xdev as i32 } else { errno })
}

macro_rules! finished {
    (now, $made:expr) => { $made };
    (waits, $made:expr) => { in_tokio($made) };
    (names, $made:expr) => { across(|| in_tokio($made)) };
}

/// `define(linker, name)`, of these functions; what has another name is left undefined.
macro_rules! functions {
    ($($how:ident $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        fn define(linker: &mut Linker<WasmtimeStoreData>, name: &str) -> Result<()> {
            match name {
                $(stringify!($name) => {
                    linker.func_wrap(MODULE, name, |mut caller: Program<'_>, $($argument: $kind),*| -> Result<$result> {
                        let context = context(&mut caller)?;
                        let export = caller.get_export("memory");
                        let mut memory = match &export {
                            Some(Extern::Memory(memory)) => GuestMemory::Unshared(memory.data_mut(&mut caller)),
                            Some(Extern::SharedMemory(memory)) => GuestMemory::Shared(memory.data()),
                            _ => return Err(Error::msg("missing required memory export")),
                        };
                        Ok(finished!($how, preview1::$name(context, &mut memory, $($argument),*))?.into())
                    })?;
                })*
                _ => {}
            }
            Ok(())
        }
    };
}

functions! {
    now args_get(list: i32, text: i32) -> i32;
    now args_sizes_get(count: i32, bytes: i32) -> i32;
    now environ_get(list: i32, text: i32) -> i32;
    now environ_sizes_get(count: i32, bytes: i32) -> i32;
    now clock_res_get(clock: i32, out: i32) -> i32;
    now clock_time_get(clock: i32, precision: i64, out: i32) -> i32;
    waits fd_advise(fd: i32, offset: i64, size: i64, advice: i32) -> i32;
    now fd_allocate(fd: i32, offset: i64, size: i64) -> i32;
    waits fd_close(fd: i32) -> i32;
    waits fd_datasync(fd: i32) -> i32;
    waits fd_fdstat_get(fd: i32, out: i32) -> i32;
    now fd_fdstat_set_flags(fd: i32, flags: i32) -> i32;
    now fd_fdstat_set_rights(fd: i32, rights: i64, inherited: i64) -> i32;
    waits fd_filestat_get(fd: i32, out: i32) -> i32;
    waits fd_filestat_set_size(fd: i32, size: i64) -> i32;
    waits fd_filestat_set_times(fd: i32, accessed: i64, modified: i64, which: i32) -> i32;
    waits fd_pread(fd: i32, pieces: i32, count: i32, offset: i64, out: i32) -> i32;
    now fd_prestat_get(fd: i32, out: i32) -> i32;
    now fd_prestat_dir_name(fd: i32, name: i32, size: i32) -> i32;
    waits fd_pwrite(fd: i32, pieces: i32, count: i32, offset: i64, out: i32) -> i32;
    waits fd_read(fd: i32, pieces: i32, count: i32, out: i32) -> i32;
    waits fd_readdir(fd: i32, buffer: i32, size: i32, cookie: i64, out: i32) -> i32;
    waits fd_renumber(fd: i32, to: i32) -> i32;
    waits fd_seek(fd: i32, offset: i64, whence: i32, out: i32) -> i32;
    waits fd_sync(fd: i32) -> i32;
    now fd_tell(fd: i32, out: i32) -> i32;
    waits fd_write(fd: i32, pieces: i32, count: i32, out: i32) -> i32;
    waits path_create_directory(fd: i32, path: i32, size: i32) -> i32;
    waits path_filestat_get(fd: i32, follow: i32, path: i32, size: i32, out: i32) -> i32;
    waits path_filestat_set_times(fd: i32, follow: i32, path: i32, size: i32, accessed: i64, modified: i64, which: i32) -> i32;
    names path_link(fd: i32, follow: i32, path: i32, size: i32, to: i32, name: i32, name_size: i32) -> i32;
    waits path_open(fd: i32, follow: i32, path: i32, size: i32, how: i32, rights: i64, inherited: i64, flags: i32, out: i32) -> i32;
    waits path_readlink(fd: i32, path: i32, size: i32, buffer: i32, room: i32, out: i32) -> i32;
    waits path_remove_directory(fd: i32, path: i32, size: i32) -> i32;
    names path_rename(fd: i32, path: i32, size: i32, to: i32, name: i32, name_size: i32) -> i32;
    waits path_symlink(text: i32, size: i32, fd: i32, name: i32, name_size: i32) -> i32;
    waits path_unlink_file(fd: i32, path: i32, size: i32) -> i32;
    waits poll_oneoff(subscriptions: i32, events: i32, count: i32, out: i32) -> i32;
    now proc_exit(status: i32) -> ();
    now proc_raise(signal: i32) -> i32;
    now sched_yield() -> i32;
    now random_get(buffer: i32, size: i32) -> i32;
    now sock_accept(fd: i32, flags: i32, out: i32) -> i32;
    now sock_recv(fd: i32, pieces: i32, count: i32, flags: i32, out: i32, out_flags: i32) -> i32;
    now sock_send(fd: i32, pieces: i32, count: i32, flags: i32, out: i32) -> i32;
    now sock_shutdown(fd: i32, how: i32) -> i32;
}

#[unsafe(no_mangle)]
pub extern "C" fn kpio_wasmtime_wasi_new(config: Box<wasi_config_t>, out: &mut *mut c_void) -> Option<Box<wasmtime_error_t>> {
    match config.into_wasi_ctx() {
        Ok(context) => {
            *out = Box::into_raw(Box::new(context)).cast();
            None
        }
        Err(error) => Some(Box::new(error.into())),
    }
}

/// # Safety
/// `wasi` came from kpio_wasmtime_wasi_new, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kpio_wasmtime_wasi_delete(wasi: *mut c_void) {
    drop(unsafe { Box::from_raw(wasi.cast::<WasiP1Ctx>()) });
}

#[unsafe(no_mangle)]
pub extern "C" fn kpio_wasmtime_linker_define_wasi(
    linker: &mut wasmtime_linker_t,
    module: &wasmtime_module_t,
) -> Option<Box<wasmtime_error_t>> {
    // Both are structures of the C API with these as their only members.
    const { assert!(size_of::<wasmtime_linker_t>() == size_of::<Linker<WasmtimeStoreData>>()) };
    const { assert!(size_of::<wasmtime_module_t>() == size_of::<Module>()) };
    let linker = unsafe { &mut *core::ptr::from_mut(linker).cast::<Linker<WasmtimeStoreData>>() };
    let module = unsafe { &*core::ptr::from_ref(module).cast::<Module>() };
    let mut defined = Vec::new();
    for import in module.imports().filter(|import| import.module() == MODULE) {
        if defined.contains(&import.name()) {
            continue;
        }
        defined.push(import.name());
        if let Err(error) = define(linker, import.name()) {
            return Some(Box::new(error.into()));
        }
    }
    None
}
