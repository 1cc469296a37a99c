//! Self-attention by its mask. [`Causal`] and [`Sequence`] have the arrangements of training, with their gradient; `history` has a
//! stream's.

use causeway_runtime::config::DitConfig;

pub use super::attend::{Attend, Trained};
use super::causal::Causal;
use super::sequence::Sequence;
use crate::net::mask::{Best, Mask};

/// The attention of `mask` over `batch` inputs of `frames` frames; `keep` saves what the gradient needs.
pub fn masked(mask: Mask, c: &DitConfig, batch: usize, frames: usize, keep: bool) -> Box<dyn Trained> {
    match mask {
        Mask::TeacherForcing { ring, route, copies } => {
            Box::new(Causal::new(c, [batch, mask.window(frames), copies], ring, route, keep))
        }
        Mask::Causal(ring) => Box::new(Causal::new(c, [batch, frames, 0], ring, Best::of(0), keep)),
        Mask::Full => Box::new(Sequence::new(c, batch, frames, keep)),
    }
}
