//! Options that several commands share, and what is made of them.

pub mod compute;
pub mod inputs;
pub mod kv;
pub mod opened;
pub mod session;
pub mod stream;
pub mod text;
pub mod tier;
pub mod typed;
