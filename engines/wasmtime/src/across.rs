//! What a program hears where a name would have to move to another file system: Errno::Xdev, so that it copies. wasmtime-wasi says that the
//! device failed (Errno::Io), as it knows no code for EXDEV; but it tells who listens to its events which error it did not know.
//!
//! Listening begins with the first call that may fail in this way, so that a program without one does not pay for it.
use core::cell::Cell;
use core::fmt::{Debug, Write};
use std::sync::Once;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Interest, Level, LevelFilter, Metadata, Subscriber, dispatcher};

const TARGET: &str = "wasmtime_wasi::filesystem";
const EXDEV: &str = "(os error 18)"; // behind the system's words for it, as std shows errors

thread_local! {
    static CROSSED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the call failed because it would have crossed from one file system to another.
pub fn crossed<T>(call: impl FnOnce() -> T) -> (T, bool) {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        // Nobody else listens in this program.
        let _ = dispatcher::set_global_default(Dispatch::new(Listener));
    });
    CROSSED.set(false);
    let result = call();
    (result, CROSSED.take())
}

/// Hears the events of TARGET, and nothing else.
struct Listener;

fn is_heard(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && *metadata.level() == Level::DEBUG && metadata.target() == TARGET
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_heard(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_heard(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        if field.name() == "message" && write!(text, "{value:?}").is_ok() && text.ends_with(EXDEV) {
            CROSSED.set(true);
        }
    }
}
