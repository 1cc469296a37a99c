//! Histories that cases of attention over a ring see.

use super::maker::Maker;
use crate::{GROUPS, Params, buffer::BufferId};

/// Frame table, rotations and parameters for `history` visible frames of at most `max_history` with `chunk` own ones.
pub(super) fn window(
    m: &mut Maker,
    [chunk, slots, max_history, history, pairs]: [usize; 5],
) -> (BufferId, BufferId, Params) {
    // Any slots will do as long as no two rows share one.
    let mut free: Vec<u32> = (0..slots as u32).collect();
    let frames = (0..max_history + chunk).map(|_| free.remove(m.below(free.len()))).collect();
    let mut rotations = Vec::new();
    for row in 0..max_history + chunk {
        for pair in 0..pairs {
            let angle = row as f64 * 10_000f64.powf(-(pair as f64) / pairs as f64);
            rotations.extend([angle.cos() as f32, angle.sin() as f32]);
        }
    }
    // Other groups see another number of frames.
    let mut all = [(history as u32 + 1) % (max_history as u32 + 1); GROUPS];
    all[group(history)] = history as u32;
    let params = Params { history: all, ..Params::default() };
    (m.integers("frames", frames), m.numbers("rotations", &rotations), params)
}

/// The group of layers that so much history is seen by.
pub(super) fn group(history: usize) -> usize {
    history % GROUPS
}
