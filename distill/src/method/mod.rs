//! The stages of training, one file each.

pub mod adversary;
pub mod consistency;
pub mod delta_forcing;
pub mod diffusion_forcing;
pub mod distribution_matching;
pub mod ode_distillation;
pub mod principal;
pub mod reconstruction;
pub mod resampling_forcing;
pub mod score;
pub mod self_forcing;
pub mod self_rollout;
pub mod streaming;
pub mod teacher_forcing;
