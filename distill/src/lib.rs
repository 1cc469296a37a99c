//! Training and distillation of small neural worlds for the Causeway runtime.

pub mod bench;
pub mod codec;
pub mod codec_tape;
pub mod data;
pub mod dit;
pub mod eval;
pub mod export;
pub mod fast;
pub mod folder;
pub mod landed;
pub mod latents;
mod letters;
pub mod mask;
pub mod method;
pub mod metrics;
pub mod muon;
pub mod optim;
pub mod pipeline;
pub mod plot;
pub mod precision;
pub mod preset;
pub mod principal;
pub mod progress;
pub mod recipe;
pub mod recording;
pub mod reproduce;
pub mod rng;
pub mod rollout;
pub mod rope;
pub mod score;
pub mod sheet;
pub mod sight;
pub mod slope;
pub mod state;
pub mod tape;
pub mod toy;
pub mod trainer;
pub mod weights;
pub mod world;

// Fixtures of `tests/` name the crate as users do.
#[cfg(test)]
extern crate self as causeway_distill;
