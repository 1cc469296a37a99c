//! The loop every stage shares, and what it reads and writes.

pub mod landed;
mod letters;
pub mod metrics;
pub mod muon;
pub mod optim;
pub mod plot;
pub mod progress;
pub mod slope;
pub mod state;
pub mod trainer;
