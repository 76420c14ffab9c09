//! `kpio-smith FIRST COUNT FOLDER`: random modules by their seeds, FIRST and those behind it, each into FOLDER/SEED.wasm. A seed makes the
//! same module each time. Modules of even seeds have what the engine's one-pass compiler knows, those of odd seeds more of the language, every
//! other one of these collected objects too.
use std::{fs, path::Path, process::ExitCode};

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

const ENTROPY: usize = 8192; // bytes that a module is drawn from: bounds its size
const FUEL: u32 = 200; // function entries and turns of loops until a call ends: every call does

/// SplitMix64.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..ENTROPY / 8).flat_map(|_| next().to_le_bytes()).collect()
}

/// What has one result only, wherever it runs: no import, no relaxed SIMD, no thread, one NaN. Four of eight seeds make functions that check
/// what they do before it could trap, so that calls go far.
fn config(seed: u64) -> Config {
    let (more, collected) = (seed % 2 == 1, seed % 4 == 3);
    Config {
        disallow_traps: seed % 8 >= 4,
        max_instructions: 120,
        export_everything: true,
        max_imports: 0,
        min_types: 8,
        max_type_size: 20_000,
        min_funcs: 4,
        max_funcs: 12,
        min_memories: 1,
        max_memories: 2,
        max_memory32_bytes: 1 << 20,
        max_memory64_bytes: 1 << 20,
        max_tables: 2,
        max_table_elements: 1000,
        canonicalize_nans: true,
        allow_start_export: true,
        bulk_memory_enabled: true,
        reference_types_enabled: more,
        simd_enabled: true,
        memory64_enabled: true,
        multi_value_enabled: true,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        custom_descriptors_enabled: false,
        tail_call_enabled: more,
        exceptions_enabled: more,
        gc_enabled: collected,
        extended_const_enabled: true,
        ..Config::default()
    }
}

fn make(seed: u64, folder: &Path) -> Result<(), String> {
    let bytes = bytes(seed);
    let mut module = Module::new(config(seed), &mut Unstructured::new(&bytes)).map_err(|error| error.to_string())?;
    module.ensure_termination(FUEL).map_err(|error| error.to_string())?;
    fs::write(folder.join(format!("{seed}.wasm")), module.to_bytes()).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [first, count, folder] = words.as_slice() else {
        eprintln!("usage: kpio-smith FIRST COUNT FOLDER");
        return ExitCode::from(2);
    };
    let (Ok(first), Ok(count)) = (first.parse::<u64>(), count.parse::<u64>()) else {
        eprintln!("kpio-smith: {first} {count}: numbers are expected");
        return ExitCode::from(2);
    };
    for seed in first..first + count {
        if let Err(error) = make(seed, Path::new(folder)) {
            eprintln!("kpio-smith: {seed}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
