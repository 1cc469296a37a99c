//! What the end-to-end tests share.

pub mod tiny;

pub mod naive;
pub mod stream;
