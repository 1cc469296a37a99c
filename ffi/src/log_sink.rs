//! Log messages on their way to the host.

use std::{
    cell::Cell,
    ffi::c_void,
    fmt::Write,
    sync::{PoisonError, RwLock},
};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::{error::Error, types::*};

#[derive(Clone, Copy)]
struct Sink {
    call: unsafe extern "C" fn(*mut c_void, u32, *const std::ffi::c_char, usize),
    user: *mut c_void,
}

// SAFETY: the host promises that its sink may be called by any thread.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A message cut to a fixed size, so that logging allocates nothing.
struct Line {
    length: usize,
    bytes: [u8; 1024],
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let mut length = text.len().min(self.bytes.len() - self.length);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        self.bytes[self.length..][..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}

struct ToSink;

impl Log for ToSink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // A sink that logs through us would wait for itself.
        if !self.enabled(record.metadata()) || INSIDE.get() {
            return;
        }
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
        let Some(sink) = *sink else { return };
        let mut line = Line { length: 0, bytes: [0; 1024] };
        // A line takes what fits and never fails.
        let _ = write!(line, "{}", record.args());
        let level = match record.level() {
            Level::Error => CW_LOG_ERROR,
            Level::Warn => CW_LOG_WARNING,
            Level::Info => CW_LOG_INFO,
            Level::Debug | Level::Trace => CW_LOG_DEBUG,
        };
        INSIDE.set(true);
        // SAFETY: the sink is in place while the lock is held; the bytes live through the call.
        unsafe { (sink.call)(sink.user, level, line.bytes.as_ptr().cast(), line.length) };
        INSIDE.set(false);
    }

    fn flush(&self) {}
}

/// Sets or removes the sink; once it returns no other thread is inside the old one.
pub fn set(call: CwLogSink, user: *mut c_void, level: u32) -> Result<(), Error> {
    if INSIDE.get() {
        return Err(Error::state("the log sink cannot be changed by the sink itself"));
    }
    let filter = match (call, level) {
        (None, _) => LevelFilter::Off,
        (_, CW_LOG_ERROR) => LevelFilter::Error,
        (_, CW_LOG_WARNING) => LevelFilter::Warn,
        (_, CW_LOG_INFO) => LevelFilter::Info,
        (_, CW_LOG_DEBUG) => LevelFilter::Debug,
        _ => {
            return Err(Error::argument(format!(
                "{level} is no log level; there are CW_LOG_ERROR (1) to CW_LOG_DEBUG (4)"
            )));
        }
    };
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = call.map(|call| Sink { call, user });
    log::set_max_level(filter);
    // Fails when it was set before, which is as good.
    let _ = log::set_logger(&ToSink);
    Ok(())
}
