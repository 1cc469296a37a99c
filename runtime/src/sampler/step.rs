//! What a step of a sampler is to the device.

/// Weights of one step.
///
/// The network's flow gives a guess of the clean latents c. Of the latents x, the guesses of the two steps before ("newer", "older") and the
/// sample that the last step went from comes a sample, keep x + correct . (from, newer, older, c); of it the latents of the next step,
/// predict . (sample, c, newer, noise).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Share of noise before the step.
    pub sigma: f32,
    /// Of x in the sample.
    pub keep: f32,
    /// Of from, newer, older, c in the sample.
    pub correct: [f32; 4],
    /// Of the sample, c, newer and fresh noise in the next latents.
    pub predict: [f32; 4],
}
