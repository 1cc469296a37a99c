//! What checkpoints do not say about their models, and what published ones use.

use crate::config::Positions;
use crate::sampler::Sampler;

/// What a checkpoint does not say about its model.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Short name.
    pub name: String,
    /// Latent frames denoised together.
    pub chunk: usize,
    /// Step lists, unwarped timesteps; the first is the default.
    pub steps: Vec<Vec<f32>>,
    /// The stream's first chunk's own list; none if empty.
    pub first_steps: Vec<f32>,
    /// How latents are stepped.
    pub sampler: Sampler,
    /// Timestep shift.
    pub shift: f32,
    /// Timestep of the commit pass.
    pub context_noise: f32,
    /// Latent frames attention sees, including sink and chunk.
    pub window: usize,
    /// First frames that stay.
    pub sink: usize,
    /// Numbering of frames.
    pub positions: Positions,
    /// Height and width of a latent frame.
    pub latent: (usize, usize),
    /// Rows a prompt is padded to.
    pub text_length: usize,
    /// Names of the actions and of the events that a network is told in place of texts; numbered if empty.
    pub actions: Vec<String>,
    /// As `actions`.
    pub events: Vec<String>,
    /// Pixel frames a second.
    pub fps: f32,
    /// Licence of the weights.
    pub license: String,
    /// Whom to credit.
    pub credits: String,
    /// The command that converts.
    pub command: String,
}

/// What Self Forcing and Causal Forcing models use (spec 2.1 to 2.3).
impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "wan".to_owned(),
            chunk: 3,
            steps: vec![vec![1000.0, 750.0, 500.0, 250.0], vec![1000.0, 500.0], vec![1000.0]],
            first_steps: Vec::new(),
            sampler: Sampler::Few,
            shift: 5.0,
            context_noise: 0.0,
            window: 21,
            sink: 0,
            positions: Positions::Absolute,
            latent: (60, 104),
            text_length: 512,
            actions: Vec::new(),
            events: Vec::new(),
            fps: 16.0,
            license: String::new(),
            credits: String::new(),
            command: String::new(),
        }
    }
}
