//! WASI preview 2 for one component (include/kpio_wasmtime.h): a linker gets the interfaces that the component imports and no others, and
//! of those with many functions only these (wasi_functions.rs). Each function costs its place in the linker's tables.
//!
//! The interfaces are wasmtime-wasi's, as its own `p2::add_to_linker_sync` adds them all.
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasData, Linker, LinkerInstance, ResourceTable};
use wasmtime::{Engine, Result};
use wasmtime_c_api::{WasmtimeStoreData, wasmtime_component_linker_t, wasmtime_component_t, wasmtime_error_t};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets, sync};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::wasi_functions::{define_filesystem, define_monotonic_clock, define_streams};

pub type Data = WasmtimeStoreData;

/// What wasi:io works on: the table of the store's resources.
struct Resources;

impl HasData for Resources {
    type Data<'a> = &'a mut ResourceTable;
}

pub fn resources(data: &mut Data) -> &mut ResourceTable {
    data.ctx().table
}

fn random_numbers(data: &mut Data) -> &mut WasiRandomCtx {
    data.ctx().ctx.random()
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
    "wasi:clocks/wall-clock" clocks::wall_clock: WasiClocks, Data::clocks;
    "wasi:filesystem/preopens" filesystem::preopens: WasiFilesystem, Data::filesystem;
    "wasi:io/error" io::error: Resources, resources;
    "wasi:io/poll" sync::io::poll: Resources, resources;
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

type Define = fn(&mut LinkerInstance<'_, Data>, &str) -> Result<()>;

/// What defines single functions of the interface that is imported under this name, if it is one of those and of version 0.2.
fn by_function(name: &str) -> Option<Define> {
    let (interface, version) = name.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let patch = patch.split('+').next().unwrap_or(patch);
    if patch.is_empty() || !patch.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match interface {
        "wasi:clocks/monotonic-clock" => Some(define_monotonic_clock),
        "wasi:filesystem/types" => Some(define_filesystem),
        "wasi:io/streams" => Some(define_streams),
        _ => None,
    }
}

fn define_functions(linker: &mut Linker<Data>, engine: &Engine, name: &str, item: &ComponentItem, define: Define) -> Result<()> {
    let ComponentItem::ComponentInstance(instance) = item else { return Ok(()) };
    let mut into = linker.instance(name)?;
    for (function, _) in instance.exports(engine) {
        define(&mut into, function)?;
    }
    Ok(())
}

fn define_imports(linker: &mut Linker<Data>, component: &Component) -> Result<()> {
    let kind = component.component_type();
    let mut defined = Vec::new();
    for (name, import) in kind.imports(component.engine()) {
        if let Some(define) = by_function(name) {
            define_functions(linker, component.engine(), name, &import.ty, define)?;
            continue;
        }
        // What is defined whole serves each version that it is compatible with.
        let interface = name.split('@').next().unwrap_or(name);
        if !defined.contains(&interface) {
            define(linker, interface)?;
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
