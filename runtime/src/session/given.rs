//! What the host of an exact stream gives for a chunk.

use alloc::vec::Vec;

/// Noise that the host gives for a chunk, [frames, height, width, channels].
pub(super) struct Given {
    /// What the chunk begins with.
    pub noise: Vec<f32>,
    /// What is added after each step.
    pub fresh: Vec<Vec<f32>>,
    /// The timestep of each frame, where the host says it; else the schedule's.
    pub timesteps: Option<Vec<f32>>,
}
