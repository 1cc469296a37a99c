//! The few numbers that change from run to run of one pass.

/// Per-run parameters: everything that varies while a plan stays the same. GPU kernels read it as a uniform.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    /// Low and high half of the stream's noise seed.
    pub seed: [u32; 2],
    /// Logical number of the chunk's first latent frame.
    pub frame: u32,
    /// Index of the denoise step (0 draws the chunk's first noise).
    pub step: u32,
    /// Number of visible history frames: valid rows at the front of the frame table.
    pub history: u32,
    /// Network timestep in [0, 1000].
    pub timestep: f32,
    /// Noise level of the chunk before this step.
    pub sigma: f32,
    /// Noise level after this step; 0 on the last step.
    pub next_sigma: f32,
}
