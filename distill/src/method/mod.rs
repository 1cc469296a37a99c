//! The stages of training, one file each.

pub mod adversary;
pub mod consistency;
pub mod distribution_matching;
pub mod reconstruction;
pub mod resampling_forcing;
pub mod teacher_forcing;
