//! Model file, model families and sessions of the Causeway runtime.
//!
//! ```no_run
//! use causeway_runtime::{Device, Model, Pump, Session, SessionOptions};
//!
//! let model = Model::open("world.safetensors")?;
//! let device = Device::auto(Device::cpu(0));
//! let mut session = Session::new(&model, &device, SessionOptions::default())?;
//! session.set_action(&[1.0, 0.0, 0.0, 0.0, 0.0])?;
//! while session.pump(causeway_runtime::Budget::Micros(2_000))? != Pump::Frame {}
//! let frame = session.frame().unwrap();
//! println!("{}x{}, shows action {}", frame.width, frame.height, frame.receipt.action);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! * `std` (default): files, threads, a clock. Without it the crate is `no_std + alloc`: models come from bytes,
//!   budgets are counted in nodes.
//! * `gpu`: sessions on wgpu.
//! * `text`: [`text::TextTokenizer`], which makes tokens of words.
//!
//! # Limits
//! Activations in `f32`. [`Decoder`], [`Encoder`] and [`VideoDecoder`] are for whole files, outside of streams.
//!
//! # Safety
//! Files are checked before they are used, and read, never mapped: one that another program cuts short is an error.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
extern crate alloc;

pub mod clock;
pub mod codec;
pub mod config;
pub mod device;
pub mod file;
pub mod image;
#[cfg(feature = "std")]
pub mod import;
mod layout;
pub mod model;
pub mod picture;
pub mod sampler;
pub mod session;
pub mod text;

pub use causeway_ops::Kv;
pub use codec::{
    VideoDecoder,
    decoder::{Decoder, DecoderFile},
    encoder::Encoder,
};
pub use config::ModelConfig;
pub use device::{Device, DeviceChoice};
pub use file::{FileError, Model};
pub use image::ImageEncoder;
pub use session::{
    Budget, EventTime, Exact, Frame, Output, Pump, Receipt, Session, SessionError, SessionOptions, Snapshot, Start,
};
pub use text::{EncodeError, TextEncoder};
