//! The model file: what is written reads back, and no bytes whatever do harm.

mod bad;
mod bundle;
mod config;
mod decoder;
mod fuzz;
mod parts;
mod round_trip;
mod shrunk;
