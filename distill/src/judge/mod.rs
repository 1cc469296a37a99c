//! What a network is worth: roll-outs beside the truth, and the score of a whole world.

pub mod eval;
pub mod health;
pub mod score;
pub mod sheet;
