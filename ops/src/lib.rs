//! Plans, operators and backends of the Causeway runtime.
//!
//! A model emits a [`Plan`]: buffers of fixed shape and *passes*, lists of fused operators over them. A [`Backend`]
//! (CPU here, wgpu under feature `gpu`) loads a plan together with its weights and runs ranges of a pass's nodes. A plan
//! is plain data: it can be printed, costed and sliced, and its bytes are exact before anything is allocated.
//!
//! # Features
//! * `std` (default): threads and run-time CPU feature detection. Without it the crate is `no_std + alloc`.
//! * `gpu`: the wgpu backend.
//!
//! # Limits
//! Activations are `f32`; a buffer holds at most `u32::MAX` elements; batch size is one stream a plan.
//!
//! # Safety
//! `unsafe` is confined to `cpu` (disjoint views of one arena, SIMD kernels), `parallel` (threads that borrow the caller's work) and `gpu`
//! (kernels without bounds checks, a host's Vulkan handles); each use states its contract.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
extern crate alloc;

pub mod backend;
mod buffer;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod kv;
pub mod memory;
pub mod op;
pub mod parallel;
pub mod params;
pub mod philox;
pub mod plan;
pub mod planner;
pub mod quant;
pub mod stored;
#[cfg(feature = "std")]
pub mod table;

pub use backend::{Backend, BackendError};
pub use kv::Kv;
pub use op::Op;
pub use params::{GROUPS, Params};
pub use plan::{BufferId, Plan, PlanBuilder, PlanError, WeightId};
