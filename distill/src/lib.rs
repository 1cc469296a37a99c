//! Training and distillation of small neural worlds for the Causeway runtime.
//!
//! A map of the crate, in order of dependency:
//!
//! * [`rng`]: random numbers, the same everywhere from the same seed.
//! * [`stats`]: intervals, tests and effect sizes of figures of few seeds or starts.
//! * [`net`]: the networks. Weights by name; the denoiser, its roll-outs and the codec by the tensor library, and once more by hand for
//!   the CPU (`net::fast`, `net::tape`).
//! * [`train`]: the loop that every method shares. Optimizers, checkpoints and landed runs, figures, the loss curve.
//! * [`footage`]: what is trained on. Recordings, their latents, how alike pictures are; the built-in world and its ray caster.
//! * [`judge`]: what a network is worth. Roll-outs beside the truth, contact sheets, the world score.
//! * [`method`]: the losses, one file each, named as their papers are.
//! * [`run`]: a recipe from its text to a model file. Run folders, presets, stage after stage, export; and how fast a step is.
//! * [`reproduce`]: the papers' claims, on toy worlds with an exact truth.

pub mod footage;
pub mod judge;
pub mod method;
pub mod net;
pub mod reproduce;
pub mod rng;
pub mod run;
pub mod stats;
pub mod train;

// Fixtures of `tests/` name the crate as users do.
#[cfg(test)]
extern crate self as causeway_distill;
