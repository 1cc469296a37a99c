//! The demo world, for programs that play without a file. What it shows, does well and does badly: docs/demo.md.

#![no_std]
#![forbid(unsafe_code)]

/// Where the weights of a model file lie, they may be read as numbers.
#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

static KEEP: &Aligned<[u8]> = &Aligned(*include_bytes!("../keep.safetensors"));

/// `models/keep.safetensors`, for `Model::from_bytes` of causeway-runtime: 64x64 pixels, five actions, three events.
pub fn keep() -> &'static [u8] {
    &KEEP.0
}
