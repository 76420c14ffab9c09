//! Interfaces of WASI preview 2 that have many functions: a component gets those that it imports and no others, as each costs what it
//! takes to put it into the linker's tables.
//!
//! What the functions do is wasmtime-wasi's; here is how they are called, as its own bindings do it for a whole interface.
use wasmtime::component::{LinkerInstance, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::filesystem::WasiFilesystemView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Duration, Instant};
use wasmtime_wasi::p2::bindings::sync::filesystem::types::*;
use wasmtime_wasi::p2::bindings::sync::io::poll::Pollable;
use wasmtime_wasi::p2::bindings::sync::io::streams::{self, Error, HostInputStream, HostOutputStream};
use wasmtime_wasi::p2::bindings::sync::io::streams::{InputStream, OutputStream, StreamError};

use crate::across;
use crate::wasi_component::{Data, resources};

/// The code that the program sees of a call that names two places.
fn code_across(code: ErrorCode, crossed: bool) -> ErrorCode {
    if crossed && code == ErrorCode::Io { ErrorCode::CrossDevice } else { code }
}

macro_rules! result {
    (gives, $result:ty, $error:ty) => { $result };
    ($how:ident, $result:ty, $error:ty) => { core::result::Result<$result, $error> };
}

macro_rules! finished {
    (gives, $made:expr, $view:ident, $convert:path) => { $made? };
    (tries, $made:expr, $view:ident, $convert:path) => {
        match $made {
            Ok(made) => Ok(made),
            Err(error) => Err($convert($view, error)?),
        }
    };
    (names, $made:expr, $view:ident, $convert:path) => {
        match across::crossed(|| $made) {
            (Ok(made), _) => Ok(made),
            (Err(error), crossed) => Err(code_across($convert($view, error)?, crossed)),
        }
    };
}

/// `define(linker, name)`, of these resources and functions; what has another name is left undefined. `tries`: the program sees the error;
/// `names`: of a call that names two places.
macro_rules! interface {
    ($define:ident: $view:expr, $convert:path => $error:ty;
     resources {$($resource:literal: $kind:ty, $drop:path;)*}
     $($how:ident $name:literal: $call:path, ($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        pub fn $define(linker: &mut LinkerInstance<'_, Data>, name: &str) -> Result<()> {
            match name {
                $($resource => linker.resource(name, ResourceType::host::<$kind>(), |mut store: StoreContextMut<'_, Data>, object| {
                    $drop(&mut $view(store.data_mut()), Resource::new_own(object))
                }),)*
                $($name => linker.func_wrap(
                    name,
                    |mut store: StoreContextMut<'_, Data>, ($($argument,)*): ($($type,)*)| -> Result<(result!($how, $result, $error),)> {
                        let view = &mut $view(store.data_mut());
                        Ok((finished!($how, $call(view, $($argument),*), view, $convert),))
                    },
                ),)*
                _ => Ok(()),
            }
        }
    };
}

interface! {
    define_monotonic_clock: Data::clocks, core::convert::identity => ();
    resources {}
    gives "now": monotonic_clock::Host::now, () -> Instant;
    gives "resolution": monotonic_clock::Host::resolution, () -> Duration;
    gives "subscribe-instant": monotonic_clock::Host::subscribe_instant, (when: Instant) -> Resource<Pollable>;
    gives "subscribe-duration": monotonic_clock::Host::subscribe_duration, (time: Duration) -> Resource<Pollable>;
}

interface! {
    define_streams: resources, streams::Host::convert_stream_error => StreamError;
    resources {
        "input-stream": InputStream, HostInputStream::drop;
        "output-stream": OutputStream, HostOutputStream::drop;
    }
    tries "[method]input-stream.read": HostInputStream::read, (stream: Resource<InputStream>, size: u64) -> Vec<u8>;
    tries "[method]input-stream.blocking-read": HostInputStream::blocking_read, (stream: Resource<InputStream>, size: u64) -> Vec<u8>;
    tries "[method]input-stream.skip": HostInputStream::skip, (stream: Resource<InputStream>, size: u64) -> u64;
    tries "[method]input-stream.blocking-skip": HostInputStream::blocking_skip, (stream: Resource<InputStream>, size: u64) -> u64;
    gives "[method]input-stream.subscribe": HostInputStream::subscribe, (stream: Resource<InputStream>) -> Resource<Pollable>;
    tries "[method]output-stream.check-write": HostOutputStream::check_write, (stream: Resource<OutputStream>) -> u64;
    tries "[method]output-stream.write": HostOutputStream::write, (stream: Resource<OutputStream>, bytes: Vec<u8>) -> ();
    tries "[method]output-stream.blocking-write-and-flush":
        HostOutputStream::blocking_write_and_flush, (stream: Resource<OutputStream>, bytes: Vec<u8>) -> ();
    tries "[method]output-stream.flush": HostOutputStream::flush, (stream: Resource<OutputStream>) -> ();
    tries "[method]output-stream.blocking-flush": HostOutputStream::blocking_flush, (stream: Resource<OutputStream>) -> ();
    gives "[method]output-stream.subscribe": HostOutputStream::subscribe, (stream: Resource<OutputStream>) -> Resource<Pollable>;
    tries "[method]output-stream.write-zeroes": HostOutputStream::write_zeroes, (stream: Resource<OutputStream>, size: u64) -> ();
    tries "[method]output-stream.blocking-write-zeroes-and-flush":
        HostOutputStream::blocking_write_zeroes_and_flush, (stream: Resource<OutputStream>, size: u64) -> ();
    tries "[method]output-stream.splice":
        HostOutputStream::splice, (stream: Resource<OutputStream>, from: Resource<InputStream>, size: u64) -> u64;
    tries "[method]output-stream.blocking-splice":
        HostOutputStream::blocking_splice, (stream: Resource<OutputStream>, from: Resource<InputStream>, size: u64) -> u64;
}

