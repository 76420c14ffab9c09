//! WASI preview 2 for one component (include/kpio_wasmtime.h): a linker gets the interfaces that the component imports and no others. An
//! interface has up to some dozen functions, of which each costs its place in the linker's tables.
//!
//! The interfaces are wasmtime-wasi's, as its own `p2::add_to_linker_sync` adds them all.
use crate::across;
use wasmtime::component::{Component, HasData, Linker, Resource, ResourceTable};
use wasmtime::{Result, StoreContextMut};
use wasmtime_c_api::{WasmtimeStoreData, wasmtime_component_linker_t, wasmtime_component_t, wasmtime_error_t};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{Descriptor, ErrorCode, HostDescriptor, PathFlags};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets, sync};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi_io::bindings::wasi::io;

type Data = WasmtimeStoreData;

/// What wasi:io works on: the table of the store's resources.
struct Resources;

impl HasData for Resources {
    type Data<'a> = &'a mut ResourceTable;
}

fn resources(data: &mut Data) -> &mut ResourceTable {
    data.ctx().table
}

fn random_numbers(data: &mut Data) -> &mut WasiRandomCtx {
    data.ctx().ctx.random()
}

const FILESYSTEM: &str = "wasi:filesystem/types@0.2.12"; // as wasmtime-wasi names it, of the versions that it serves
type Answer = (core::result::Result<(), ErrorCode>,);

/// The answer to a call that names two places.
fn across(call: impl FnOnce() -> FsResult<()>) -> Result<Answer> {
    let (result, crossed) = across::crossed(call);
    let Err(error) = result else { return Ok((Ok(()),)) };
    let code: ErrorCode = error.downcast()?.into();
    Ok((Err(if crossed && code == ErrorCode::Io { ErrorCode::CrossDevice } else { code }),))
}

/// In place of wasmtime-wasi's functions of these names.
fn define_names(linker: &mut Linker<Data>) -> Result<()> {
    type Place = Resource<Descriptor>;
    linker.allow_shadowing(true);
    let mut types = linker.instance(FILESYSTEM)?;
    types.func_wrap(
        "[method]descriptor.rename-at",
        |mut store: StoreContextMut<'_, Data>, (from, path, to, name): (Place, String, Place, String)| {
            across(|| store.data_mut().filesystem().rename_at(from, path, to, name))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.link-at",
        |mut store: StoreContextMut<'_, Data>, (from, follow, path, to, name): (Place, PathFlags, String, Place, String)| {
            across(|| store.data_mut().filesystem().link_at(from, follow, path, to, name))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// `define(linker, interface)`, of these interfaces; what has another name is left undefined.
macro_rules! interfaces {
    ($($name:literal $($module:ident)::+ : $has:ty, $get:expr;)*) => {
        fn define(linker: &mut Linker<Data>, interface: &str) -> Result<()> {
            match interface {
                $($name => $($module)::+::add_to_linker::<Data, $has>(linker, $get),)*
                "wasi:sockets/network" => sockets::network::add_to_linker::<Data, WasiSockets>(linker, &Default::default(), Data::sockets),
                _ => Ok(()),
            }
        }
    };
}

interfaces! {
    "wasi:cli/environment" cli::environment: WasiCli, Data::cli;
    "wasi:cli/exit" cli::exit: WasiCli, Data::cli;
    "wasi:cli/stdin" cli::stdin: WasiCli, Data::cli;
    "wasi:cli/stdout" cli::stdout: WasiCli, Data::cli;
    "wasi:cli/stderr" cli::stderr: WasiCli, Data::cli;
    "wasi:cli/terminal-input" cli::terminal_input: WasiCli, Data::cli;
    "wasi:cli/terminal-output" cli::terminal_output: WasiCli, Data::cli;
    "wasi:cli/terminal-stdin" cli::terminal_stdin: WasiCli, Data::cli;
    "wasi:cli/terminal-stdout" cli::terminal_stdout: WasiCli, Data::cli;
    "wasi:cli/terminal-stderr" cli::terminal_stderr: WasiCli, Data::cli;
    "wasi:clocks/monotonic-clock" clocks::monotonic_clock: WasiClocks, Data::clocks;
    "wasi:clocks/wall-clock" clocks::wall_clock: WasiClocks, Data::clocks;
    "wasi:filesystem/preopens" filesystem::preopens: WasiFilesystem, Data::filesystem;
    "wasi:filesystem/types" sync::filesystem::types: WasiFilesystem, Data::filesystem;
    "wasi:io/error" io::error: Resources, resources;
    "wasi:io/poll" sync::io::poll: Resources, resources;
    "wasi:io/streams" sync::io::streams: Resources, resources;
    "wasi:random/random" random::random: WasiRandom, random_numbers;
    "wasi:random/insecure" random::insecure: WasiRandom, random_numbers;
    "wasi:random/insecure-seed" random::insecure_seed: WasiRandom, random_numbers;
    "wasi:sockets/instance-network" sockets::instance_network: WasiSockets, Data::sockets;
    "wasi:sockets/ip-name-lookup" sockets::ip_name_lookup: WasiSockets, Data::sockets;
    "wasi:sockets/tcp" sync::sockets::tcp: WasiSockets, Data::sockets;
    "wasi:sockets/tcp-create-socket" sockets::tcp_create_socket: WasiSockets, Data::sockets;
    "wasi:sockets/udp" sync::sockets::udp: WasiSockets, Data::sockets;
    "wasi:sockets/udp-create-socket" sync::sockets::udp_create_socket: WasiSockets, Data::sockets;
}

fn define_imports(linker: &mut Linker<Data>, component: &Component) -> Result<()> {
    let kind = component.component_type();
    let mut defined = Vec::new();
    for (name, _) in kind.imports(component.engine()) {
        // What is defined serves each version that it is compatible with.
        let interface = name.split('@').next().unwrap_or(name);
        if !defined.contains(&interface) {
            define(linker, interface)?;
            if interface == "wasi:filesystem/types" {
                define_names(linker)?;
            }
            defined.push(interface);
        }
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub extern "C" fn kpio_wasmtime_component_linker_define_wasi(
    linker: &mut wasmtime_component_linker_t,
    component: &wasmtime_component_t,
) -> Option<Box<wasmtime_error_t>> {
    // Both are structures of the C API with these as their only members.
    const { assert!(size_of::<wasmtime_component_linker_t>() == size_of::<Linker<Data>>()) };
    const { assert!(size_of::<wasmtime_component_t>() == size_of::<Component>()) };
    let linker = unsafe { &mut *core::ptr::from_mut(linker).cast::<Linker<Data>>() };
    let component = unsafe { &*core::ptr::from_ref(component).cast::<Component>() };
    define_imports(linker, component).err().map(|error| Box::new(error.into()))
}
