//! One kernel source for every instruction set.
//!
//! A kernel is a value with a generic `run` written against [`Simd`]: vectors of a fixed number of lanes. [`Level::run`]
//! instantiates it inside a function compiled for the level's instruction set, so everything it inlines is. A token of a
//! [`Simd`] type exists only where its instructions do, which is why its methods are safe.

mod level;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
mod vector;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use self::{
    level::Level,
    vector::{Kernel, MAX_LANES, PAIRED, Simd, vectors},
};