interface! {
    define_filesystem: Data::filesystem, Host::convert_error_code => ErrorCode;
    resources {
        "descriptor": Descriptor, HostDescriptor::drop;
        "directory-entry-stream": DirectoryEntryStream, HostDirectoryEntryStream::drop;
    }
    tries "[method]descriptor.read-via-stream":
        HostDescriptor::read_via_stream, (fd: Resource<Descriptor>, offset: u64) -> Resource<InputStream>;
    tries "[method]descriptor.write-via-stream":
        HostDescriptor::write_via_stream, (fd: Resource<Descriptor>, offset: u64) -> Resource<OutputStream>;
    tries "[method]descriptor.append-via-stream": HostDescriptor::append_via_stream, (fd: Resource<Descriptor>) -> Resource<OutputStream>;
    tries "[method]descriptor.advise": HostDescriptor::advise, (fd: Resource<Descriptor>, offset: u64, size: u64, advice: Advice) -> ();
    tries "[method]descriptor.sync-data": HostDescriptor::sync_data, (fd: Resource<Descriptor>) -> ();
    tries "[method]descriptor.get-flags": HostDescriptor::get_flags, (fd: Resource<Descriptor>) -> DescriptorFlags;
    tries "[method]descriptor.get-type": HostDescriptor::get_type, (fd: Resource<Descriptor>) -> DescriptorType;
    tries "[method]descriptor.set-size": HostDescriptor::set_size, (fd: Resource<Descriptor>, size: u64) -> ();
    tries "[method]descriptor.set-times":
        HostDescriptor::set_times, (fd: Resource<Descriptor>, accessed: NewTimestamp, modified: NewTimestamp) -> ();
    tries "[method]descriptor.read": HostDescriptor::read, (fd: Resource<Descriptor>, size: u64, offset: u64) -> (Vec<u8>, bool);
    tries "[method]descriptor.write": HostDescriptor::write, (fd: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> u64;
    tries "[method]descriptor.read-directory":
        HostDescriptor::read_directory, (fd: Resource<Descriptor>) -> Resource<DirectoryEntryStream>;
    tries "[method]descriptor.sync": HostDescriptor::sync, (fd: Resource<Descriptor>) -> ();
    tries "[method]descriptor.create-directory-at": HostDescriptor::create_directory_at, (fd: Resource<Descriptor>, path: String) -> ();
    tries "[method]descriptor.stat": HostDescriptor::stat, (fd: Resource<Descriptor>) -> DescriptorStat;
    tries "[method]descriptor.stat-at":
        HostDescriptor::stat_at, (fd: Resource<Descriptor>, follow: PathFlags, path: String) -> DescriptorStat;
    tries "[method]descriptor.set-times-at":
        HostDescriptor::set_times_at,
        (fd: Resource<Descriptor>, follow: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp) -> ();
    names "[method]descriptor.link-at":
        HostDescriptor::link_at, (fd: Resource<Descriptor>, follow: PathFlags, path: String, to: Resource<Descriptor>, name: String) -> ();
    tries "[method]descriptor.open-at":
        HostDescriptor::open_at,
        (fd: Resource<Descriptor>, follow: PathFlags, path: String, how: OpenFlags, flags: DescriptorFlags) -> Resource<Descriptor>;
    tries "[method]descriptor.readlink-at": HostDescriptor::readlink_at, (fd: Resource<Descriptor>, path: String) -> String;
    tries "[method]descriptor.remove-directory-at": HostDescriptor::remove_directory_at, (fd: Resource<Descriptor>, path: String) -> ();
    names "[method]descriptor.rename-at":
        HostDescriptor::rename_at, (fd: Resource<Descriptor>, path: String, to: Resource<Descriptor>, name: String) -> ();
    tries "[method]descriptor.symlink-at": HostDescriptor::symlink_at, (fd: Resource<Descriptor>, text: String, name: String) -> ();
    tries "[method]descriptor.unlink-file-at": HostDescriptor::unlink_file_at, (fd: Resource<Descriptor>, path: String) -> ();
    gives "[method]descriptor.is-same-object":
        HostDescriptor::is_same_object, (fd: Resource<Descriptor>, other: Resource<Descriptor>) -> bool;
    tries "[method]descriptor.metadata-hash": HostDescriptor::metadata_hash, (fd: Resource<Descriptor>) -> MetadataHashValue;
    tries "[method]descriptor.metadata-hash-at":
        HostDescriptor::metadata_hash_at, (fd: Resource<Descriptor>, follow: PathFlags, path: String) -> MetadataHashValue;
    tries "[method]directory-entry-stream.read-directory-entry":
        HostDirectoryEntryStream::read_directory_entry, (stream: Resource<DirectoryEntryStream>) -> Option<DirectoryEntry>;
    gives "filesystem-error-code": Host::filesystem_error_code, (error: Resource<Error>) -> Option<ErrorCode>;
}
