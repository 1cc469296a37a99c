//! The end of everything: what `cw_shutdown` does, and the library's destructor.

use crate::{
    enter::enter,
    handle, log_sink,
    types::{CW_OK, CwStatus},
};

/// Destroys what still exists, ends all threads and removes the log sink.
pub fn shutdown() -> CwStatus {
    enter(0, || {
        handle::take_all().iter().for_each(|thing| thing.destroy());
        log_sink::set(None, core::ptr::null_mut(), 0)?;
        Ok(CW_OK)
    })
}
