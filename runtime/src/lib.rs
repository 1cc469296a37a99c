//! Model file, model families and sessions of the Causeway runtime.
#![cfg_attr(not(feature = "std"), no_std)]
extern crate alloc;

pub mod config;
pub mod file;
