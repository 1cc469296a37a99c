//! Where things are computed: opened once, and shared by all that run there.

#[allow(clippy::module_inception, reason = "the folder is about the type that the file defines")]
mod device;
mod loaded;
mod loading;

pub use device::{Device, DeviceChoice};
pub(crate) use loading::{Loading, Made};
