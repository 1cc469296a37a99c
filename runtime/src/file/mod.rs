//! The model file: one safetensors file holding configuration and weights (`docs/model-file.md`).
//!
//! * [`ModelFile`] opens a file (or bytes) and checks all of it; it is a [`WeightSource`] for backends. Its configuration
//!   tells what the file holds; [`Model`] is the one with a denoiser.
//! * [`expected_tensors`] lists what a configuration implies.
//! * [`Info`] summarises a model for people.
//! * [`Writer`], [`quantize()`] (feature `std`) make files.
//!
//! A file is untrusted input. Everything that reads one is free of `unsafe` and does not panic on any bytes.
//!
//! [`WeightSource`]: causeway_ops::quant::WeightSource

#![forbid(unsafe_code)]

mod any;
mod bundle;
#[cfg(feature = "std")]
mod bundler;
pub(crate) mod container;
mod error;
mod fingerprint;
mod header;
mod info;
mod limits;
#[cfg(feature = "std")]
mod partial;
#[cfg(feature = "std")]
mod quantize;
mod reader;
#[cfg(feature = "std")]
pub mod regular;
#[cfg(feature = "std")]
mod restate;
#[cfg(feature = "std")]
mod sink;
#[cfg(feature = "std")]
mod stored;
mod tensors;
mod weights;
#[cfg(feature = "std")]
mod writer;

pub use any::AnyFile;
pub use bundle::{Bundle, Part, PartKind};
#[cfg(feature = "std")]
pub use bundler::{Bundler, split};
pub use error::{FileError, TensorMismatch};
pub(crate) use fingerprint::Chain;
pub use fingerprint::Fingerprint;
pub use info::{Info, Share};
pub use limits::ALIGN;
#[cfg(feature = "std")]
pub use partial::{Partial, PartialFile, abandon, write_whole};
#[cfg(feature = "std")]
pub use quantize::{quantize, quantize_to};
pub use reader::{ClipFile, Model, ModelFile, Umt5File};
#[cfg(feature = "std")]
pub use restate::restate;
#[cfg(feature = "std")]
pub use sink::Sink;
pub use tensors::{expected_tensors, may_quantise};
pub use weights::Weights;
#[cfg(feature = "std")]
pub use writer::{TensorSpec, Writer, write_model, write_model_to};
