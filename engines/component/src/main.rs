//! `kpio-component MODULE COMPONENT`: a WASI command becomes a component that exports wasi:cli/run. What it imports of preview 1 is
//! served by the adapter inside of it, which imports the interfaces of preview 2 that it needs. A module with types of its own (a custom
//! section `component-type`, as wit-bindgen makes it) keeps them.
use std::{fs, process::ExitCode};

use anyhow::Context;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

fn run(from: &str, to: &str) -> anyhow::Result<()> {
    let module = fs::read(from).with_context(|| from.to_string())?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?
        .encode()?;
    fs::write(to, component).with_context(|| to.to_string())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = words.as_slice() else {
        eprintln!("usage: kpio-component MODULE COMPONENT");
        return ExitCode::from(2);
    };
    match run(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
